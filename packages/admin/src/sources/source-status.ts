import type { ConditionRecord, GuardRecord, LeaderRecord, RouterRecord, SourceRecord } from '@shapecast/messaging';
import { CONDITIONS, type Condition, type ConditionName, type Conditions } from '@shapecast/service-kit';
import type { SourceState } from '@shapecast/sources';

/**
 * How a source is: what was declared, where that says that it is not to run; `stale`: its slot was dropped; `asleep`: its connections
 * are closed until somebody needs it; `starting`: something is missing.
 */
type SourceStatus = Exclude<SourceState, 'draining'> | 'draining' | 'starting' | 'stale' | 'asleep' | 'unreadable';

/** What processes have told of a source. */
export interface SourceTold {
  readonly record: SourceRecord | undefined;
  readonly leader: LeaderRecord | undefined;
  readonly routers: readonly RouterRecord[];
  readonly conditions: readonly ConditionRecord[];
  readonly guard: GuardRecord | undefined;
  /** Its connections are closed. */
  readonly asleep: boolean;
}

export interface StatusReport {
  readonly status: SourceStatus;
  /** One sentence on what is wrong; absent when nothing is. */
  readonly problem?: string;
}

const TEXTS: Readonly<Record<ConditionName, string>> = {
  pg_lock_acquired: 'No replicator holds the lock of the source.',
  replication_client_ready: 'No replicator streams yet.',
  admin_connection_pool_ready: 'No router has a connection for the catalog.',
  snapshot_connection_pool_ready: 'No router has a connection for snapshots.',
  shape_log_collector_ready: 'Shards have no owner.',
  supervisor_processes_ready: 'Processes are missing.',
  integrity_checks_passed: 'It is not known yet that the stored history goes on where the database is.',
  shape_metadata_ready: 'The source was not set up yet.',
};

export function statusOf(state: SourceState, unreadable: string | undefined, told: SourceTold): StatusReport {
  if (unreadable !== undefined) return { status: 'unreadable', problem: unreadable };
  if (state === 'paused') return { status: 'paused', problem: 'Paused: Postgres keeps WAL for its slot.' };
  if (state === 'gone') return { status: 'gone', problem: 'No longer declared: its slot is still there.' };
  if (state === 'removing') return { status: 'removing', problem: 'Slot, publication and data are being removed.' };
  const { guard, record } = told;
  if (guard?.stale !== undefined && guard.stale.incarnation === record?.incarnation) {
    return { status: 'stale', problem: guard.reason };
  }
  if (told.asleep) return { status: 'asleep' };
  const missing = missingOf(told);
  if (missing !== undefined) return { status: 'starting', problem: missing };
  const shedding = guard?.shedding === true ? { problem: guard.reason } : {};
  return { status: state, ...shedding };
}

/** Shards without an owner. */
export function unownedOf({ record, routers }: SourceTold): number | undefined {
  if (record === undefined) return undefined;
  const owned = new Set(routers.flatMap((router) => router.owned));
  return Math.max(0, record.shards - owned.size);
}

/** One process for which a condition holds is enough; of the others' reasons the newest counts (spec O 1.2.5). */
export function conditionsOf({ conditions, leader }: SourceTold): Conditions {
  const all: Partial<Record<ConditionName, Condition>> = {};
  for (const name of CONDITIONS) {
    const told = conditions.flatMap(({ conditions: one }) => one[name] ?? []);
    const ok = told.find((condition) => condition.ok);
    const newest = told.toSorted((a, b) => ((a.errorSince ?? '') > (b.errorSince ?? '') ? -1 : 1))[0];
    const found = ok ?? newest;
    if (found === undefined) continue;
    all[name] = leader?.streaming === true && OF_LEADERS.has(name) ? { ok: true, since: found.since } : found;
  }
  return all;
}

/** What a leader says by leading. */
const OF_LEADERS: ReadonlySet<ConditionName> = new Set([
  'pg_lock_acquired',
  'replication_client_ready',
  'integrity_checks_passed',
]);

function missingOf(told: SourceTold): string | undefined {
  const { leader, routers, record } = told;
  const conditions = conditionsOf(told);
  if (leader?.streaming !== true) {
    const failing = [...OF_LEADERS].find((name) => conditions[name]?.ok === false);
    if (failing !== undefined) return withReason(failing, conditions);
    return told.conditions.some(({ role }) => role === 'replicator')
      ? TEXTS.replication_client_ready
      : 'No replicator tells anything of the source.';
  }
  if (record === undefined) return TEXTS.shape_metadata_ready;
  if (routers.length === 0) return 'No router is there for the source.';
  const unowned = unownedOf(told) ?? 0;
  return unowned > 0 ? `${unowned} of ${record.shards} shards have no owner.` : undefined;
}

function withReason(name: ConditionName, conditions: Conditions): string {
  const error = conditions[name]?.error;
  return error === undefined ? TEXTS[name] : `${TEXTS[name]} ${error}`;
}
