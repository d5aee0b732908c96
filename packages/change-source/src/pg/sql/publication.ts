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
}

export async function readPublication(db: Queryable, name: string): Promise<PublicationRow | undefined> {
  const [row] = await rowsOf(
    db,
    `select oid, pubinsert and pubupdate and pubdelete and pubtruncate, puballtables,
       pg_has_role(current_user, pubowner, 'USAGE')
     from pg_publication where pubname = $1`,
    [name],
  );
  if (!row) return undefined;
  const [oid, allOperations, allTables, owned] = row;
  return { oid: Number(oid), allOperations: allOperations === 't', allTables: allTables === 't', owned: owned === 't' };
}

/** Empty; on 18 and later stored generated columns are published too (spec R 5 step 7). */
export async function createPublication(db: Queryable, name: string, serverVersion: number): Promise<void> {
  const options = serverVersion >= 180000 ? ' with (publish_generated_columns = stored)' : '';
  await rowsOf(db, `create publication ${escapeIdentifier(name)}${options}`);
}

export interface MemberRow {
  /** Identifies this membership: a table that is removed and added again gets another one. */
  readonly membership: string;
  /** Has a row filter or a column list, which we never use (spec R 2.8). */
  readonly restricted: boolean;
}

/** Membership of the table itself; `pg_publication_tables` would expand a partitioned root (spec R 7.5). */
export async function readMembership(
  db: Queryable,
  publication: number,
  table: number,
): Promise<MemberRow | undefined> {
  const [row] = await rowsOf(
    db,
    `select pr.oid, to_jsonb(pr) ->> 'prqual' is not null or to_jsonb(pr) ->> 'prattrs' is not null
     from pg_publication_rel pr where pr.prpubid = $1 and pr.prrelid = $2`,
    [publication, table],
  );
  return row && { membership: row[0] as string, restricted: row[1] === 't' };
}

export async function addToPublication(db: Queryable, name: string, table: TableName): Promise<void> {
  await rowsOf(db, `alter publication ${escapeIdentifier(name)} add table ${quoted(table)}`);
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
  readonly replicaIdentity: string;
  /** The user may alter it. */
  readonly owned: boolean;
}

/** The table and, when it is partitioned, every partition below it; empty when the oid is gone. */
export async function readTableTree(db: Queryable, oid: number): Promise<TableRow[]> {
  const rows = await rowsOf(
    db,
    `select c.oid, n.nspname, c.relname, c.relkind, c.relreplident, pg_has_role(current_user, c.relowner, 'USAGE')
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.oid = $1 or c.oid in (select relid from pg_partition_tree($1::oid::regclass))
     order by n.nspname, c.relname`,
    [oid],
  );
  return rows.map(([id, schema, name, kind, replicaIdentity, owned]) => ({
    oid: Number(id),
    schema: schema as string,
    name: name as string,
    kind: kind as string,
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
