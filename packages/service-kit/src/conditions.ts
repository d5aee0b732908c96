import { wallTime, type Clock } from './clock.ts';
import { withoutCredentials } from './without-credentials.ts';

/** The conditions under which a source is active, by the names of the reference (spec O 1.2.5). */
export const CONDITIONS = [
  /** A replicator holds the lock of the source. */
  'pg_lock_acquired',
  /** It has its slot and could stream. */
  'replication_client_ready',
  /** Connections for the catalog can be had. */
  'admin_connection_pool_ready',
  /** Connections for snapshots can be had. */
  'snapshot_connection_pool_ready',
  /** Every shard has an owner. */
  'shape_log_collector_ready',
  /** There are processes of every role. */
  'supervisor_processes_ready',
  /** The stored history is known to go on where the source is. */
  'integrity_checks_passed',
  /** The registries have been read, and the source is in them. */
  'shape_metadata_ready',
] as const;

export type ConditionName = (typeof CONDITIONS)[number];

export interface Condition {
  readonly ok: boolean;
  /** ISO time of the last change of `ok`. */
  readonly since: string;
  /** One sentence on why not, for people; no credentials. */
  readonly error?: string;
  /** ISO time at which that became the reason. */
  readonly errorSince?: string;
}

export type Conditions = Readonly<Partial<Record<ConditionName, Condition>>>;

const MAX_ERROR = 500;

/** Remembers since when each condition holds or does not. */
export class ConditionBoard {
  readonly #clock: Clock;
  readonly #conditions = new Map<ConditionName, Condition>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  set(name: ConditionName, ok: boolean, error?: string): void {
    const known = this.#conditions.get(name);
    const now = new Date(wallTime(this.#clock)).toISOString();
    const reason = ok || error === undefined ? undefined : withoutCredentials(error).slice(0, MAX_ERROR);
    const errorSince = (reason === known?.error ? known?.errorSince : undefined) ?? now;
    this.#conditions.set(name, {
      ok,
      since: known?.ok === ok ? known.since : now,
      ...(reason === undefined ? {} : { error: reason, errorSince }),
    });
  }

  get(name: ConditionName): Condition | undefined {
    return this.#conditions.get(name);
  }

  report(): Conditions {
    return Object.fromEntries(this.#conditions);
  }
}
