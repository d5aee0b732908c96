import pg from 'pg';
import type { SnapshotMoment } from '../../source-database.ts';
import { rowOf, rowsOf, type Queryable, type TextRow } from './query.ts';

const { escapeIdentifier } = pg;

export interface PublicationRow {
  readonly oid: number;
  /** Publishes insert, update, delete and truncate. */
  readonly allOperations: boolean;
  readonly allTables: boolean;
  /** The user may alter it. */
  readonly owned: boolean;
  /** Changes of partitions come under the name of their root, which leaves nothing to shapes of a partition. */
  readonly viaRoot: boolean;
  /** Carries stored generated columns; undefined before version 18, where none does. */
  readonly generatedColumns: boolean | undefined;
}

export async function readPublication(db: Queryable, name: string): Promise<PublicationRow | undefined> {
  const [row] = await rowsOf(
    db,
    `select oid, pubinsert and pubupdate and pubdelete and pubtruncate, puballtables,
       pg_has_role(current_user, pubowner, 'USAGE'), pubviaroot, to_jsonb(p) ->> 'pubgencols'
     from pg_publication p where pubname = $1`,
    [name],
  );
  if (!row) return undefined;
  const [oid, allOperations, allTables, owned, viaRoot, generated] = row;
  return {
    oid: Number(oid),
    allOperations: allOperations === 't',
    allTables: allTables === 't',
    owned: owned === 't',
    viaRoot: viaRoot === 't',
    generatedColumns: typeof generated === 'string' ? generated === 's' : undefined,
  };
}

/** Empty; on 18 and later stored generated columns are published too (spec R 5 step 7). */
export async function createPublication(db: Queryable, name: string, serverVersion: number): Promise<void> {
  const options = serverVersion >= 180000 ? ' with (publish_generated_columns = stored)' : '';
  await rowsOf(db, `create publication ${escapeIdentifier(name)}${options}`);
}

/** For a publication that was made before version 18, or by somebody else. */
export async function publishGeneratedColumns(db: Queryable, name: string): Promise<void> {
  await rowsOf(db, `alter publication ${escapeIdentifier(name)} set (publish_generated_columns = stored)`);
}

/** For one that somebody has cut down (spec O F34). */
export async function publishAllOperations(db: Queryable, name: string): Promise<void> {
  await rowsOf(db, `alter publication ${escapeIdentifier(name)} set (publish = 'insert, update, delete, truncate')`);
}

/**
 * A table in the publication. From `pg_publication_rel`: `pg_publication_tables` would expand a partitioned root (spec R 7.5).
 */
export interface MemberRow extends TableName {
  readonly oid: number;
  /** Identifies this membership: a table that is removed and added again gets another one. */
  readonly membership: string;
  /** Has a row filter or a column list, which we never use (spec R 2.8). */
  readonly restricted: boolean;
}

export async function readMembers(db: Queryable, publication: number): Promise<MemberRow[]> {
  const rows = await rowsOf(
    db,
    `select c.oid, n.nspname, c.relname, r.oid, ${restricted('r')}
     from pg_publication_rel r join pg_class c on c.oid = r.prrelid join pg_namespace n on n.oid = c.relnamespace
     where r.prpubid = $1 order by n.nspname, c.relname`,
    [publication],
  );
  return rows.map(([oid, schema, name, membership, limited]) => ({
    oid: Number(oid),
    schema: schema as string,
    name: name as string,
    membership: membership as string,
    restricted: limited === 't',
  }));
}

/** The columns are there since version 15. */
function restricted(row: string): string {
  return `(to_jsonb(${row}) ->> 'prqual' is not null or to_jsonb(${row}) ->> 'prattrs' is not null)`;
}

/**
 * By what those of the tables that exist are published, and the moment it was so. One text for each: `rel:` its membership and those
 * of the partitioned tables above it, `schema:` that of a schema, `all:` of everything, separated by blanks; empty when nothing of it,
 * or not all, arrives. Every name is of one stretch of time: removed and added again it is another one, and so it is when the
 * publication itself was altered, which may have left out operations for a while: `@` and the transaction that wrote its row. Not
 * before version 15, where partitions make us alter it (`Publisher`).
 */
export async function readPublishedBy(
  db: Queryable,
  publication: string,
  serverVersion: number,
  oids: readonly number[],
): Promise<{ readonly moment: SnapshotMoment; readonly tables: ReadonlyMap<number, string> }> {
  const schemas = `
       union all
       select u.oid, 'schema:' || n.oid || pub.version from up u join pg_class c on c.oid = u.above
       join pg_publication_namespace n on n.pnnspid = c.relnamespace join pub on pub.oid = n.pnpubid`;
  const version = serverVersion >= 150_000 ? `'@' || xmin` : `''`;
  const rows = await rowsOf(
    db,
    `with pub as materialized (
       select oid, puballtables, pubviaroot, ${version} as version from pg_publication
       where pubname = $1 and pubinsert and pubupdate and pubdelete and pubtruncate
     ),
     given as materialized (
       select oid, relispartition, relkind from pg_class where oid = any($2::oid[])
     ),
     up as materialized (
       select oid, oid as above from given
       union
       select g.oid, a.relid::oid from given g cross join lateral pg_partition_ancestors(g.oid) a where g.relispartition
     ),
     member as materialized (
       select u.oid, 'rel:' || r.oid || pub.version as way, ${restricted('r')} as restricted
       from up u join pg_publication_rel r on r.prrelid = u.above join pub on pub.oid = r.prpubid
     ),
     way as (
       select oid, way from member
       union all
       select g.oid, 'all:' || pub.oid || pub.version from given g join pub on pub.puballtables${serverVersion >= 150_000 ? schemas : ''}
     ),
     ways as (select oid, string_agg(distinct way, ' ' order by way) as text from way group by oid)
     select now.xmax, now.running, g.oid,
       case when bool_or(m.restricted) or bool_or(pub.pubviaroot and (g.relkind = 'p' or g.relispartition)) then ''
         else coalesce(max(w.text), '') end
     from (
       select pg_snapshot_xmax(s) as xmax, (select count(*) from pg_snapshot_xip(s)) as running from pg_current_snapshot() s
     ) now left join given g on true left join pub on true left join member m on m.oid = g.oid left join ways w on w.oid = g.oid
     group by now.xmax, now.running, g.oid`,
    [publication, oids],
  );
  const [first] = rows as [TextRow, ...TextRow[]];
  const found = rows.filter(([, , oid]) => oid !== null);
  return {
    moment: { xmax: BigInt(first[0] as string), running: Number(first[1]) },
    tables: new Map(found.map(([, , oid, ways]) => [Number(oid), ways as string])),
  };
}

export async function readServerVersion(db: Queryable): Promise<number> {
  return Number((await rowOf(db, `select current_setting('server_version_num')`))[0]);
}

/** Partitions come with it; other children are members of their own. */
export async function addToPublication(db: Queryable, name: string, table: TableName): Promise<void> {
  await rowsOf(db, `alter publication ${escapeIdentifier(name)} add table only ${quoted(table)}`);
}

export async function dropFromPublication(db: Queryable, name: string, table: TableName): Promise<void> {
  await rowsOf(db, `alter publication ${escapeIdentifier(name)} drop table only ${quoted(table)}`);
}

export async function setReplicaIdentityFull(db: Queryable, table: TableName): Promise<void> {
  await rowsOf(db, `alter table only ${quoted(table)} replica identity full`);
}

export interface TableName {
  readonly schema: string;
  readonly name: string;
}

interface TableRow extends TableName {
  readonly oid: number;
  readonly kind: string;
  /** A partition is published with its root. */
  readonly partition: boolean;
  /** Its changes are in the WAL: a permanent table, which not every partition has to be. */
  readonly logged: boolean;
  /** Has stored generated columns, and virtual ones. */
  readonly stored: boolean;
  readonly virtual: boolean;
  readonly replicaIdentity: string;
  /** The user may alter it. */
  readonly owned: boolean;
}

/** A table as a part of what is below `root`, which it may be itself. */
export interface TreeRow extends TableRow {
  readonly root: number;
}

/** The tables and every table below them, partitions and other children alike; nothing for an oid that is gone. */
export async function readTableTrees(db: Queryable, oids: readonly number[]): Promise<TreeRow[]> {
  const rows = await rowsOf(
    db,
    `with recursive tree(root, oid) as (
       select oid, oid from unnest($1::oid[]) as given(oid)
       union
       select t.root, i.inhrelid from tree t join pg_inherits i on i.inhparent = t.oid where not i.inhdetachpending
     )
     select t.root, c.oid, n.nspname, c.relname, c.relkind, c.relispartition,
       c.relkind <> 'f' and c.relpersistence = 'p',
       exists (select from pg_attribute a where a.attrelid = c.oid and a.attgenerated = 's' and not a.attisdropped),
       exists (select from pg_attribute a where a.attrelid = c.oid and a.attgenerated = 'v' and not a.attisdropped),
       c.relreplident, pg_has_role(current_user, c.relowner, 'USAGE')
     from tree t join pg_class c on c.oid = t.oid join pg_namespace n on n.oid = c.relnamespace
     order by n.nspname, c.relname`,
    [oids],
  );
  return rows.map(([root, id, schema, name, kind, partition, logged, stored, virtual, replicaIdentity, owned]) => ({
    root: Number(root),
    oid: Number(id),
    schema: schema as string,
    name: name as string,
    kind: kind as string,
    partition: partition === 't',
    logged: logged === 't',
    stored: stored === 't',
    virtual: virtual === 't',
    replicaIdentity: replicaIdentity as string,
    owned: owned === 't',
  }));
}

/** The partitioned tables above the tables, and the tables themselves. */
export async function readPartitionAncestors(db: Queryable, oids: readonly number[]): Promise<number[]> {
  const rows = await rowsOf(
    db,
    `select t.oid from pg_class t where t.oid = any($1::oid[])
     union select a.relid::oid from pg_class t cross join lateral pg_partition_ancestors(t.oid) a where t.oid = any($1::oid[])`,
    [oids],
  );
  return rows.map(([oid]) => Number(oid));
}

/**
 * Whether there are tables whose changes Postgres refuses the application, or soon will: of those in use, leaves without full
 * replica identity; of those in the publication, ones with generated columns that it does not carry (from version 18 on). Asked
 * for often, so it reads as little as that takes.
 */
export async function readHarm(
  db: Queryable,
  name: string,
  serverVersion: number,
  used: readonly number[],
): Promise<boolean> {
  const generated = `
     or exists (
       select from pg_publication p join pg_publication_rel r on r.prpubid = p.oid
       cross join lateral (select r.prrelid as oid union select relid::oid from pg_partition_tree(r.prrelid)) t
       join pg_attribute a on a.attrelid = t.oid and not a.attisdropped
       where p.pubname = $1
         and (a.attgenerated = 'v' or a.attgenerated = 's' and to_jsonb(p) ->> 'pubgencols' is distinct from 's'))`;
  const [harm] = await rowOf(
    db,
    `select exists (
       select from unnest($2::oid[]) as u(oid)
       cross join lateral (select u.oid as oid union select relid::oid from pg_partition_tree(u.oid::regclass)) t
       join pg_class c on c.oid = t.oid
       where $1::text is not null and c.relkind = 'r' and c.relreplident <> 'f')${serverVersion >= 180_000 ? generated : ''}`,
    [name, used],
  );
  return harm === 't';
}

/** Somebody else holds or waits for a lock on one of the tables that ours would have to wait for. */
export async function isLocked(db: Queryable, tables: readonly number[]): Promise<boolean> {
  const rows = await rowsOf(
    db,
    `select from pg_locks where locktype = 'relation' and relation = any($1::oid[])
       and database = (select oid from pg_database where datname = current_database())
       and pid is distinct from pg_backend_pid() limit 1`,
    [tables],
  );
  return rows.length > 0;
}

/**
 * Transactions that may have written to the tables, as virtual ids; a prepared one reads `-1/<xid>`. Every writer holds
 * ROW EXCLUSIVE itself, a truncation ACCESS EXCLUSIVE. SHARE and SHARE UPDATE EXCLUSIVE alone (VACUUM, CREATE INDEX) are
 * left out: their holders write no rows and may run for hours.
 */
export async function readWriters(db: Queryable, tables: readonly number[]): Promise<string[]> {
  const rows = await rowsOf(
    db,
    `select distinct virtualtransaction from pg_locks
     where locktype = 'relation' and granted and relation = any($1::oid[])
       and database = (select oid from pg_database where datname = current_database())
       and mode in ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
       and pid is distinct from pg_backend_pid()`,
    [tables],
  );
  return rows.map(([id]) => id as string);
}

export async function setLocalTimeouts(
  db: Queryable,
  lockTimeoutMs: number,
  statementTimeoutMs: number,
): Promise<void> {
  await rowOf(db, `select set_config('lock_timeout', $1, true), set_config('statement_timeout', $2, true)`, [
    `${lockTimeoutMs}ms`,
    `${statementTimeoutMs}ms`,
  ]);
}

function quoted(table: TableName): string {
  return `${escapeIdentifier(table.schema)}.${escapeIdentifier(table.name)}`;
}
