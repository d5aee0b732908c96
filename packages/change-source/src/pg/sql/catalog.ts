import type { Lsn } from '@shapecast/log';
import type { ColumnInfo, RelationInfo } from '@shapecast/shape';
import { rowOf, rowsOf, type Queryable } from './query.ts';
import { requireLsn } from './replication.ts';

/** The table as the catalog has it; only permanent ordinary and partitioned ones with columns (spec R 10.3.9). */
export async function readRelation(db: Queryable, schema: string, table: string): Promise<RelationInfo | undefined> {
  const rows = await rowsOf(
    db,
    `select c.oid, c.relkind, a.attname, a.attnum, a.atttypid,
       coalesce(e.typname, t.typname), coalesce(en.nspname, tn.nspname), coalesce(e.typtype, t.typtype),
       case when e.oid is null then 0 else greatest(a.attndims, 1) end,
       a.atttypmod, a.attnotnull, a.attgenerated, k.place - 1,
       case when l.collprovider = 'd' then d.provider else l.collprovider::text end,
       case when l.collprovider = 'd' then d.collate else coalesce(l.collcollate, l.setting ->> 'colllocale') end,
       case when l.collprovider = 'd' then d.ctype else coalesce(l.collctype, l.setting ->> 'colllocale') end,
       l.collisdeterministic,
       (select json_agg(x.enumlabel order by x.enumsortorder) from pg_enum x where x.enumtypid = coalesce(e.oid, t.oid)),
       (with recursive b(oid) as (
          select t.oid union all select u.typbasetype from b join pg_type u on u.oid = b.oid where u.typtype = 'd'
        ) select b.oid from b join pg_type u on u.oid = b.oid where t.typtype = 'd' and u.typtype <> 'd'),
       d.provider, d.collate, d.ctype, true, current_setting('server_version_num')::int >= 180000
     from pg_class c
     join pg_namespace n on n.oid = c.relnamespace
     join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     join pg_type t on t.oid = a.atttypid
     join pg_namespace tn on tn.oid = t.typnamespace
     left join pg_type e on e.oid = t.typelem and e.typarray = t.oid
     left join pg_namespace en on en.oid = e.typnamespace
     left join (select o.*, to_jsonb(o) as setting from pg_collation o) l on l.oid = a.attcollation
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
     where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p') and c.relpersistence = 'p'
       and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
     order by a.attnum`,
    [schema, table],
  );
  const [first] = rows;
  if (!first) return undefined;
  const databaseCollation = toCollation(first.slice(19));
  return {
    oid: Number(first[0]),
    schema,
    name: table,
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
