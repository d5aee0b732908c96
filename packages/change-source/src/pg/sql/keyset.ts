import pg from 'pg';
import type { SnapshotRequest } from '../../change-source.ts';
import type { KeyPlaces, KeysetPlace, KeyTexts } from '../../keyset.ts';
import type { TextRow } from './query.ts';

const { escapeIdentifier, escapeLiteral } = pg;

/** A column of a key, as the texts of its values have to be read to be compared as the index compares them. */
interface KeyColumn {
  readonly name: string;
  readonly type: string;
  /** Schema and name, where the type has one. */
  readonly collation?: readonly [schema: string, name: string];
}

/**
 * The order of a table's rows by its primary key, and of which table: another timeline, other files (it was truncated or written
 * anew) or other columns, if only since one was dropped and made again, and it is another one.
 */
interface Order {
  readonly timeline: string;
  readonly filenode: string;
  /** Digest of their descriptions, and of who wrote those. */
  readonly columns: string;
  readonly key: readonly KeyColumn[];
}

/**
 * By oid: types whose text, under our display settings, is exactly the value. Not among them: `money`, whose text depends on the
 * server's locale, enums, whose labels can be renamed, types of users.
 */
const TYPES: ReadonlyMap<string, string> = new Map([
  ['16', 'bool'],
  ['17', 'bytea'],
  ['20', 'int8'],
  ['21', 'int2'],
  ['23', 'int4'],
  ['25', 'text'],
  ['26', 'oid'],
  ['700', 'float4'],
  ['701', 'float8'],
  // Without a length, which a cast to `character` would take for 1.
  ['1042', 'bpchar'],
  ['1043', 'varchar'],
  ['1082', 'date'],
  ['1083', 'time'],
  ['1114', 'timestamp'],
  ['1184', 'timestamptz'],
  ['1700', 'numeric'],
  ['2950', 'uuid'],
]);

/**
 * What the order of an ordinary table's rows depends on, a line for each column of its primary key. No line for a table that has
 * others below it, in which a key may come twice. To be asked under a lock that is older than the snapshot (`lockTable`).
 */
export function selectOrder(oid: number): string {
  const description = 't.attnum, t.attname, t.atttypid, t.atttypmod, t.attcollation, t.xmin';
  return `select substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8), pg_relation_filenode(c.oid),
      (select md5(string_agg(concat_ws(' ', ${description}), ',' order by t.attnum)) from pg_attribute t
        where t.attrelid = c.oid and t.attnum > 0),
      a.attname, a.atttypid, n.nspname, l.collname
    from pg_class c join pg_index i on i.indrelid = c.oid and i.indisprimary,
      unnest(i.indkey) with ordinality k(attnum, place)
      join pg_attribute a on a.attrelid = ${oid}::oid and a.attnum = k.attnum
      left join pg_collation l on l.oid = a.attcollation left join pg_namespace n on n.oid = l.collnamespace
    where c.oid = ${oid}::oid and c.relkind = 'r' and k.place <= i.indnkeyatts
      and not exists (select from pg_inherits where inhparent = c.oid)
    order by k.place`;
}

/** Undefined when the rows cannot be read in the order of this key. */
export function parseOrder(rows: readonly TextRow[], key: readonly string[]): string | undefined {
  const columns = rows.map(([, , , name, oid, schema, collation]): KeyColumn | undefined => {
    const type = TYPES.get(oid ?? '');
    if (type === undefined || typeof name !== 'string') return undefined;
    return { name, type, ...(schema && collation ? { collation: [schema, collation] } : {}) };
  });
  const [timeline, filenode, digest] = rows[0] ?? [];
  const known = columns.filter((column) => column !== undefined);
  if (!timeline || !filenode || !digest || known.length !== key.length) return undefined;
  if (known.some(({ name }, i) => name !== key[i])) return undefined;
  return JSON.stringify({ timeline, filenode, columns: digest, key: known } satisfies Order);
}

/**
 * Keeps a table from being altered from before the snapshot on, which no lock that comes with a query does: what the catalog
 * shows in the snapshot is how the table is.
 */
export function lockTable({ schema, table }: Pick<SnapshotRequest, 'schema' | 'table'>): string {
  return `lock table only ${escapeIdentifier(schema)}.${escapeIdentifier(table)} in access share mode`;
}

/** To be put after the where clause of a request. */
export function orderByKey(key: readonly string[]): string {
  return ` order by ${key.map((name) => escapeIdentifier(name)).join(', ')}`;
}

/** The condition that a row comes after a place. */
export function isAfter({ order, key }: KeysetPlace): string {
  const { key: columns } = JSON.parse(order) as Order;
  return `(${columns.map(({ name }) => escapeIdentifier(name)).join(', ')}) > (${values(columns, key)})`;
}

/** How many of the bounds come before each key, in order. All from one statement, of bounded size by the caller. */
export function selectPlaces({ order, bounds, keys }: KeyPlaces): string {
  const { key: columns } = JSON.parse(order) as Order;
  const place = columns.map((column, i) => typed(`k.c${i}`, column)).join(', ');
  const before = bounds.map((bound) => `((${place}) > (${values(columns, bound)}))::int4`);
  const rows = keys.map((key, n) => `(${n}, ${key.map((text) => `${escapeLiteral(text)}::text`).join(', ')})`);
  const names = columns.map((_, i) => `c${i}`).join(', ');
  return `select ${before.join(' + ')} from (values ${rows.join(', ')}) k(n, ${names}) order by k.n`;
}

function values(columns: readonly KeyColumn[], key: KeyTexts): string {
  return columns.map((column, i) => typed(escapeLiteral(key[i] as string), column)).join(', ');
}

function typed(text: string, { type, collation }: KeyColumn): string {
  const cast = `${text}::pg_catalog.${type}`;
  return collation === undefined
    ? cast
    : `${cast} collate ${collation.map((name) => escapeIdentifier(name)).join('.')}`;
}
