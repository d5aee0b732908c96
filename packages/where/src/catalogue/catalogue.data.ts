// Made by `npm run catalogue -w @shapecast/where` from PostgreSQL 18; do not edit.

/** name oid category preferred array-oid input-volatility output-volatility */
export const TYPES = `
bool 16 B true 1000 i i
bytea 17 U false 1001 i i
char 18 Z false 1002 i i
name 19 S false 1003 i i
int8 20 N false 1016 i i
int2 21 N false 1005 i i
int4 23 N false 1007 i i
regproc 24 N false 1008 s s
text 25 S true 1009 i i
oid 26 N true 1028 i i
tid 27 U false 1010 i i
xid 28 U false 1011 i i
cid 29 U false 1012 i i
json 114 U false 199 i i
xml 142 U false 143 s i
point 600 G false 1017 i i
lseg 601 G false 1018 i i
path 602 G false 1019 i i
box 603 G false 1020 i i
polygon 604 G false 1027 i i
line 628 G false 629 i i
cidr 650 I false 651 i i
float4 700 N false 1021 i i
float8 701 N true 1022 i i
circle 718 G false 719 i i
macaddr8 774 U false 775 i i
money 790 N false 791 s s
macaddr 829 U false 1040 i i
inet 869 I true 1041 i i
aclitem 1033 U false 1034 s s
bpchar 1042 S false 1014 i i
varchar 1043 S false 1015 i i
date 1082 D false 1182 s s
time 1083 D false 1183 s i
timestamp 1114 D false 1115 s s
timestamptz 1184 D true 1185 s s
interval 1186 T true 1187 s s
timetz 1266 D false 1270 s i
bit 1560 V false 1561 i i
varbit 1562 V true 1563 i i
numeric 1700 N false 1231 i i
refcursor 1790 U false 2201 i i
regprocedure 2202 N false 2207 s s
regoper 2203 N false 2208 s s
regoperator 2204 N false 2209 s s
regclass 2205 N false 2210 s s
regtype 2206 N false 2211 s s
uuid 2950 U false 2951 i i
txid_snapshot 2970 U false 2949 i i
pg_lsn 3220 U false 3221 i i
tsvector 3614 U false 3643 i i
tsquery 3615 U false 3645 i i
gtsvector 3642 U false 3644 i i
regconfig 3734 N false 3735 s s
regdictionary 3769 N false 3770 s s
jsonb 3802 U false 3807 i i
int4range 3904 R false 3905 s s
numrange 3906 R false 3907 s s
tsrange 3908 R false 3909 s s
tstzrange 3910 R false 3911 s s
daterange 3912 R false 3913 s s
int8range 3926 R false 3927 s s
jsonpath 4072 U false 4073 i i
regnamespace 4089 N false 4090 s s
regrole 4096 N false 4097 s s
regcollation 4191 N false 4192 s s
pg_snapshot 5038 U false 5039 i i
xid8 5069 U false 271 i i
`;

/** name left right result strict volatility function */
export const OPERATORS = `
!! - tsquery tsquery true i tsquery_not(tsquery)
!~ bpchar text bool true i bpcharregexne(bpchar,text)
!~ name text bool true i nameregexne(name,text)
!~ text text bool true i textregexne(text,text)
!~* bpchar text bool true i bpcharicregexne(bpchar,text)
!~* name text bool true i nameicregexne(name,text)
!~* text text bool true i texticregexne(text,text)
!~~ bpchar text bool true i bpcharnlike(bpchar,text)
!~~ bytea bytea bool true i byteanlike(bytea,bytea)
!~~ name text bool true i namenlike(name,text)
!~~ text text bool true i textnlike(text,text)
!~~* bpchar text bool true i bpcharicnlike(bpchar,text)
!~~* name text bool true i nameicnlike(name,text)
!~~* text text bool true i texticnlike(text,text)
# - path int4 true i path_npoints(path)
# - polygon int4 true i poly_npoints(polygon)
# bit bit bit true i bitxor(bit,bit)
# box box box true i box_intersect(box,box)
# int2 int2 int2 true i int2xor(int2,int2)
# int4 int4 int4 true i int4xor(int4,int4)
# int8 int8 int8 true i int8xor(int8,int8)
# line line point true i line_interpt(line,line)
# lseg lseg point true i lseg_interpt(lseg,lseg)
## line lseg point true i close_ls(line,lseg)
## lseg box point true i close_sb(lseg,box)
## lseg lseg point true i close_lseg(lseg,lseg)
## point box point true i close_pb(point,box)
## point line point true i close_pl(point,line)
## point lseg point true i close_ps(point,lseg)
#- jsonb text[] jsonb true i jsonb_delete_path(jsonb,text[])
#> json text[] json true i json_extract_path(json,text[])
#> jsonb text[] jsonb true i jsonb_extract_path(jsonb,text[])
#>> json text[] text true i json_extract_path_text(json,text[])
#>> jsonb text[] text true i jsonb_extract_path_text(jsonb,text[])
% int2 int2 int2 true i int2mod(int2,int2)
% int4 int4 int4 true i int4mod(int4,int4)
% int8 int8 int8 true i int8mod(int8,int8)
% numeric numeric numeric true i numeric_mod(numeric,numeric)
& bit bit bit true i bitand(bit,bit)
& inet inet inet true i inetand(inet,inet)
& int2 int2 int2 true i int2and(int2,int2)
& int4 int4 int4 true i int4and(int4,int4)
& int8 int8 int8 true i int8and(int8,int8)
& macaddr macaddr macaddr true i macaddr_and(macaddr,macaddr)
& macaddr8 macaddr8 macaddr8 true i macaddr8_and(macaddr8,macaddr8)
&& anyarray anyarray bool true i arrayoverlap(anyarray,anyarray)
&& anyrange anyrange bool true i range_overlaps(anyrange,anyrange)
&& box box bool true i box_overlap(box,box)
&& circle circle bool true i circle_overlap(circle,circle)
&& inet inet bool true i network_overlap(inet,inet)
&& polygon polygon bool true i poly_overlap(polygon,polygon)
&& tsquery tsquery tsquery true i tsquery_and(tsquery,tsquery)
&< anyrange anyrange bool true i range_overleft(anyrange,anyrange)
&< box box bool true i box_overleft(box,box)
&< circle circle bool true i circle_overleft(circle,circle)
&< polygon polygon bool true i poly_overleft(polygon,polygon)
&<| box box bool true i box_overbelow(box,box)
&<| circle circle bool true i circle_overbelow(circle,circle)
&<| polygon polygon bool true i poly_overbelow(polygon,polygon)
&> anyrange anyrange bool true i range_overright(anyrange,anyrange)
&> box box bool true i box_overright(box,box)
&> circle circle bool true i circle_overright(circle,circle)
&> polygon polygon bool true i poly_overright(polygon,polygon)
* anyrange anyrange anyrange true i range_intersect(anyrange,anyrange)
* box point box true i box_mul(box,point)
* circle point circle true i circle_mul_pt(circle,point)
* float4 float4 float4 true i float4mul(float4,float4)
* float4 float8 float8 true i float48mul(float4,float8)
* float4 money money true i flt4_mul_cash(float4,money)
* float8 float4 float8 true i float84mul(float8,float4)
* float8 float8 float8 true i float8mul(float8,float8)
* float8 interval interval true i mul_d_interval(float8,interval)
* float8 money money true i flt8_mul_cash(float8,money)
* int2 int2 int2 true i int2mul(int2,int2)
* int2 int4 int4 true i int24mul(int2,int4)
* int2 int8 int8 true i int28mul(int2,int8)
* int2 money money true i int2_mul_cash(int2,money)
* int4 int2 int4 true i int42mul(int4,int2)
* int4 int4 int4 true i int4mul(int4,int4)
* int4 int8 int8 true i int48mul(int4,int8)
* int4 money money true i int4_mul_cash(int4,money)
* int8 int2 int8 true i int82mul(int8,int2)
* int8 int4 int8 true i int84mul(int8,int4)
* int8 int8 int8 true i int8mul(int8,int8)
* int8 money money true i int8_mul_cash(int8,money)
* interval float8 interval true i interval_mul(interval,float8)
* money float4 money true i cash_mul_flt4(money,float4)
* money float8 money true i cash_mul_flt8(money,float8)
* money int2 money true i cash_mul_int2(money,int2)
* money int4 money true i cash_mul_int4(money,int4)
* money int8 money true i cash_mul_int8(money,int8)
* numeric numeric numeric true i numeric_mul(numeric,numeric)
* path point path true i path_mul_pt(path,point)
* point point point true i point_mul(point,point)
+ - float4 float4 true i float4up(float4)
+ - float8 float8 true i float8up(float8)
+ - int2 int2 true i int2up(int2)
+ - int4 int4 true i int4up(int4)
+ - int8 int8 true i int8up(int8)
+ - numeric numeric true i numeric_uplus(numeric)
+ aclitem[] aclitem aclitem[] true i aclinsert(aclitem[],aclitem)
+ anyrange anyrange anyrange true i range_union(anyrange,anyrange)
+ box point box true i box_add(box,point)
+ circle point circle true i circle_add_pt(circle,point)
+ date int4 date true i date_pli(date,int4)
+ date interval timestamp true i date_pl_interval(date,interval)
+ date time timestamp true i datetime_pl(date,time)
+ date timetz timestamptz true i datetimetz_pl(date,timetz)
+ float4 float4 float4 true i float4pl(float4,float4)
+ float4 float8 float8 true i float48pl(float4,float8)
+ float8 float4 float8 true i float84pl(float8,float4)
+ float8 float8 float8 true i float8pl(float8,float8)
+ inet int8 inet true i inetpl(inet,int8)
+ int2 int2 int2 true i int2pl(int2,int2)
+ int2 int4 int4 true i int24pl(int2,int4)
+ int2 int8 int8 true i int28pl(int2,int8)
+ int4 date date true i integer_pl_date(int4,date)
+ int4 int2 int4 true i int42pl(int4,int2)
+ int4 int4 int4 true i int4pl(int4,int4)
+ int4 int8 int8 true i int48pl(int4,int8)
+ int8 inet inet true i int8pl_inet(int8,inet)
+ int8 int2 int8 true i int82pl(int8,int2)
+ int8 int4 int8 true i int84pl(int8,int4)
+ int8 int8 int8 true i int8pl(int8,int8)
+ interval date timestamp true i interval_pl_date(interval,date)
+ interval interval interval true i interval_pl(interval,interval)
+ interval time time true i interval_pl_time(interval,time)
+ interval timestamp timestamp true i interval_pl_timestamp(interval,timestamp)
+ interval timestamptz timestamptz true s interval_pl_timestamptz(interval,timestamptz)
+ interval timetz timetz true i interval_pl_timetz(interval,timetz)
+ money money money true i cash_pl(money,money)
+ numeric numeric numeric true i numeric_add(numeric,numeric)
+ numeric pg_lsn pg_lsn true i numeric_pl_pg_lsn(numeric,pg_lsn)
+ path path path true i path_add(path,path)
+ path point path true i path_add_pt(path,point)
+ pg_lsn numeric pg_lsn true i pg_lsn_pli(pg_lsn,numeric)
+ point point point true i point_add(point,point)
+ time date timestamp true i timedate_pl(time,date)
+ time interval time true i time_pl_interval(time,interval)
+ timestamp interval timestamp true i timestamp_pl_interval(timestamp,interval)
+ timestamptz interval timestamptz true s timestamptz_pl_interval(timestamptz,interval)
+ timetz date timestamptz true i timetzdate_pl(timetz,date)
+ timetz interval timetz true i timetz_pl_interval(timetz,interval)
- - float4 float4 true i float4um(float4)
- - float8 float8 true i float8um(float8)
- - int2 int2 true i int2um(int2)
- - int4 int4 true i int4um(int4)
- - int8 int8 true i int8um(int8)
- - interval interval true i interval_um(interval)
- - numeric numeric true i numeric_uminus(numeric)
- aclitem[] aclitem aclitem[] true i aclremove(aclitem[],aclitem)
- anyrange anyrange anyrange true i range_minus(anyrange,anyrange)
- box point box true i box_sub(box,point)
- circle point circle true i circle_sub_pt(circle,point)
- date date int4 true i date_mi(date,date)
- date int4 date true i date_mii(date,int4)
- date interval timestamp true i date_mi_interval(date,interval)
- float4 float4 float4 true i float4mi(float4,float4)
- float4 float8 float8 true i float48mi(float4,float8)
- float8 float4 float8 true i float84mi(float8,float4)
- float8 float8 float8 true i float8mi(float8,float8)
- inet inet int8 true i inetmi(inet,inet)
- inet int8 inet true i inetmi_int8(inet,int8)
- int2 int2 int2 true i int2mi(int2,int2)
- int2 int4 int4 true i int24mi(int2,int4)
- int2 int8 int8 true i int28mi(int2,int8)
- int4 int2 int4 true i int42mi(int4,int2)
- int4 int4 int4 true i int4mi(int4,int4)
- int4 int8 int8 true i int48mi(int4,int8)
- int8 int2 int8 true i int82mi(int8,int2)
- int8 int4 int8 true i int84mi(int8,int4)
- int8 int8 int8 true i int8mi(int8,int8)
- interval interval interval true i interval_mi(interval,interval)
- jsonb int4 jsonb true i jsonb_delete(jsonb,int4)
- jsonb text jsonb true i jsonb_delete(jsonb,text)
- jsonb text[] jsonb true i jsonb_delete(jsonb,text[])
- money money money true i cash_mi(money,money)
- numeric numeric numeric true i numeric_sub(numeric,numeric)
- path point path true i path_sub_pt(path,point)
- pg_lsn numeric pg_lsn true i pg_lsn_mii(pg_lsn,numeric)
- pg_lsn pg_lsn numeric true i pg_lsn_mi(pg_lsn,pg_lsn)
- point point point true i point_sub(point,point)
- time interval time true i time_mi_interval(time,interval)
- time time interval true i time_mi_time(time,time)
- timestamp interval timestamp true i timestamp_mi_interval(timestamp,interval)
- timestamp timestamp interval true i timestamp_mi(timestamp,timestamp)
- timestamptz interval timestamptz true s timestamptz_mi_interval(timestamptz,interval)
- timestamptz timestamptz interval true i timestamptz_mi(timestamptz,timestamptz)
- timetz interval timetz true i timetz_mi_interval(timetz,interval)
-> json int4 json true i json_array_element(json,int4)
-> json text json true i json_object_field(json,text)
-> jsonb int4 jsonb true i jsonb_array_element(jsonb,int4)
-> jsonb text jsonb true i jsonb_object_field(jsonb,text)
->> json int4 text true i json_array_element_text(json,int4)
->> json text text true i json_object_field_text(json,text)
->> jsonb int4 text true i jsonb_array_element_text(jsonb,int4)
->> jsonb text text true i jsonb_object_field_text(jsonb,text)
-|- anyrange anyrange bool true i range_adjacent(anyrange,anyrange)
/ box point box true i box_div(box,point)
/ circle point circle true i circle_div_pt(circle,point)
/ float4 float4 float4 true i float4div(float4,float4)
/ float4 float8 float8 true i float48div(float4,float8)
/ float8 float4 float8 true i float84div(float8,float4)
/ float8 float8 float8 true i float8div(float8,float8)
/ int2 int2 int2 true i int2div(int2,int2)
/ int2 int4 int4 true i int24div(int2,int4)
/ int2 int8 int8 true i int28div(int2,int8)
/ int4 int2 int4 true i int42div(int4,int2)
/ int4 int4 int4 true i int4div(int4,int4)
/ int4 int8 int8 true i int48div(int4,int8)
/ int8 int2 int8 true i int82div(int8,int2)
/ int8 int4 int8 true i int84div(int8,int4)
/ int8 int8 int8 true i int8div(int8,int8)
/ interval float8 interval true i interval_div(interval,float8)
/ money float4 money true i cash_div_flt4(money,float4)
/ money float8 money true i cash_div_flt8(money,float8)
/ money int2 money true i cash_div_int2(money,int2)
/ money int4 money true i cash_div_int4(money,int4)
/ money int8 money true i cash_div_int8(money,int8)
/ money money float8 true i cash_div_cash(money,money)
/ numeric numeric numeric true i numeric_div(numeric,numeric)
/ path point path true i path_div_pt(path,point)
/ point point point true i point_div(point,point)
< anyarray anyarray bool true i array_lt(anyarray,anyarray)
< anyenum anyenum bool true i enum_lt(anyenum,anyenum)
< anyrange anyrange bool true i range_lt(anyrange,anyrange)
< bit bit bool true i bitlt(bit,bit)
< bool bool bool true i boollt(bool,bool)
< box box bool true i box_lt(box,box)
< bpchar bpchar bool true i bpcharlt(bpchar,bpchar)
< bytea bytea bool true i bytealt(bytea,bytea)
< char char bool true i charlt(char,char)
< circle circle bool true i circle_lt(circle,circle)
< date date bool true i date_lt(date,date)
< date timestamp bool true i date_lt_timestamp(date,timestamp)
< date timestamptz bool true s date_lt_timestamptz(date,timestamptz)
< float4 float4 bool true i float4lt(float4,float4)
< float4 float8 bool true i float48lt(float4,float8)
< float8 float4 bool true i float84lt(float8,float4)
< float8 float8 bool true i float8lt(float8,float8)
< inet inet bool true i network_lt(inet,inet)
< int2 int2 bool true i int2lt(int2,int2)
< int2 int4 bool true i int24lt(int2,int4)
< int2 int8 bool true i int28lt(int2,int8)
< int4 int2 bool true i int42lt(int4,int2)
< int4 int4 bool true i int4lt(int4,int4)
< int4 int8 bool true i int48lt(int4,int8)
< int8 int2 bool true i int82lt(int8,int2)
< int8 int4 bool true i int84lt(int8,int4)
< int8 int8 bool true i int8lt(int8,int8)
< interval interval bool true i interval_lt(interval,interval)
< jsonb jsonb bool true i jsonb_lt(jsonb,jsonb)
< lseg lseg bool true i lseg_lt(lseg,lseg)
< macaddr macaddr bool true i macaddr_lt(macaddr,macaddr)
< macaddr8 macaddr8 bool true i macaddr8_lt(macaddr8,macaddr8)
< money money bool true i cash_lt(money,money)
< name name bool true i namelt(name,name)
< name text bool true i namelttext(name,text)
< numeric numeric bool true i numeric_lt(numeric,numeric)
< oid oid bool true i oidlt(oid,oid)
< path path bool true i path_n_lt(path,path)
< pg_lsn pg_lsn bool true i pg_lsn_lt(pg_lsn,pg_lsn)
< text name bool true i textltname(text,name)
< text text bool true i text_lt(text,text)
< tid tid bool true i tidlt(tid,tid)
< time time bool true i time_lt(time,time)
< timestamp date bool true i timestamp_lt_date(timestamp,date)
< timestamp timestamp bool true i timestamp_lt(timestamp,timestamp)
< timestamp timestamptz bool true s timestamp_lt_timestamptz(timestamp,timestamptz)
< timestamptz date bool true s timestamptz_lt_date(timestamptz,date)
< timestamptz timestamp bool true s timestamptz_lt_timestamp(timestamptz,timestamp)
< timestamptz timestamptz bool true i timestamptz_lt(timestamptz,timestamptz)
< timetz timetz bool true i timetz_lt(timetz,timetz)
< tsquery tsquery bool true i tsquery_lt(tsquery,tsquery)
< tsvector tsvector bool true i tsvector_lt(tsvector,tsvector)
< uuid uuid bool true i uuid_lt(uuid,uuid)
< varbit varbit bool true i varbitlt(varbit,varbit)
< xid8 xid8 bool true i xid8lt(xid8,xid8)
<-> box box float8 true i box_distance(box,box)
<-> box lseg float8 true i dist_bs(box,lseg)
<-> box point float8 true i dist_bp(box,point)
<-> circle circle float8 true i circle_distance(circle,circle)
<-> circle point float8 true i dist_cpoint(circle,point)
<-> circle polygon float8 true i dist_cpoly(circle,polygon)
<-> line line float8 true i line_distance(line,line)
<-> line lseg float8 true i dist_ls(line,lseg)
<-> line point float8 true i dist_lp(line,point)
<-> lseg box float8 true i dist_sb(lseg,box)
<-> lseg line float8 true i dist_sl(lseg,line)
<-> lseg lseg float8 true i lseg_distance(lseg,lseg)
<-> lseg point float8 true i dist_sp(lseg,point)
<-> path path float8 true i path_distance(path,path)
<-> path point float8 true i dist_pathp(path,point)
<-> point box float8 true i dist_pb(point,box)
<-> point circle float8 true i dist_pc(point,circle)
<-> point line float8 true i dist_pl(point,line)
<-> point lseg float8 true i dist_ps(point,lseg)
<-> point path float8 true i dist_ppath(point,path)
<-> point point float8 true i point_distance(point,point)
<-> point polygon float8 true i dist_ppoly(point,polygon)
<-> polygon circle float8 true i dist_polyc(polygon,circle)
<-> polygon point float8 true i dist_polyp(polygon,point)
<-> polygon polygon float8 true i poly_distance(polygon,polygon)
<-> tsquery tsquery tsquery true i tsquery_phrase(tsquery,tsquery)
<< anyrange anyrange bool true i range_before(anyrange,anyrange)
<< bit int4 bit true i bitshiftleft(bit,int4)
<< box box bool true i box_left(box,box)
<< circle circle bool true i circle_left(circle,circle)
<< inet inet bool true i network_sub(inet,inet)
<< int2 int4 int2 true i int2shl(int2,int4)
<< int4 int4 int4 true i int4shl(int4,int4)
<< int8 int4 int8 true i int8shl(int8,int4)
<< point point bool true i point_left(point,point)
<< polygon polygon bool true i poly_left(polygon,polygon)
<<= inet inet bool true i network_subeq(inet,inet)
<<| box box bool true i box_below(box,box)
<<| circle circle bool true i circle_below(circle,circle)
<<| point point bool true i point_below(point,point)
<<| polygon polygon bool true i poly_below(polygon,polygon)
<= anyarray anyarray bool true i array_le(anyarray,anyarray)
<= anyenum anyenum bool true i enum_le(anyenum,anyenum)
<= anyrange anyrange bool true i range_le(anyrange,anyrange)
<= bit bit bool true i bitle(bit,bit)
<= bool bool bool true i boolle(bool,bool)
<= box box bool true i box_le(box,box)
<= bpchar bpchar bool true i bpcharle(bpchar,bpchar)
<= bytea bytea bool true i byteale(bytea,bytea)
<= char char bool true i charle(char,char)
<= circle circle bool true i circle_le(circle,circle)
<= date date bool true i date_le(date,date)
<= date timestamp bool true i date_le_timestamp(date,timestamp)
<= date timestamptz bool true s date_le_timestamptz(date,timestamptz)
<= float4 float4 bool true i float4le(float4,float4)
<= float4 float8 bool true i float48le(float4,float8)
<= float8 float4 bool true i float84le(float8,float4)
<= float8 float8 bool true i float8le(float8,float8)
<= inet inet bool true i network_le(inet,inet)
<= int2 int2 bool true i int2le(int2,int2)
<= int2 int4 bool true i int24le(int2,int4)
<= int2 int8 bool true i int28le(int2,int8)
<= int4 int2 bool true i int42le(int4,int2)
<= int4 int4 bool true i int4le(int4,int4)
<= int4 int8 bool true i int48le(int4,int8)
<= int8 int2 bool true i int82le(int8,int2)
<= int8 int4 bool true i int84le(int8,int4)
<= int8 int8 bool true i int8le(int8,int8)
<= interval interval bool true i interval_le(interval,interval)
<= jsonb jsonb bool true i jsonb_le(jsonb,jsonb)
<= lseg lseg bool true i lseg_le(lseg,lseg)
<= macaddr macaddr bool true i macaddr_le(macaddr,macaddr)
<= macaddr8 macaddr8 bool true i macaddr8_le(macaddr8,macaddr8)
<= money money bool true i cash_le(money,money)
<= name name bool true i namele(name,name)
<= name text bool true i nameletext(name,text)
<= numeric numeric bool true i numeric_le(numeric,numeric)
<= oid oid bool true i oidle(oid,oid)
<= path path bool true i path_n_le(path,path)
<= pg_lsn pg_lsn bool true i pg_lsn_le(pg_lsn,pg_lsn)
<= text name bool true i textlename(text,name)
<= text text bool true i text_le(text,text)
<= tid tid bool true i tidle(tid,tid)
<= time time bool true i time_le(time,time)
<= timestamp date bool true i timestamp_le_date(timestamp,date)
<= timestamp timestamp bool true i timestamp_le(timestamp,timestamp)
<= timestamp timestamptz bool true s timestamp_le_timestamptz(timestamp,timestamptz)
<= timestamptz date bool true s timestamptz_le_date(timestamptz,date)
<= timestamptz timestamp bool true s timestamptz_le_timestamp(timestamptz,timestamp)
<= timestamptz timestamptz bool true i timestamptz_le(timestamptz,timestamptz)
<= timetz timetz bool true i timetz_le(timetz,timetz)
<= tsquery tsquery bool true i tsquery_le(tsquery,tsquery)
<= tsvector tsvector bool true i tsvector_le(tsvector,tsvector)
<= uuid uuid bool true i uuid_le(uuid,uuid)
<= varbit varbit bool true i varbitle(varbit,varbit)
<= xid8 xid8 bool true i xid8le(xid8,xid8)
<> anyarray anyarray bool true i array_ne(anyarray,anyarray)
<> anyenum anyenum bool true i enum_ne(anyenum,anyenum)
<> anyrange anyrange bool true i range_ne(anyrange,anyrange)
<> bit bit bool true i bitne(bit,bit)
<> bool bool bool true i boolne(bool,bool)
<> bpchar bpchar bool true i bpcharne(bpchar,bpchar)
<> bytea bytea bool true i byteane(bytea,bytea)
<> char char bool true i charne(char,char)
<> circle circle bool true i circle_ne(circle,circle)
<> date date bool true i date_ne(date,date)
<> date timestamp bool true i date_ne_timestamp(date,timestamp)
<> date timestamptz bool true s date_ne_timestamptz(date,timestamptz)
<> float4 float4 bool true i float4ne(float4,float4)
<> float4 float8 bool true i float48ne(float4,float8)
<> float8 float4 bool true i float84ne(float8,float4)
<> float8 float8 bool true i float8ne(float8,float8)
<> inet inet bool true i network_ne(inet,inet)
<> int2 int2 bool true i int2ne(int2,int2)
<> int2 int4 bool true i int24ne(int2,int4)
<> int2 int8 bool true i int28ne(int2,int8)
<> int4 int2 bool true i int42ne(int4,int2)
<> int4 int4 bool true i int4ne(int4,int4)
<> int4 int8 bool true i int48ne(int4,int8)
<> int8 int2 bool true i int82ne(int8,int2)
<> int8 int4 bool true i int84ne(int8,int4)
<> int8 int8 bool true i int8ne(int8,int8)
<> interval interval bool true i interval_ne(interval,interval)
<> jsonb jsonb bool true i jsonb_ne(jsonb,jsonb)
<> lseg lseg bool true i lseg_ne(lseg,lseg)
<> macaddr macaddr bool true i macaddr_ne(macaddr,macaddr)
<> macaddr8 macaddr8 bool true i macaddr8_ne(macaddr8,macaddr8)
<> money money bool true i cash_ne(money,money)
<> name name bool true i namene(name,name)
<> name text bool true i namenetext(name,text)
<> numeric numeric bool true i numeric_ne(numeric,numeric)
<> oid oid bool true i oidne(oid,oid)
<> pg_lsn pg_lsn bool true i pg_lsn_ne(pg_lsn,pg_lsn)
<> point point bool true i point_ne(point,point)
<> text name bool true i textnename(text,name)
<> text text bool true i textne(text,text)
<> tid tid bool true i tidne(tid,tid)
<> time time bool true i time_ne(time,time)
<> timestamp date bool true i timestamp_ne_date(timestamp,date)
<> timestamp timestamp bool true i timestamp_ne(timestamp,timestamp)
<> timestamp timestamptz bool true s timestamp_ne_timestamptz(timestamp,timestamptz)
<> timestamptz date bool true s timestamptz_ne_date(timestamptz,date)
<> timestamptz timestamp bool true s timestamptz_ne_timestamp(timestamptz,timestamp)
<> timestamptz timestamptz bool true i timestamptz_ne(timestamptz,timestamptz)
<> timetz timetz bool true i timetz_ne(timetz,timetz)
<> tsquery tsquery bool true i tsquery_ne(tsquery,tsquery)
<> tsvector tsvector bool true i tsvector_ne(tsvector,tsvector)
<> uuid uuid bool true i uuid_ne(uuid,uuid)
<> varbit varbit bool true i varbitne(varbit,varbit)
<> xid int4 bool true i xidneqint4(xid,int4)
<> xid xid bool true i xidneq(xid,xid)
<> xid8 xid8 bool true i xid8ne(xid8,xid8)
<@ anyarray anyarray bool true i arraycontained(anyarray,anyarray)
<@ anyelement anyrange bool true i elem_contained_by_range(anyelement,anyrange)
<@ anyrange anyrange bool true i range_contained_by(anyrange,anyrange)
<@ box box bool true i box_contained(box,box)
<@ circle circle bool true i circle_contained(circle,circle)
<@ jsonb jsonb bool true i jsonb_contained(jsonb,jsonb)
<@ lseg box bool true i on_sb(lseg,box)
<@ lseg line bool true i on_sl(lseg,line)
<@ point box bool true i on_pb(point,box)
<@ point circle bool true i pt_contained_circle(point,circle)
<@ point line bool true i on_pl(point,line)
<@ point lseg bool true i on_ps(point,lseg)
<@ point path bool true i on_ppath(point,path)
<@ point polygon bool true i pt_contained_poly(point,polygon)
<@ polygon polygon bool true i poly_contained(polygon,polygon)
<@ tsquery tsquery bool true i tsq_mcontained(tsquery,tsquery)
<^ box box bool true i box_below_eq(box,box)
<^ point point bool true i point_below(point,point)
= aclitem aclitem bool true i aclitemeq(aclitem,aclitem)
= anyarray anyarray bool true i array_eq(anyarray,anyarray)
= anyenum anyenum bool true i enum_eq(anyenum,anyenum)
= anyrange anyrange bool true i range_eq(anyrange,anyrange)
= bit bit bool true i biteq(bit,bit)
= bool bool bool true i booleq(bool,bool)
= box box bool true i box_eq(box,box)
= bpchar bpchar bool true i bpchareq(bpchar,bpchar)
= bytea bytea bool true i byteaeq(bytea,bytea)
= char char bool true i chareq(char,char)
= cid cid bool true i cideq(cid,cid)
= circle circle bool true i circle_eq(circle,circle)
= date date bool true i date_eq(date,date)
= date timestamp bool true i date_eq_timestamp(date,timestamp)
= date timestamptz bool true s date_eq_timestamptz(date,timestamptz)
= float4 float4 bool true i float4eq(float4,float4)
= float4 float8 bool true i float48eq(float4,float8)
= float8 float4 bool true i float84eq(float8,float4)
= float8 float8 bool true i float8eq(float8,float8)
= inet inet bool true i network_eq(inet,inet)
= int2 int2 bool true i int2eq(int2,int2)
= int2 int4 bool true i int24eq(int2,int4)
= int2 int8 bool true i int28eq(int2,int8)
= int4 int2 bool true i int42eq(int4,int2)
= int4 int4 bool true i int4eq(int4,int4)
= int4 int8 bool true i int48eq(int4,int8)
= int8 int2 bool true i int82eq(int8,int2)
= int8 int4 bool true i int84eq(int8,int4)
= int8 int8 bool true i int8eq(int8,int8)
= interval interval bool true i interval_eq(interval,interval)
= jsonb jsonb bool true i jsonb_eq(jsonb,jsonb)
= line line bool true i line_eq(line,line)
= lseg lseg bool true i lseg_eq(lseg,lseg)
= macaddr macaddr bool true i macaddr_eq(macaddr,macaddr)
= macaddr8 macaddr8 bool true i macaddr8_eq(macaddr8,macaddr8)
= money money bool true i cash_eq(money,money)
= name name bool true i nameeq(name,name)
= name text bool true i nameeqtext(name,text)
= numeric numeric bool true i numeric_eq(numeric,numeric)
= oid oid bool true i oideq(oid,oid)
= path path bool true i path_n_eq(path,path)
= pg_lsn pg_lsn bool true i pg_lsn_eq(pg_lsn,pg_lsn)
= text name bool true i texteqname(text,name)
= text text bool true i texteq(text,text)
= tid tid bool true i tideq(tid,tid)
= time time bool true i time_eq(time,time)
= timestamp date bool true i timestamp_eq_date(timestamp,date)
= timestamp timestamp bool true i timestamp_eq(timestamp,timestamp)
= timestamp timestamptz bool true s timestamp_eq_timestamptz(timestamp,timestamptz)
= timestamptz date bool true s timestamptz_eq_date(timestamptz,date)
= timestamptz timestamp bool true s timestamptz_eq_timestamp(timestamptz,timestamp)
= timestamptz timestamptz bool true i timestamptz_eq(timestamptz,timestamptz)
= timetz timetz bool true i timetz_eq(timetz,timetz)
= tsquery tsquery bool true i tsquery_eq(tsquery,tsquery)
= tsvector tsvector bool true i tsvector_eq(tsvector,tsvector)
= uuid uuid bool true i uuid_eq(uuid,uuid)
= varbit varbit bool true i varbiteq(varbit,varbit)
= xid int4 bool true i xideqint4(xid,int4)
= xid xid bool true i xideq(xid,xid)
= xid8 xid8 bool true i xid8eq(xid8,xid8)
> anyarray anyarray bool true i array_gt(anyarray,anyarray)
> anyenum anyenum bool true i enum_gt(anyenum,anyenum)
> anyrange anyrange bool true i range_gt(anyrange,anyrange)
> bit bit bool true i bitgt(bit,bit)
> bool bool bool true i boolgt(bool,bool)
> box box bool true i box_gt(box,box)
> bpchar bpchar bool true i bpchargt(bpchar,bpchar)
> bytea bytea bool true i byteagt(bytea,bytea)
> char char bool true i chargt(char,char)
> circle circle bool true i circle_gt(circle,circle)
> date date bool true i date_gt(date,date)
> date timestamp bool true i date_gt_timestamp(date,timestamp)
> date timestamptz bool true s date_gt_timestamptz(date,timestamptz)
> float4 float4 bool true i float4gt(float4,float4)
> float4 float8 bool true i float48gt(float4,float8)
> float8 float4 bool true i float84gt(float8,float4)
> float8 float8 bool true i float8gt(float8,float8)
> inet inet bool true i network_gt(inet,inet)
> int2 int2 bool true i int2gt(int2,int2)
> int2 int4 bool true i int24gt(int2,int4)
> int2 int8 bool true i int28gt(int2,int8)
> int4 int2 bool true i int42gt(int4,int2)
> int4 int4 bool true i int4gt(int4,int4)
> int4 int8 bool true i int48gt(int4,int8)
> int8 int2 bool true i int82gt(int8,int2)
> int8 int4 bool true i int84gt(int8,int4)
> int8 int8 bool true i int8gt(int8,int8)
> interval interval bool true i interval_gt(interval,interval)
> jsonb jsonb bool true i jsonb_gt(jsonb,jsonb)
> lseg lseg bool true i lseg_gt(lseg,lseg)
> macaddr macaddr bool true i macaddr_gt(macaddr,macaddr)
> macaddr8 macaddr8 bool true i macaddr8_gt(macaddr8,macaddr8)
> money money bool true i cash_gt(money,money)
> name name bool true i namegt(name,name)
> name text bool true i namegttext(name,text)
> numeric numeric bool true i numeric_gt(numeric,numeric)
> oid oid bool true i oidgt(oid,oid)
> path path bool true i path_n_gt(path,path)
> pg_lsn pg_lsn bool true i pg_lsn_gt(pg_lsn,pg_lsn)
> text name bool true i textgtname(text,name)
> text text bool true i text_gt(text,text)
> tid tid bool true i tidgt(tid,tid)
> time time bool true i time_gt(time,time)
> timestamp date bool true i timestamp_gt_date(timestamp,date)
> timestamp timestamp bool true i timestamp_gt(timestamp,timestamp)
> timestamp timestamptz bool true s timestamp_gt_timestamptz(timestamp,timestamptz)
> timestamptz date bool true s timestamptz_gt_date(timestamptz,date)
> timestamptz timestamp bool true s timestamptz_gt_timestamp(timestamptz,timestamp)
> timestamptz timestamptz bool true i timestamptz_gt(timestamptz,timestamptz)
> timetz timetz bool true i timetz_gt(timetz,timetz)
> tsquery tsquery bool true i tsquery_gt(tsquery,tsquery)
> tsvector tsvector bool true i tsvector_gt(tsvector,tsvector)
> uuid uuid bool true i uuid_gt(uuid,uuid)
> varbit varbit bool true i varbitgt(varbit,varbit)
> xid8 xid8 bool true i xid8gt(xid8,xid8)
>= anyarray anyarray bool true i array_ge(anyarray,anyarray)
>= anyenum anyenum bool true i enum_ge(anyenum,anyenum)
>= anyrange anyrange bool true i range_ge(anyrange,anyrange)
>= bit bit bool true i bitge(bit,bit)
>= bool bool bool true i boolge(bool,bool)
>= box box bool true i box_ge(box,box)
>= bpchar bpchar bool true i bpcharge(bpchar,bpchar)
>= bytea bytea bool true i byteage(bytea,bytea)
>= char char bool true i charge(char,char)
>= circle circle bool true i circle_ge(circle,circle)
>= date date bool true i date_ge(date,date)
>= date timestamp bool true i date_ge_timestamp(date,timestamp)
>= date timestamptz bool true s date_ge_timestamptz(date,timestamptz)
>= float4 float4 bool true i float4ge(float4,float4)
>= float4 float8 bool true i float48ge(float4,float8)
>= float8 float4 bool true i float84ge(float8,float4)
>= float8 float8 bool true i float8ge(float8,float8)
>= inet inet bool true i network_ge(inet,inet)
>= int2 int2 bool true i int2ge(int2,int2)
>= int2 int4 bool true i int24ge(int2,int4)
>= int2 int8 bool true i int28ge(int2,int8)
>= int4 int2 bool true i int42ge(int4,int2)
>= int4 int4 bool true i int4ge(int4,int4)
>= int4 int8 bool true i int48ge(int4,int8)
>= int8 int2 bool true i int82ge(int8,int2)
>= int8 int4 bool true i int84ge(int8,int4)
>= int8 int8 bool true i int8ge(int8,int8)
>= interval interval bool true i interval_ge(interval,interval)
>= jsonb jsonb bool true i jsonb_ge(jsonb,jsonb)
>= lseg lseg bool true i lseg_ge(lseg,lseg)
>= macaddr macaddr bool true i macaddr_ge(macaddr,macaddr)
>= macaddr8 macaddr8 bool true i macaddr8_ge(macaddr8,macaddr8)
>= money money bool true i cash_ge(money,money)
>= name name bool true i namege(name,name)
>= name text bool true i namegetext(name,text)
>= numeric numeric bool true i numeric_ge(numeric,numeric)
>= oid oid bool true i oidge(oid,oid)
>= path path bool true i path_n_ge(path,path)
>= pg_lsn pg_lsn bool true i pg_lsn_ge(pg_lsn,pg_lsn)
>= text name bool true i textgename(text,name)
>= text text bool true i text_ge(text,text)
>= tid tid bool true i tidge(tid,tid)
>= time time bool true i time_ge(time,time)
>= timestamp date bool true i timestamp_ge_date(timestamp,date)
>= timestamp timestamp bool true i timestamp_ge(timestamp,timestamp)
>= timestamp timestamptz bool true s timestamp_ge_timestamptz(timestamp,timestamptz)
>= timestamptz date bool true s timestamptz_ge_date(timestamptz,date)
>= timestamptz timestamp bool true s timestamptz_ge_timestamp(timestamptz,timestamp)
>= timestamptz timestamptz bool true i timestamptz_ge(timestamptz,timestamptz)
>= timetz timetz bool true i timetz_ge(timetz,timetz)
>= tsquery tsquery bool true i tsquery_ge(tsquery,tsquery)
>= tsvector tsvector bool true i tsvector_ge(tsvector,tsvector)
>= uuid uuid bool true i uuid_ge(uuid,uuid)
>= varbit varbit bool true i varbitge(varbit,varbit)
>= xid8 xid8 bool true i xid8ge(xid8,xid8)
>> anyrange anyrange bool true i range_after(anyrange,anyrange)
>> bit int4 bit true i bitshiftright(bit,int4)
>> box box bool true i box_right(box,box)
>> circle circle bool true i circle_right(circle,circle)
>> inet inet bool true i network_sup(inet,inet)
>> int2 int4 int2 true i int2shr(int2,int4)
>> int4 int4 int4 true i int4shr(int4,int4)
>> int8 int4 int8 true i int8shr(int8,int4)
>> point point bool true i point_right(point,point)
>> polygon polygon bool true i poly_right(polygon,polygon)
>>= inet inet bool true i network_supeq(inet,inet)
>^ box box bool true i box_above_eq(box,box)
>^ point point bool true i point_above(point,point)
? jsonb text bool true i jsonb_exists(jsonb,text)
?# box box bool true i box_overlap(box,box)
?# line box bool true i inter_lb(line,box)
?# line line bool true i line_intersect(line,line)
?# lseg box bool true i inter_sb(lseg,box)
?# lseg line bool true i inter_sl(lseg,line)
?# lseg lseg bool true i lseg_intersect(lseg,lseg)
?# path path bool true i path_inter(path,path)
?& jsonb text[] bool true i jsonb_exists_all(jsonb,text[])
?- - line bool true i line_horizontal(line)
?- - lseg bool true i lseg_horizontal(lseg)
?- point point bool true i point_horiz(point,point)
?-| line line bool true i line_perp(line,line)
?-| lseg lseg bool true i lseg_perp(lseg,lseg)
?| - line bool true i line_vertical(line)
?| - lseg bool true i lseg_vertical(lseg)
?| jsonb text[] bool true i jsonb_exists_any(jsonb,text[])
?| point point bool true i point_vert(point,point)
?|| line line bool true i line_parallel(line,line)
?|| lseg lseg bool true i lseg_parallel(lseg,lseg)
@ - float4 float4 true i float4abs(float4)
@ - float8 float8 true i float8abs(float8)
@ - int2 int2 true i int2abs(int2)
@ - int4 int4 true i int4abs(int4)
@ - int8 int8 true i int8abs(int8)
@ - numeric numeric true i numeric_abs(numeric)
@-@ - lseg float8 true i lseg_length(lseg)
@-@ - path float8 true i path_length(path)
@> aclitem[] aclitem bool true i aclcontains(aclitem[],aclitem)
@> anyarray anyarray bool true i arraycontains(anyarray,anyarray)
@> anyrange anyelement bool true i range_contains_elem(anyrange,anyelement)
@> anyrange anyrange bool true i range_contains(anyrange,anyrange)
@> box box bool true i box_contain(box,box)
@> box point bool true i box_contain_pt(box,point)
@> circle circle bool true i circle_contain(circle,circle)
@> circle point bool true i circle_contain_pt(circle,point)
@> jsonb jsonb bool true i jsonb_contains(jsonb,jsonb)
@> path point bool true i path_contain_pt(path,point)
@> polygon point bool true i poly_contain_pt(polygon,point)
@> polygon polygon bool true i poly_contain(polygon,polygon)
@> tsquery tsquery bool true i tsq_mcontains(tsquery,tsquery)
@? jsonb jsonpath bool true i jsonb_path_exists_opr(jsonb,jsonpath)
@@ - box point true i box_center(box)
@@ - circle point true i circle_center(circle)
@@ - lseg point true i lseg_center(lseg)
@@ - polygon point true i poly_center(polygon)
@@ jsonb jsonpath bool true i jsonb_path_match_opr(jsonb,jsonpath)
@@ text text bool true s ts_match_tt(text,text)
@@ text tsquery bool true s ts_match_tq(text,tsquery)
@@ tsquery tsvector bool true i ts_match_qv(tsquery,tsvector)
@@ tsvector tsquery bool true i ts_match_vq(tsvector,tsquery)
@@@ tsquery tsvector bool true i ts_match_qv(tsquery,tsvector)
@@@ tsvector tsquery bool true i ts_match_vq(tsvector,tsquery)
^ float8 float8 float8 true i dpow(float8,float8)
^ numeric numeric numeric true i numeric_power(numeric,numeric)
^@ text text bool true i starts_with(text,text)
| bit bit bit true i bitor(bit,bit)
| inet inet inet true i inetor(inet,inet)
| int2 int2 int2 true i int2or(int2,int2)
| int4 int4 int4 true i int4or(int4,int4)
| int8 int8 int8 true i int8or(int8,int8)
| macaddr macaddr macaddr true i macaddr_or(macaddr,macaddr)
| macaddr8 macaddr8 macaddr8 true i macaddr8_or(macaddr8,macaddr8)
|&> box box bool true i box_overabove(box,box)
|&> circle circle bool true i circle_overabove(circle,circle)
|&> polygon polygon bool true i poly_overabove(polygon,polygon)
|/ - float8 float8 true i dsqrt(float8)
|>> box box bool true i box_above(box,box)
|>> circle circle bool true i circle_above(circle,circle)
|>> point point bool true i point_above(point,point)
|>> polygon polygon bool true i poly_above(polygon,polygon)
|| anycompatible anycompatiblearray anycompatiblearray false i array_prepend(anycompatible,anycompatiblearray)
|| anycompatiblearray anycompatible anycompatiblearray false i array_append(anycompatiblearray,anycompatible)
|| anycompatiblearray anycompatiblearray anycompatiblearray false i array_cat(anycompatiblearray,anycompatiblearray)
|| anynonarray text text true s anytextcat(anynonarray,text)
|| bytea bytea bytea true i byteacat(bytea,bytea)
|| jsonb jsonb jsonb true i jsonb_concat(jsonb,jsonb)
|| text anynonarray text true s textanycat(text,anynonarray)
|| text text text true i textcat(text,text)
|| tsquery tsquery tsquery true i tsquery_or(tsquery,tsquery)
|| tsvector tsvector tsvector true i tsvector_concat(tsvector,tsvector)
|| varbit varbit varbit true i bitcat(varbit,varbit)
||/ - float8 float8 true i dcbrt(float8)
~ - bit bit true i bitnot(bit)
~ - inet inet true i inetnot(inet)
~ - int2 int2 true i int2not(int2)
~ - int4 int4 true i int4not(int4)
~ - int8 int8 true i int8not(int8)
~ - macaddr macaddr true i macaddr_not(macaddr)
~ - macaddr8 macaddr8 true i macaddr8_not(macaddr8)
~ bpchar text bool true i bpcharregexeq(bpchar,text)
~ name text bool true i nameregexeq(name,text)
~ text text bool true i textregexeq(text,text)
~* bpchar text bool true i bpcharicregexeq(bpchar,text)
~* name text bool true i nameicregexeq(name,text)
~* text text bool true i texticregexeq(text,text)
~<=~ bpchar bpchar bool true i bpchar_pattern_le(bpchar,bpchar)
~<=~ text text bool true i text_pattern_le(text,text)
~<~ bpchar bpchar bool true i bpchar_pattern_lt(bpchar,bpchar)
~<~ text text bool true i text_pattern_lt(text,text)
~= box box bool true i box_same(box,box)
~= circle circle bool true i circle_same(circle,circle)
~= point point bool true i point_eq(point,point)
~= polygon polygon bool true i poly_same(polygon,polygon)
~>=~ bpchar bpchar bool true i bpchar_pattern_ge(bpchar,bpchar)
~>=~ text text bool true i text_pattern_ge(text,text)
~>~ bpchar bpchar bool true i bpchar_pattern_gt(bpchar,bpchar)
~>~ text text bool true i text_pattern_gt(text,text)
~~ bpchar text bool true i bpcharlike(bpchar,text)
~~ bytea bytea bool true i bytealike(bytea,bytea)
~~ name text bool true i namelike(name,text)
~~ text text bool true i textlike(text,text)
~~* bpchar text bool true i bpchariclike(bpchar,text)
~~* name text bool true i nameiclike(name,text)
~~* text text bool true i texticlike(text,text)
`;

/** function result strict variadic volatility */
export const FUNCTIONS = `
abs(float4) float4 true false i
abs(float8) float8 true false i
abs(int2) int2 true false i
abs(int4) int4 true false i
abs(int8) int8 true false i
abs(numeric) numeric true false i
array_append(anycompatiblearray,anycompatible) anycompatiblearray false false i
array_cat(anycompatiblearray,anycompatiblearray) anycompatiblearray false false i
array_length(anyarray,int4) int4 true false i
array_lower(anyarray,int4) int4 true false i
array_ndims(anyarray) int4 true false i
array_position(anycompatiblearray,anycompatible) int4 false false i
array_position(anycompatiblearray,anycompatible,int4) int4 false false i
array_prepend(anycompatible,anycompatiblearray) anycompatiblearray false false i
array_remove(anycompatiblearray,anycompatible) anycompatiblearray false false i
array_replace(anycompatiblearray,anycompatible,anycompatible) anycompatiblearray false false i
array_upper(anyarray,int4) int4 true false i
ascii(text) int4 true false i
bit_length(bit) int4 true false i
bit_length(bytea) int4 true false i
bit_length(text) int4 true false i
broadcast(inet) inet true false i
btrim(bytea,bytea) bytea true false i
btrim(text) text true false i
btrim(text,text) text true false i
cardinality(anyarray) int4 true false i
ceil(float8) float8 true false i
ceil(numeric) numeric true false i
ceiling(float8) float8 true false i
ceiling(numeric) numeric true false i
char_length(bpchar) int4 true false i
char_length(text) int4 true false i
character_length(bpchar) int4 true false i
character_length(text) int4 true false i
chr(int4) text true false i
concat(any) text false true s
concat_ws(text,any) text false true s
date_part(text,date) float8 true false i
date_part(text,interval) float8 true false i
date_part(text,time) float8 true false i
date_part(text,timestamp) float8 true false i
date_part(text,timestamptz) float8 true false s
date_part(text,timetz) float8 true false i
date_trunc(text,interval) interval true false i
date_trunc(text,timestamp) timestamp true false i
date_trunc(text,timestamptz) timestamptz true false s
date_trunc(text,timestamptz,text) timestamptz true false i
daterange(date,date) daterange false false i
daterange(date,date,text) daterange false false i
div(numeric,numeric) numeric true false i
extract(text,date) numeric true false i
extract(text,interval) numeric true false i
extract(text,time) numeric true false i
extract(text,timestamp) numeric true false i
extract(text,timestamptz) numeric true false s
extract(text,timetz) numeric true false i
family(inet) int4 true false i
floor(float8) float8 true false i
floor(numeric) numeric true false i
gcd(int4,int4) int4 true false i
gcd(int8,int8) int8 true false i
gcd(numeric,numeric) numeric true false i
host(inet) text true false i
inet_same_family(inet,inet) bool true false i
int4range(int4,int4) int4range false false i
int4range(int4,int4,text) int4range false false i
int8range(int8,int8) int8range false false i
int8range(int8,int8,text) int8range false false i
isempty(anyrange) bool true false i
isfinite(date) bool true false i
isfinite(interval) bool true false i
isfinite(timestamp) bool true false i
isfinite(timestamptz) bool true false i
jsonb_array_length(jsonb) int4 true false i
jsonb_typeof(jsonb) text true false i
justify_days(interval) interval true false i
justify_hours(interval) interval true false i
justify_interval(interval) interval true false i
lcm(int4,int4) int4 true false i
lcm(int8,int8) int8 true false i
lcm(numeric,numeric) numeric true false i
left(text,int4) text true false i
length(bit) int4 true false i
length(bpchar) int4 true false i
length(bytea) int4 true false i
length(bytea,name) int4 true false s
length(lseg) float8 true false i
length(path) float8 true false i
length(text) int4 true false i
length(tsvector) int4 true false i
like(bytea,bytea) bool true false i
like(name,text) bool true false i
like(text,text) bool true false i
lower(anyrange) anyelement true false i
lower(text) text true false i
lower_inc(anyrange) bool true false i
lower_inf(anyrange) bool true false i
lpad(text,int4) text true false i
lpad(text,int4,text) text true false i
ltrim(bytea,bytea) bytea true false i
ltrim(text) text true false i
ltrim(text,text) text true false i
make_date(int4,int4,int4) date true false i
make_time(int4,int4,float8) time true false i
masklen(inet) int4 true false i
md5(bytea) text true false i
md5(text) text true false i
min_scale(numeric) int4 true false i
mod(int2,int2) int2 true false i
mod(int4,int4) int4 true false i
mod(int8,int8) int8 true false i
mod(numeric,numeric) numeric true false i
netmask(inet) inet true false i
network(inet) cidr true false i
notlike(bytea,bytea) bool true false i
notlike(name,text) bool true false i
notlike(text,text) bool true false i
num_nonnulls(any) int4 false true i
num_nulls(any) int4 false true i
numrange(numeric,numeric) numrange false false i
numrange(numeric,numeric,text) numrange false false i
octet_length(bit) int4 true false i
octet_length(bpchar) int4 true false i
octet_length(bytea) int4 true false i
octet_length(text) int4 true false i
overlay(bit,bit,int4) bit true false i
overlay(bit,bit,int4,int4) bit true false i
overlay(bytea,bytea,int4) bytea true false i
overlay(bytea,bytea,int4,int4) bytea true false i
overlay(text,text,int4) text true false i
overlay(text,text,int4,int4) text true false i
position(bit,bit) int4 true false i
position(bytea,bytea) int4 true false i
position(text,text) int4 true false i
pow(float8,float8) float8 true false i
pow(numeric,numeric) numeric true false i
power(float8,float8) float8 true false i
power(numeric,numeric) numeric true false i
repeat(text,int4) text true false i
replace(text,text,text) text true false i
reverse(bytea) bytea true false i
reverse(text) text true false i
right(text,int4) text true false i
round(float8) float8 true false i
round(numeric) numeric true false i
round(numeric,int4) numeric true false i
rpad(text,int4) text true false i
rpad(text,int4,text) text true false i
rtrim(bytea,bytea) bytea true false i
rtrim(text) text true false i
rtrim(text,text) text true false i
scale(numeric) int4 true false i
set_masklen(cidr,int4) cidr true false i
set_masklen(inet,int4) inet true false i
sign(float8) float8 true false i
sign(numeric) numeric true false i
split_part(text,text,int4) text true false i
sqrt(float8) float8 true false i
sqrt(numeric) numeric true false i
starts_with(text,text) bool true false i
strpos(text,text) int4 true false i
substr(bytea,int4) bytea true false i
substr(bytea,int4,int4) bytea true false i
substr(text,int4) text true false i
substr(text,int4,int4) text true false i
substring(bit,int4) bit true false i
substring(bit,int4,int4) bit true false i
substring(bytea,int4) bytea true false i
substring(bytea,int4,int4) bytea true false i
substring(text,int4) text true false i
substring(text,int4,int4) text true false i
substring(text,text) text true false i
substring(text,text,text) text true false i
timezone(interval,timestamp) timestamptz true false i
timezone(interval,timestamptz) timestamp true false i
timezone(interval,timetz) timetz true false i
timezone(text,timestamp) timestamptz true false i
timezone(text,timestamptz) timestamp true false i
timezone(text,timetz) timetz true false s
translate(text,text,text) text true false i
trim_scale(numeric) numeric true false i
trunc(float8) float8 true false i
trunc(macaddr) macaddr true false i
trunc(macaddr8) macaddr8 true false i
trunc(numeric) numeric true false i
trunc(numeric,int4) numeric true false i
tsrange(timestamp,timestamp) tsrange false false i
tsrange(timestamp,timestamp,text) tsrange false false i
tstzrange(timestamptz,timestamptz) tstzrange false false i
tstzrange(timestamptz,timestamptz,text) tstzrange false false i
upper(anyrange) anyelement true false i
upper(text) text true false i
upper_inc(anyrange) bool true false i
upper_inf(anyrange) bool true false i
`;

/** source target context method volatility function */
export const CASTS = `
bit bit i f i bit(bit,int4,bool)
bit int4 e f i int4(bit)
bit int8 e f i int8(bit)
bit varbit i b i
bool bpchar a f i text(bool)
bool int4 e f i int4(bool)
bool text a f i text(bool)
bool varchar a f i text(bool)
box circle e f i circle(box)
box lseg e f i lseg(box)
box point e f i point(box)
box polygon a f i polygon(box)
bpchar bpchar i f i bpchar(bpchar,int4,bool)
bpchar char a f i char(text)
bpchar name i f i name(bpchar)
bpchar text i f i text(bpchar)
bpchar varchar i f i text(bpchar)
bpchar xml e f s xml(text)
bytea int2 e f i int2(bytea)
bytea int4 e f i int4(bytea)
bytea int8 e f i int8(bytea)
char bpchar a f i bpchar(char)
char int4 e f i int4(char)
char text i f i text(char)
char varchar a f i text(char)
cidr bpchar a f i text(inet)
cidr inet i b i
cidr text a f i text(inet)
cidr varchar a f i text(inet)
circle box e f i box(circle)
circle point e f i point(circle)
circle polygon e f i polygon(circle)
date timestamp i f i timestamp(date)
date timestamptz i f s timestamptz(date)
float4 float8 i f i float8(float4)
float4 int2 a f i int2(float4)
float4 int4 a f i int4(float4)
float4 int8 a f i int8(float4)
float4 numeric a f i numeric(float4)
float8 float4 a f i float4(float8)
float8 int2 a f i int2(float8)
float8 int4 a f i int4(float8)
float8 int8 a f i int8(float8)
float8 numeric a f i numeric(float8)
inet bpchar a f i text(inet)
inet cidr a f i cidr(inet)
inet text a f i text(inet)
inet varchar a f i text(inet)
int2 bytea e f i bytea(int2)
int2 float4 i f i float4(int2)
int2 float8 i f i float8(int2)
int2 int4 i f i int4(int2)
int2 int8 i f i int8(int2)
int2 numeric i f i numeric(int2)
int2 oid i f i int4(int2)
int2 regclass i f i int4(int2)
int2 regcollation i f i int4(int2)
int2 regconfig i f i int4(int2)
int2 regdictionary i f i int4(int2)
int2 regnamespace i f i int4(int2)
int2 regoper i f i int4(int2)
int2 regoperator i f i int4(int2)
int2 regproc i f i int4(int2)
int2 regprocedure i f i int4(int2)
int2 regrole i f i int4(int2)
int2 regtype i f i int4(int2)
int4 bit e f i bit(int4,int4)
int4 bool e f i bool(int4)
int4 bytea e f i bytea(int4)
int4 char e f i char(int4)
int4 float4 i f i float4(int4)
int4 float8 i f i float8(int4)
int4 int2 a f i int2(int4)
int4 int8 i f i int8(int4)
int4 money a f s money(int4)
int4 numeric i f i numeric(int4)
int4 oid i b i
int4 regclass i b i
int4 regcollation i b i
int4 regconfig i b i
int4 regdictionary i b i
int4 regnamespace i b i
int4 regoper i b i
int4 regoperator i b i
int4 regproc i b i
int4 regprocedure i b i
int4 regrole i b i
int4 regtype i b i
int8 bit e f i bit(int8,int4)
int8 bytea e f i bytea(int8)
int8 float4 i f i float4(int8)
int8 float8 i f i float8(int8)
int8 int2 a f i int2(int8)
int8 int4 a f i int4(int8)
int8 money a f s money(int8)
int8 numeric i f i numeric(int8)
int8 oid i f i oid(int8)
int8 regclass i f i oid(int8)
int8 regcollation i f i oid(int8)
int8 regconfig i f i oid(int8)
int8 regdictionary i f i oid(int8)
int8 regnamespace i f i oid(int8)
int8 regoper i f i oid(int8)
int8 regoperator i f i oid(int8)
int8 regproc i f i oid(int8)
int8 regprocedure i f i oid(int8)
int8 regrole i f i oid(int8)
int8 regtype i f i oid(int8)
interval interval i f i interval(interval,int4)
interval time a f i time(interval)
json jsonb a i i
jsonb bool e f i bool(jsonb)
jsonb float4 e f i float4(jsonb)
jsonb float8 e f i float8(jsonb)
jsonb int2 e f i int2(jsonb)
jsonb int4 e f i int4(jsonb)
jsonb int8 e f i int8(jsonb)
jsonb json a i i
jsonb numeric e f i numeric(jsonb)
lseg point e f i point(lseg)
macaddr macaddr8 i f i macaddr8(macaddr)
macaddr8 macaddr i f i macaddr(macaddr8)
money numeric a f s numeric(money)
name bpchar a f i bpchar(name)
name text i f i text(name)
name varchar a f i varchar(name)
numeric float4 i f i float4(numeric)
numeric float8 i f i float8(numeric)
numeric int2 a f i int2(numeric)
numeric int4 a f i int4(numeric)
numeric int8 a f i int8(numeric)
numeric money a f s money(numeric)
numeric numeric i f i numeric(numeric,int4)
oid int4 a b i
oid int8 a f i int8(oid)
oid regclass i b i
oid regcollation i b i
oid regconfig i b i
oid regdictionary i b i
oid regnamespace i b i
oid regoper i b i
oid regoperator i b i
oid regproc i b i
oid regprocedure i b i
oid regrole i b i
oid regtype i b i
path polygon a f i polygon(path)
point box a f i box(point)
polygon box e f i box(polygon)
polygon circle e f i circle(polygon)
polygon path a f i path(polygon)
polygon point e f i point(polygon)
regclass int4 a b i
regclass int8 a f i int8(oid)
regclass oid i b i
regcollation int4 a b i
regcollation int8 a f i int8(oid)
regcollation oid i b i
regconfig int4 a b i
regconfig int8 a f i int8(oid)
regconfig oid i b i
regdictionary int4 a b i
regdictionary int8 a f i int8(oid)
regdictionary oid i b i
regnamespace int4 a b i
regnamespace int8 a f i int8(oid)
regnamespace oid i b i
regoper int4 a b i
regoper int8 a f i int8(oid)
regoper oid i b i
regoper regoperator i b i
regoperator int4 a b i
regoperator int8 a f i int8(oid)
regoperator oid i b i
regoperator regoper i b i
regproc int4 a b i
regproc int8 a f i int8(oid)
regproc oid i b i
regproc regprocedure i b i
regprocedure int4 a b i
regprocedure int8 a f i int8(oid)
regprocedure oid i b i
regprocedure regproc i b i
regrole int4 a b i
regrole int8 a f i int8(oid)
regrole oid i b i
regtype int4 a b i
regtype int8 a f i int8(oid)
regtype oid i b i
text bpchar i b i
text char a f i char(text)
text name i f i name(text)
text regclass i f s regclass(text)
text varchar i b i
text xml e f s xml(text)
time interval i f i interval(time)
time time i f i time(time,int4)
time timetz i f s timetz(time)
timestamp date a f i date(timestamp)
timestamp time a f i time(timestamp)
timestamp timestamp i f i timestamp(timestamp,int4)
timestamp timestamptz i f s timestamptz(timestamp)
timestamptz date a f s date(timestamptz)
timestamptz time a f s time(timestamptz)
timestamptz timestamp a f s timestamp(timestamptz)
timestamptz timestamptz i f i timestamptz(timestamptz,int4)
timestamptz timetz a f s timetz(timestamptz)
timetz time a f i time(timetz)
timetz timetz i f i timetz(timetz,int4)
varbit bit i b i
varbit varbit i f i varbit(varbit,int4,bool)
varchar bpchar i b i
varchar char a f i char(text)
varchar name i f i name(varchar)
varchar regclass i f s regclass(text)
varchar text i b i
varchar varchar i f i varchar(varchar,int4,bool)
varchar xml e f s xml(text)
xid8 xid e f i xid(xid8)
xml bpchar a b i
xml text a b i
xml varchar a b i
`;
