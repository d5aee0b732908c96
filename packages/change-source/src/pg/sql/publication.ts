import pg from 'pg';
import { rowOf, rowsOf, type Queryable } from './query.ts';

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

export interface MemberRow {
  /** Identifies this membership: a table that is removed and added again gets another one. */
  readonly membership: string;
  /** Has a row filter or a column list, which we never use (spec R 2.8). */
  readonly restricted: boolean;
}

/**
 * Memberships of the tables themselves, by oid; `pg_publication_tables` would expand a partitioned root (spec R 7.5).
 */
export async function readMemberships(
  db: Queryable,
  publication: number,
  tables: readonly number[],
): Promise<ReadonlyMap<number, MemberRow>> {
  const rows = await rowsOf(
    db,
    `select pr.prrelid, pr.oid, to_jsonb(pr) ->> 'prqual' is not null or to_jsonb(pr) ->> 'prattrs' is not null
     from pg_publication_rel pr where pr.prpubid = $1 and pr.prrelid = any($2::oid[])`,
    [publication, tables],
  );
  return new Map(
    rows.map(([oid, id, restricted]) => [Number(oid), { membership: id as string, restricted: restricted === 't' }]),
  );
}

/** Partitions come with it; other children are members of their own. */
export async function addToPublication(db: Queryable, name: string, table: TableName): Promise<void> {
  await rowsOf(db, `alter publication ${escapeIdentifier(name)} add table only ${quoted(table)}`);
}

export async function setReplicaIdentityFull(db: Queryable, table: TableName): Promise<void> {
  await rowsOf(db, `alter table only ${quoted(table)} replica identity full`);
}

export interface TableName {
  readonly schema: string;
  readonly name: string;
}

export interface TableRow extends TableName {
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

/** The table and every table below it, partitions and other children alike; empty when the oid is gone. */
export async function readTableTree(db: Queryable, oid: number): Promise<TableRow[]> {
  const rows = await rowsOf(
    db,
    `with recursive tree(oid) as (
       select $1::oid
       union
       select i.inhrelid from tree t join pg_inherits i on i.inhparent = t.oid where not i.inhdetachpending
     )
     select c.oid, n.nspname, c.relname, c.relkind, c.relispartition, c.relkind <> 'f' and c.relpersistence = 'p',
       exists (select from pg_attribute a where a.attrelid = c.oid and a.attgenerated = 's' and not a.attisdropped),
       exists (select from pg_attribute a where a.attrelid = c.oid and a.attgenerated = 'v' and not a.attisdropped),
       c.relreplident, pg_has_role(current_user, c.relowner, 'USAGE')
     from tree t join pg_class c on c.oid = t.oid join pg_namespace n on n.oid = c.relnamespace
     order by n.nspname, c.relname`,
    [oid],
  );
  return rows.map(([id, schema, name, kind, partition, logged, stored, virtual, replicaIdentity, owned]) => ({
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
