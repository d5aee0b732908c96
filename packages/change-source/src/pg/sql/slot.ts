import { parseLsn, type Lsn } from '@shapecast/log';
import type { SlotReport } from '../../guarded-slot.ts';
import { rowsOf, type Queryable } from './query.ts';
import { requireLsn } from './replication.ts';

/** Statements about slots and their lock, on an ordinary connection. */

export interface SlotRow {
  readonly plugin: string | null;
  readonly database: string | null;
  /** Undefined while the slot is still being created. */
  readonly confirmedLsn: Lsn | undefined;
  /** Postgres removed WAL that the slot needs, or gave it up for another reason (spec R 6.3.1). */
  readonly lost: boolean;
  /** In Postgres's words, from version 17 on. */
  readonly lostBecause: string | undefined;
  /** Standbys keep it too; undefined before version 17, where none do. */
  readonly failover: boolean | undefined;
  /** Backend that reads from it, or makes it. */
  readonly activePid: number | undefined;
}

export async function readSlot(db: Queryable, slotName: string): Promise<SlotRow | undefined> {
  const [row] = await rowsOf(
    db,
    `select plugin, database, confirmed_flush_lsn, wal_status = 'lost' or to_jsonb(s) ->> 'invalidation_reason' is not null,
       to_jsonb(s) ->> 'invalidation_reason', to_jsonb(s) ->> 'failover', active_pid
     from pg_replication_slots s where slot_name = $1`,
    [slotName],
  );
  if (!row) return undefined;
  const [plugin = null, database = null, confirmed, lost, lostBecause, failover, activePid] = row;
  return {
    plugin,
    database,
    confirmedLsn: confirmed ? parseLsn(confirmed) : undefined,
    lost: lost === 't',
    lostBecause: lostBecause ?? undefined,
    failover: typeof failover === 'string' ? failover === 'true' : undefined,
    activePid: activePid ? Number(activePid) : undefined,
  };
}

export async function dropSlot(db: Queryable, slotName: string): Promise<void> {
  await rowsOf(
    db,
    `with ours as materialized (select slot_name from pg_replication_slots where slot_name = $1)
     select pg_drop_replication_slot(slot_name) from ours`,
    [slotName],
  );
}

/** Writes the record that slot creation waits for and that an idle server may not write for long (spec R 5.2). */
export async function logStandbySnapshot(db: Queryable): Promise<void> {
  await rowsOf(db, 'select pg_log_standby_snapshot()');
}

/** Condition on `pg_locks` that holds for the lock of the slot `$1`. */
export const HOLDS_LOCK = `
  locktype = 'advisory' and objsubid = 1 and granted
  and database = (select oid from pg_database where datname = current_database())
  and (classid::bigint << 32) | objid::bigint = hashtext($1)::bigint`;

/**
 * Terminates whoever holds the lock while the slot is inactive: a backend whose client is gone, since a live one streams
 * from the slot (spec R 4.4). `ownPid` is spared. Answers the terminated backends. The holders are settled first: in one
 * level of query the planner may call the function before it looks at the other conditions, for every lock there is.
 */
export async function breakOrphanedLock(db: Queryable, slotName: string, ownPid: number): Promise<number[]> {
  const rows = await rowsOf(
    db,
    `with holders as materialized (
       select distinct pid from pg_locks
       where ${HOLDS_LOCK} and pid <> $2
         and exists (select 1 from pg_replication_slots
                     where slot_name = $1 and not active and database = current_database()))
     select pid, pg_terminate_backend(pid) from holders`,
    [slotName, ownPid],
  );
  return rows.map(([pid]) => Number(pid));
}

/**
 * Ends the backend `pid` if it still holds the lock: one whose socket is closed may not have noticed (spec R 4.7). Answers
 * whether it did.
 */
export async function terminateLockHolder(db: Queryable, slotName: string, pid: number): Promise<boolean> {
  const rows = await rowsOf(
    db,
    `with holder as materialized (select pid from pg_locks where ${HOLDS_LOCK} and pid = $2)
     select pg_terminate_backend(pid) from holder`,
    [slotName, pid],
  );
  return rows.length > 0;
}

/** Setting and position are from one moment. Undefined when no WAL is kept for the slot: there is none, or it has lost its WAL. */
export async function readSlotReport(db: Queryable, slotName: string): Promise<SlotReport | undefined> {
  const [row] = await rowsOf(
    db,
    `select pg_current_wal_lsn(), coalesce(confirmed_flush_lsn, restart_lsn), restart_lsn,
       (select setting from pg_settings where name = 'max_slot_wal_keep_size'),
       exists (select from pg_locks where ${HOLDS_LOCK}), wal_status, safe_wal_size
     from pg_replication_slots
     where slot_name = $1 and database = current_database() and restart_lsn is not null`,
    [slotName],
  );
  if (!row) return undefined;
  const [wal, confirmed, restart, keepMegabytes, locked, walStatus, safeBytes] = row;
  const keep = BigInt(keepMegabytes ?? -1);
  return {
    walLsn: requireLsn(wal),
    confirmedLsn: requireLsn(confirmed),
    restartLsn: requireLsn(restart),
    // Megabytes, and -1 for no limit (Postgres manual, 20.6.1).
    ...(keep < 0n ? {} : { keepBytes: keep * 1_048_576n }),
    locked: locked === 't',
    walStatus: walStatus === 'extended' || walStatus === 'unreserved' ? walStatus : 'reserved',
    ...(typeof safeBytes === 'string' ? { safeBytes: BigInt(safeBytes) } : {}),
  };
}
