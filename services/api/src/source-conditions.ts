import type { ConditionRecord, RegistryEntry } from '@shapecast/messaging';
import {
  ConditionBoard,
  type Clock,
  type Condition,
  type ConditionName,
  type Conditions,
} from '@shapecast/service-kit';

/** What 503 answers say of each condition that is missing (spec O 1.3.2, H 21.3; the misspelling is on the wire). */
const WAITING: Readonly<Record<ConditionName, string>> = {
  pg_lock_acquired: 'Timeout waiting for Postgres lock acquisition',
  replication_client_ready:
    "Timeout waiting for replication client to be ready. Check that you don't have pending transactions in the database. " +
    'Electric has to wait for all pending transactions to commit or rollback before it can create the replication slot.',
  admin_connection_pool_ready: 'Timeout waiting for database connection pool (metadata) to be ready',
  snapshot_connection_pool_ready: 'Timeout waiting for database connection pool (snapshot) to be ready',
  shape_metadata_ready: 'Timeout waiting for shape metadata to be loaded',
  shape_log_collector_ready: 'Timeout waiting for shape data to be loaded',
  supervisor_processes_ready: 'Timeout waiting for stack restart',
  integrity_checks_passed: 'Timeout waiting for integrety checks',
};

/** What a replicator tells, in the order in which it gets there. */
const OF_REPLICATORS = ['pg_lock_acquired', 'replication_client_ready', 'integrity_checks_passed'] as const;
const OF_ROUTERS = ['admin_connection_pool_ready', 'snapshot_connection_pool_ready'] as const;

/** What this pod has read of the source. */
export interface SourceFacts {
  /** The registries were read at least once, so that the rest says something. */
  readonly read: boolean;
  /** The source was set up once. */
  readonly known: boolean;
  /** A replicator streams. */
  readonly leading: boolean;
  readonly routers: number;
  /** Shards without an owner; undefined when that cannot be told. */
  readonly unowned: number | undefined;
}

const NOTHING: SourceFacts = { read: false, known: false, leading: false, routers: 0, unowned: undefined };

/** The conditions under which a source is active, put together from what its processes tell and this pod sees (O 1.2.5). */
export class SourceConditions {
  readonly #board: ConditionBoard;
  #facts = NOTHING;
  #replicators = 0;

  constructor(clock: Clock) {
    this.#board = new ConditionBoard(clock);
    this.update(NOTHING, []);
  }

  update(facts: SourceFacts, records: readonly RegistryEntry<ConditionRecord>[]): void {
    this.#facts = facts;
    const of = (role: ConditionRecord['role']) =>
      records.filter(({ value }) => value.role === role).map(({ value }) => value.conditions);
    const replicators = of('replicator');
    this.#replicators = replicators.length;
    for (const name of OF_REPLICATORS) {
      // A leader says all of it by leading, also one of a version that tells nothing else.
      if (facts.leading) this.#board.set(name, true);
      else this.#combine(name, replicators);
    }
    for (const name of OF_ROUTERS) this.#combine(name, of('router'));
    this.#board.set('supervisor_processes_ready', facts.routers > 0 && (facts.leading || replicators.length > 0));
    this.#board.set('shape_metadata_ready', facts.known);
    this.#board.set('shape_log_collector_ready', facts.unowned === 0);
  }

  report(): Conditions {
    return this.#board.report();
  }

  /** The first condition that keeps the source from being active, as 503 answers say it. */
  get missing(): string | undefined {
    const name = this.#firstMissing();
    return name && this.text(name);
  }

  /** As 503 answers say that the condition is missing, with the reason where one is known. */
  text(name: ConditionName): string {
    const error = this.#board.get(name)?.error;
    return error === undefined ? WAITING[name] : `${WAITING[name]}: ${error}`;
  }

  #firstMissing(): ConditionName | undefined {
    const { read, leading, known, routers, unowned } = this.#facts;
    if (!read) return 'shape_metadata_ready';
    if (!leading) {
      // One that has stopped tells nothing of itself, so its conditions are not what is missing.
      if (this.#replicators === 0) return 'supervisor_processes_ready';
      return OF_REPLICATORS.find((name) => this.#board.get(name)?.ok === false) ?? 'replication_client_ready';
    }
    if (!known) return 'shape_metadata_ready';
    if (unowned === 0) return undefined;
    return routers === 0 ? 'supervisor_processes_ready' : 'shape_log_collector_ready';
  }

  /** One process for which it holds is enough; of the others' reasons the newest is told, since the rest may be over. */
  #combine(name: ConditionName, told: readonly Conditions[]): void {
    const ok = told.some((conditions) => conditions[name]?.ok === true);
    const reasons = told.flatMap((conditions) => conditions[name] ?? []).filter(({ error }) => error !== undefined);
    const newest = reasons.reduce<Condition | undefined>(
      (best, next) => (best !== undefined && (best.errorSince ?? '') >= (next.errorSince ?? '') ? best : next),
      undefined,
    );
    this.#board.set(name, ok, newest?.error);
  }
}
