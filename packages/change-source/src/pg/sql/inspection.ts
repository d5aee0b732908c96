import type { LockHolderSight, RoleSight, ServerSight } from '../../source-inspection.ts';
import { rowOf, rowsOf, type Queryable } from './query.ts';
import { HOLDS_LOCK } from './slot.ts';

/** Statements of whoever looks a source over for an operator. Each reads only what any role may read, and changes nothing. */

export async function readServerFacts(db: Queryable): Promise<ServerSight> {
  const [version, number, standby, walLevel, database] = await rowOf(
    db,
    `select current_setting('server_version'), current_setting('server_version_num'), pg_is_in_recovery(),
       current_setting('wal_level'), current_database()`,
  );
  return {
    version: (version as string).replace(/ .*/, ''),
    versionNumber: Number(number),
    standby: standby === 't',
    walLevel: walLevel as string,
    database: database as string,
  };
}

export async function readRole(db: Queryable): Promise<RoleSight> {
  const [name, mayCreate, snapshot, control, stats] = await rowOf(
    db,
    `select current_user, has_database_privilege(current_database(), 'CREATE'),
       has_function_privilege(to_regprocedure('pg_log_standby_snapshot()')::oid, 'EXECUTE'),
       has_function_privilege('pg_control_system()', 'EXECUTE'), pg_has_role('pg_read_all_stats', 'USAGE')`,
  );
  // The first one is null where the version does not have it.
  const helpers: readonly (readonly [string | null | undefined, string])[] = [
    [snapshot, 'EXECUTE ON FUNCTION pg_log_standby_snapshot()'],
    [control, 'EXECUTE ON FUNCTION pg_control_system()'],
    [stats, 'pg_read_all_stats'],
  ];
  return {
    name: name as string,
    mayCreate: mayCreate === 't',
    missingGrants: helpers.filter(([granted]) => granted === 'f').map(([, grant]) => grant),
  };
}

export async function readLockHolder(db: Queryable, slotName: string): Promise<LockHolderSight | undefined> {
  const [row] = await rowsOf(
    db,
    `with holder as materialized (select pid from pg_locks where ${HOLDS_LOCK} limit 1)
     select h.pid, coalesce(a.application_name, ''), host(a.client_addr)
     from holder h left join pg_stat_activity a on a.pid = h.pid`,
    [slotName],
  );
  if (!row) return undefined;
  const [pid, application, address] = row;
  return { pid: Number(pid), application: application ?? '', address: address ?? undefined };
}

/** How much longer a slot is safe, as `SlotSight` has it. */
export async function readSlotWal(
  db: Queryable,
  slotName: string,
): Promise<{ readonly status: string | undefined; readonly safeBytes: bigint | undefined } | undefined> {
  const [row] = await rowsOf(db, `select wal_status, safe_wal_size from pg_replication_slots where slot_name = $1`, [
    slotName,
  ]);
  if (!row) return undefined;
  const [status, safe] = row;
  return { status: status ?? undefined, safeBytes: safe === null || safe === undefined ? undefined : BigInt(safe) };
}

/** Tables of a publication of all tables, or of schemas, which has no list of its own; at most `limit`. */
export async function readImpliedTables(db: Queryable, publication: string, limit: number): Promise<number[]> {
  const rows = await rowsOf(
    db,
    `select c.oid from pg_publication_tables t
     join pg_namespace n on n.nspname = t.schemaname
     join pg_class c on c.relnamespace = n.oid and c.relname = t.tablename
     where t.pubname = $1 order by c.oid limit $2`,
    [publication, limit],
  );
  return rows.map(([oid]) => Number(oid));
}

/** What the role of a connection sees of a table. */
interface TableAccess {
  readonly schema: string;
  readonly name: string;
  /** May read some of its columns. */
  readonly readable: boolean;
  /** Policies filter what it reads. */
  readonly filtered: boolean;
}

export async function readTableAccess(db: Queryable, oids: readonly number[]): Promise<TableAccess[]> {
  const rows = await rowsOf(
    db,
    `select n.nspname, c.relname,
       has_schema_privilege(n.oid, 'USAGE') and has_any_column_privilege(c.oid, 'SELECT'), row_security_active(c.oid)
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.oid = any($1::oid[]) order by n.nspname, c.relname`,
    [oids],
  );
  return rows.map(([schema, name, readable, filtered]) => ({
    schema: schema as string,
    name: name as string,
    readable: readable === 't',
    filtered: filtered === 't',
  }));
}

/** Milliseconds since 1970 by the server's clock. */
export async function readServerTime(db: Queryable): Promise<number> {
  const [seconds] = await rowOf(db, 'select extract(epoch from clock_timestamp())');
  return Number(seconds) * 1_000;
}
