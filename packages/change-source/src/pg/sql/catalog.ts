import type { Lsn } from '@shapecast/log';
import type { ColumnInfo, RelationInfo, UserType } from '@shapecast/shape';
import { rowOf, rowsOf, type Queryable, type TextRow } from './query.ts';
import { requireLsn } from './replication.ts';

/** Oids from here on are of types that somebody created. */
const FIRST_USER_OID = 16_384;

/** Permanent ordinary and partitioned tables (spec R 10.3.9). */
const SYNCABLE = `c.relkind in ('r', 'p') and c.relpersistence = 'p'
       and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')`;

/**
 * A row for each column of the tables that `filter` leaves; only of those that can be synced, and only if they have columns. The
 * casing keeps what built-in types do not have from being looked for.
 */
function columnsWhere(filter: string): string {
  return `
     select c.oid, c.relkind, a.attname, a.attnum, a.atttypid,
       coalesce(e.typname, t.typname) as type_name, coalesce(en.nspname, tn.nspname) as type_schema,
       coalesce(e.typtype, t.typtype) as type_kind,
       case when e.oid is null then 0 else greatest(a.attndims, 1) end as dims,
       a.atttypmod, a.attnotnull, a.attgenerated, k.place - 1 as key_place,
       case when l.collprovider = 'd' then d.provider else l.collprovider::text end as provider,
       case when l.collprovider = 'd' then d.collate else coalesce(l.collcollate, l.icu_locale) end as collate,
       case when l.collprovider = 'd' then d.ctype else coalesce(l.collctype, l.icu_locale) end as ctype,
       l.collisdeterministic,
       case when coalesce(e.typtype, t.typtype) = 'e' then
         (select json_agg(x.enumlabel order by x.enumsortorder) from pg_enum x where x.enumtypid = coalesce(e.oid, t.oid))
       end as labels,
       case when t.typtype = 'd' then
         (with recursive b(oid) as (
            select t.oid union all select u.typbasetype from b join pg_type u on u.oid = b.oid where u.typtype = 'd'
          ) select b.oid from b join pg_type u on u.oid = b.oid where u.typtype <> 'd')
       end as base,
       d.provider as database_provider, d.collate as database_collate, d.ctype as database_ctype, true as database_deterministic,
       current_setting('server_version_num')::int >= 180000 as publishes_generated,
       case when t.oid >= ${FIRST_USER_OID} then (${userTypesBelow('t.oid')}) end as user_types,
       n.nspname as schema_name, c.relname, a.xmin as version
     from pg_class c
     join pg_namespace n on n.oid = c.relnamespace
     join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     join pg_type t on t.oid = a.atttypid
     join pg_namespace tn on tn.oid = t.typnamespace
     left join pg_type e on e.oid = t.typelem and e.typarray = t.oid
     left join pg_namespace en on en.oid = e.typnamespace
     left join (
       -- Its name was another one in 15 and 16.
       select o.*, coalesce(to_jsonb(o) ->> 'colllocale', to_jsonb(o) ->> 'colliculocale') as icu_locale from pg_collation o
     ) l on l.oid = a.attcollation
     -- Through JSON: which columns describe the default collation differs between versions. The builtin provider has its
     -- locale apart; what libc would use stands beside it.
     cross join (
       select coalesce(s ->> 'datlocprovider', 'c') as provider,
         case when s ->> 'datlocprovider' = 'b' then s ->> 'datlocale' else s ->> 'datcollate' end as collate,
         case when s ->> 'datlocprovider' = 'b' then s ->> 'datlocale' else s ->> 'datctype' end as ctype
       from (select to_jsonb(o) as s from pg_database o where o.datname = current_database()) o
     ) d
     left join pg_index i on i.indrelid = c.oid and i.indisprimary
     left join lateral unnest(i.indkey) with ordinality as k(attnum, place)
       on k.attnum = a.attnum and k.place <= i.indnkeyatts
     where ${filter} and ${SYNCABLE}`;
}

/** The enums and composites that a type is made of, itself among them. */
function userTypesBelow(oid: string): string {
  return `
    with recursive reach(oid) as (
      select ${oid}
      union
      select next.oid from reach r join pg_type y on y.oid = r.oid
      cross join lateral (
        select y.typelem union all select y.typbasetype
        union all select g.rngsubtype from pg_range g where y.oid in (g.rngtypid, g.rngmultitypid)
        union all select m.atttypid from pg_attribute m
          where y.typtype = 'c' and m.attrelid = y.typrelid and m.attnum > 0 and not m.attisdropped
      ) as next(oid) where next.oid >= ${FIRST_USER_OID}
    )
    select json_agg(case y.typtype
        when 'e' then json_build_object('oid', y.oid::bigint, 'labels', (
          select coalesce(json_agg(x.enumlabel order by x.oid), '[]') from pg_enum x where x.enumtypid = y.oid))
        else json_build_object('oid', y.oid::bigint, 'attributes', (
          select coalesce(json_agg(json_build_array(m.attnum, m.atttypid::bigint, m.atttypmod) order by m.attnum), '[]')
          from pg_attribute m where m.attrelid = y.typrelid and m.attnum > 0 and not m.attisdropped))
      end order by y.oid)
    from reach r join pg_type y on y.oid = r.oid where y.typtype in ('e', 'c')`;
}

/** The table as the catalog has it. */
export async function readRelation(db: Queryable, schema: string, table: string): Promise<RelationInfo | undefined> {
  const text = `${columnsWhere('n.nspname = $1 and c.relname = $2')} order by a.attnum`;
  const rows = await rowsOf(db, text, [schema, table]);
  return rows.length === 0 ? undefined : toRelation(rows);
}

/** A table with what tells whether a column was altered: the version of its description, which grows with nothing else. */
export interface DescribedTable {
  readonly relation: RelationInfo;
  /** 32-bit transaction id by `attnum`. */
  readonly versions: ReadonlyMap<number, number>;
}

/** Those of the tables that can be synced, by oid. */
export async function readRelations(db: Queryable, oids: readonly number[]): Promise<Map<number, DescribedTable>> {
  const rows = await rowsOf(db, `${columnsWhere('c.oid = any($1::oid[])')} order by c.oid, a.attnum`, [oids]);
  const byOid = new Map<number, TextRow[]>();
  for (const row of rows) {
    const oid = Number(row[0]);
    const known = byOid.get(oid);
    if (known) known.push(row);
    else byOid.set(oid, [row]);
  }
  return new Map(
    [...byOid].map(([oid, columns]) => {
      const versions = new Map(columns.map((row) => [Number(row[3]), Number(row[27])]));
      return [oid, { relation: toRelation(columns), versions }];
    }),
  );
}

/**
 * A digest by oid of what `readRelations` would tell of those tables, but for the names of types. Whatever is done to a column
 * writes its row of `pg_attribute` anew, so that transaction ids stand for all that is in it; what types are made of is looked up
 * once for each type.
 */
export async function readDigests(db: Queryable, oids: readonly number[]): Promise<Map<number, string>> {
  const rows = await rowsOf(
    db,
    `with col as materialized (
       select a.attrelid, a.attnum, a.atttypid, a.attisdropped, a.xmin as version
       from pg_attribute a where a.attrelid = any($1::oid[]) and a.attnum > 0
     ),
     made as materialized (
       select u.oid, (${userTypesBelow('u.oid')})::text as parts
       from (select distinct atttypid as oid from col where atttypid >= ${FIRST_USER_OID} and not attisdropped) u
     )
     select c.oid, left(encode(sha256(convert_to(concat_ws('/', n.nspname, c.relname, c.relkind,
         (select string_agg(i.indnkeyatts || ':' || i.indkey::text, ',') from pg_index i where i.indrelid = c.oid and i.indisprimary),
         d.columns), 'UTF8')), 'hex'), 32)
     from (
       select col.attrelid, bool_or(not attisdropped) as any_left,
         string_agg(concat_ws(':', attnum, version, made.parts), ',' order by attnum) as columns
       from col left join made on made.oid = col.atttypid group by col.attrelid
     ) d
     join pg_class c on c.oid = d.attrelid join pg_namespace n on n.oid = c.relnamespace
     where d.any_left and ${SYNCABLE}`,
    [oids],
  );
  return new Map(rows.map(([oid, digest]) => [Number(oid), digest as string]));
}

/** From the rows of all its columns. */
function toRelation(rows: readonly TextRow[]): RelationInfo {
  const first = rows[0] as TextRow;
  const databaseCollation = toCollation(first.slice(19));
  return {
    oid: Number(first[0]),
    schema: first[25] as string,
    name: first[26] as string,
    kind: first[1] as 'r' | 'p',
    columns: rows.map(toColumn),
    ...(databaseCollation === undefined ? {} : { databaseCollation }),
    ...(first[23] === 't' ? { publishesGenerated: true } : {}),
  };
}

function toColumn(row: (string | null)[]): ColumnInfo {
  const [, , name, attnum, typeOid, typeName, typeSchema, typeKind, dims, typeMod, notNull, generated, pkIndex] = row;
  const collation = toCollation(row.slice(13));
  const enumLabels = row[17];
  const baseTypeOid = row[18];
  const userTypes = row[24];
  return {
    name: name as string,
    attnum: Number(attnum),
    typeOid: Number(typeOid),
    typeName: typeName as string,
    typeSchema: typeSchema as string,
    typeKind: typeKind as string,
    dims: Number(dims),
    typeMod: Number(typeMod),
    notNull: notNull === 't',
    generated: generated === 's' ? 'stored' : generated === 'v' ? 'virtual' : 'none',
    ...(collation === undefined ? {} : { collation }),
    ...(typeof enumLabels === 'string' ? { enumLabels: JSON.parse(enumLabels) as string[] } : {}),
    ...(typeof userTypes === 'string' ? { userTypes: JSON.parse(userTypes) as UserType[] } : {}),
    ...(typeof baseTypeOid === 'string' ? { baseTypeOid: Number(baseTypeOid) } : {}),
    ...(pkIndex === null || pkIndex === undefined ? {} : { pkIndex: Number(pkIndex) }),
  };
}

/** Undefined for columns without a collation, and for one of which the catalog does not tell enough. */
function toCollation([provider, collate, ctype, deterministic]: readonly (string | null)[]): ColumnInfo['collation'] {
  const known = ({ c: 'libc', i: 'icu', b: 'builtin' } as const)[provider ?? ''];
  if (known === undefined || typeof collate !== 'string' || typeof ctype !== 'string') return undefined;
  return { provider: known, collate, ctype, deterministic: deterministic !== 'f' };
}

/** First transaction id not assigned yet, 64-bit: what 32-bit ids on the wire are widened against (spec R 10.6.5). */
export async function readXmax(db: Queryable): Promise<bigint> {
  const [xmax] = await rowOf(db, 'select pg_snapshot_xmax(pg_current_snapshot())');
  return BigInt(xmax as string);
}

/** The statement's snapshot is taken before its select list runs, so `xmin` is the older of the two (spec R 9.4.1). */
export async function readProgress(db: Queryable): Promise<{ xmin: bigint; walLsn: Lsn }> {
  const [xmin, walLsn] = await rowOf(db, 'select pg_snapshot_xmin(pg_current_snapshot()), pg_current_wal_flush_lsn()');
  return { xmin: BigInt(xmin as string), walLsn: requireLsn(walLsn) };
}
