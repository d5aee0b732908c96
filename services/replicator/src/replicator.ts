import type {
  ChangeSource,
  HolderWatch,
  ReplicationSession,
  SourceDatabase,
  SourceProgress,
} from '@shapecast/change-source';
import { isShapecastError } from '@shapecast/errors';
import { keepConditionRecord, SourceFormats, SourceSleep, type Messaging } from '@shapecast/messaging';
import {
  Backoff,
  Complaints,
  ConditionBoard,
  emitEvent,
  type Clock,
  type Component,
  type Conditions,
  type HealthReport,
  type Logger,
} from '@shapecast/service-kit';
import { ownTelemetry } from '@shapecast/telemetry';
import { LeaderRequests } from './admin/leader-requests.ts';
import { lead, NATS_UNREACHABLE } from './lead.ts';
import { replicatorDefaults, type ReplicatorOptions } from './options.ts';
import type { ReplicationMeter } from './quota/replication-meter.ts';
import { SessionGate } from './session-gate.ts';
import { StandbyWatch } from './standby-watch.ts';
import { createStatus, reportOf, type ReplicatorStatus } from './status.ts';
import { ProblemGauge } from './telemetry/problem-gauge.ts';
import { ReplicatorMetrics } from './telemetry/replicator-metrics.ts';
import { TakeoverTime } from './telemetry/takeover-time.ts';
import { watchReplicator } from './telemetry/watch-replicator.ts';

/** What a replicator works with. They are the caller's to close. */
export interface ReplicatorDeps {
  readonly source: ChangeSource;
  readonly database: SourceDatabase;
  readonly messaging: Messaging;
  readonly clock: Clock;
  readonly log: Logger;
  /** Who else has a say in whether there may be a session. */
  readonly gate?: SessionGate;
  /** Of the source; one is made when it is left out. */
  readonly sleep?: SourceSleep;
  readonly meter?: ReplicationMeter;
  /** Nobody hears of what is counted when it is left out. */
  readonly metrics?: ReplicatorMetrics;
  /** Other sources of the installation that may be replicated from the same database. */
  readonly neighbours?: NonNullable<HolderWatch['neighbours']>;
}

/** Options that have a default may be left out. */
export type ReplicatorSettings = Omit<ReplicatorOptions, keyof typeof replicatorDefaults> & Partial<ReplicatorOptions>;

export interface Replicator extends Component {
  report(): HealthReport;
}

/**
 * Postgres to tx stream, for one source. Any number of these may run: one leads, the others wait for its lock. `start`
 * does not wait for Postgres or NATS (spec O 2.2); `report` says how far things are.
 */
export function createReplicator(deps: ReplicatorDeps, settings: ReplicatorSettings): Replicator {
  const log = deps.log.child({ component: 'replicator', source: settings.sourceId });
  return new ReplicatorComponent({ ...deps, log }, { ...replicatorDefaults, ...settings });
}

/** A session that lived so long starts the waits over (spec R 3.6.4). */
const STABLE_MS = 5_000;
/** Between the record that says that the source sleeps and the end of the session: API pods read the former first. */
const SETTLE_MS = 500;

class ReplicatorComponent implements Replicator {
  readonly name = 'replicator';
  readonly #deps: ReplicatorDeps;
  readonly #options: ReplicatorOptions;
  readonly #backoff: Backoff;
  readonly #status: ReplicatorStatus = createStatus();
  readonly #conditions: ConditionBoard;
  readonly #abort = new AbortController();
  #running: Promise<unknown> | undefined;
  readonly #complaints: Complaints;
  readonly #gate: SessionGate;
  readonly #sleep: SourceSleep;
  readonly #formats: SourceFormats;
  readonly #metrics: ReplicatorMetrics;
  readonly #problem: ProblemGauge;
  readonly #takeover: TakeoverTime;
  readonly #unwatch: () => void;
  readonly #requests: LeaderRequests;
  #locked = false;
  /** That were begun. */
  #sessions = 0;
  /** While a session is being opened. */
  #watch: StandbyWatch | undefined;

  constructor(deps: ReplicatorDeps, options: ReplicatorOptions) {
    this.#deps = deps;
    this.#gate = deps.gate ?? new SessionGate();
    this.#gate.standing = () => (!this.#locked ? 'none' : this.#status.phase === 'active' ? 'leading' : 'locked');
    this.#gate.storedLsn = () => (this.#status.phase === 'active' ? this.#status.progress?.durable : undefined);
    this.#options = options;
    this.#metrics = deps.metrics ?? new ReplicatorMetrics(ownTelemetry(), deps.clock, options.sourceId);
    this.#problem = new ProblemGauge(this.#metrics.telemetry, options.sourceId);
    this.#takeover = new TakeoverTime(deps.clock, this.#metrics);
    this.#unwatch = watchReplicator(this.#metrics, this.#status);
    this.#sleep = deps.sleep ?? new SourceSleep({ ...deps, registries: deps.messaging.registries }, options.sourceId);
    const registries = deps.messaging.registries;
    this.#formats = new SourceFormats({ ...deps, registries }, { source: options.sourceId, role: 'replicator' });
    this.#requests = new LeaderRequests({ ...deps, status: this.#status }, options);
    this.#complaints = new Complaints(deps.clock);
    this.#conditions = new ConditionBoard(deps.clock);
    this.#setConditions('none');
    this.#backoff = new Backoff(deps.clock, { minMs: options.retryMinMs, maxMs: options.retryMaxMs });
  }

  report(): HealthReport {
    const report = reportOf(this.#status, this.#deps.messaging.connected());
    const complaint = this.#watch?.complaint;
    const heldBack = report.lastError === undefined ? this.#deps.meter?.complaint : undefined;
    const lastError = complaint ?? heldBack;
    return { ...report, ...(lastError && { lastError }), conditions: this.#conditionReport() };
  }

  async start(): Promise<void> {
    const { signal } = this.#abort;
    this.#running ??= Promise.all([
      this.#run(signal),
      this.#tellConditions(signal),
      this.#sleep.run(signal),
      this.#formats.run(signal),
    ]);
  }

  async stop(): Promise<void> {
    this.#abort.abort(new Error('the replicator is stopping'));
    await this.#running;
    this.#status.phase = 'starting';
    this.#unwatch();
    this.#problem.set(undefined);
  }

  /** From the lock to the end of a leadership, and again, until stopped (spec R 4.10). */
  async #run(signal: AbortSignal): Promise<void> {
    // Without NATS nobody can say, and what follows needs it too.
    if (this.#options.idleTimeoutMs > 0) await this.#sleep.check().catch(() => undefined);
    while (!signal.aborted) {
      const since = this.#deps.clock.now();
      try {
        await this.#sleepOut(signal);
        this.#takeover.begin();
        await this.#gate.pass((sessionSignal) => this.#untilAsleep(sessionSignal), signal);
        if (!signal.aborted) this.#paused();
        await this.#requests.makeWay(signal);
      } catch (err) {
        if (signal.aborted) return;
        if (this.#gate.closedBecause !== undefined) {
          this.#paused();
          continue;
        }
        if (this.#status.phase === 'active') {
          if (isShapecastError(err, 'STREAM_FENCED')) this.#metrics.fenced();
          this.#complaints.worked();
          if (this.#deps.clock.now() - since >= STABLE_MS) this.#backoff.reset();
        }
        // Whoever waits for another one to stop does its whole job, as a standby does: a rolling update goes on.
        this.#status.phase = isForeignLeader(err) ? 'waiting' : 'starting';
        await this.#waitAfter(err, signal);
        if (typeOf(err) === NATS_UNREACHABLE) await this.#untilConnected(signal);
      }
    }
  }

  /** Whoever made room because NATS was away does not ask for the lock again before it is back (spec O F105). */
  async #untilConnected(signal: AbortSignal): Promise<void> {
    const { clock, messaging } = this.#deps;
    while (!signal.aborted && !messaging.connected()) {
      await clock.sleep(this.#options.retryMinMs, signal).catch(() => undefined);
    }
  }

  /** Waits while the source sleeps. */
  async #sleepOut(signal: AbortSignal): Promise<void> {
    if (!this.#sleep.asleep) return;
    // One that was put to sleep by a process with other settings.
    if (this.#options.idleTimeoutMs === 0) await this.#sleep.wake('sleeping is turned off');
    this.#status.phase = 'asleep';
    this.#takeover.rests();
    this.#problem.set(undefined);
    this.#status.lastError = undefined;
    await this.#sleep.untilAwake(signal);
    this.#status.phase = 'starting';
  }

  /** A session, which ends without a failure when the source goes to sleep: that of the leader, and those that wait for the lock. */
  async #untilAsleep(signal: AbortSignal): Promise<void> {
    const { clock, database, log } = this.#deps;
    const asleep = new AbortController();
    const settle = () => {
      if (this.#sleep.asleep) asleep.abort(new Error('the source sleeps'));
    };
    const stop = this.#sleep.onChange(() => void clock.after(SETTLE_MS, settle));
    try {
      await this.#runSession(AbortSignal.any([signal, asleep.signal]));
    } catch (err) {
      if (signal.aborted || !asleep.signal.aborted) throw err;
    } finally {
      stop();
      database.rest();
    }
    if (signal.aborted || !asleep.signal.aborted || this.#status.phase !== 'active') return;
    emitEvent(log, 'scaled_down_database_connections', {});
  }

  /** The session was ended by who closed the gate; that is no failure. */
  #paused(): void {
    const reason = this.#gate.closedBecause;
    this.#status.phase = 'starting';
    this.#status.lastError = reason;
    this.#setConditions('none', reason);
  }

  async #runSession(signal: AbortSignal): Promise<void> {
    let session: ReplicationSession | undefined;
    try {
      session = await this.#open(signal);
      this.#status.serverVersion = session.identity.serverVersion;
      // The lock is free because the leader sleeps, or because it is gone; only the record tells.
      if (await this.#sleep.check().catch(() => false)) return;
      const onTakenOver = () => this.#takenOver();
      const deps = {
        ...{ ...this.#deps, metrics: this.#metrics, onTakenOver },
        ...{ sleep: this.#sleep, formats: this.#formats, session, status: this.#status },
      };
      await this.#requests.during((leading) => lead(deps, this.#options, leading), signal);
    } finally {
      if (session) await this.#close(session);
      this.#locked = false;
      this.#status.connected = false;
      this.#status.slotBlocked = false;
    }
  }

  #takenOver(): void {
    this.#takeover.done();
    this.#problem.set(undefined);
  }

  async #open(signal: AbortSignal): Promise<ReplicationSession> {
    this.#sessions += 1;
    const watch = new StandbyWatch(this.#deps, this.#options);
    const opened = new AbortController();
    this.#watch = watch;
    // Ends by itself; a registry that does not answer must not keep us from leading, or from stopping.
    void watch.run(AbortSignal.any([signal, opened.signal]));
    try {
      return await this.#deps.source.open((progress) => this.#onSourceProgress(progress), signal, watch);
    } finally {
      opened.abort();
      this.#watch = undefined;
    }
  }

  async #close(session: ReplicationSession): Promise<void> {
    try {
      await session.close();
    } catch (err) {
      this.#deps.log.warn({ err }, 'replication session did not close cleanly');
    }
  }

  #onSourceProgress(progress: SourceProgress): void {
    const { log } = this.#deps;
    if (!this.#status.connected && this.#sessions > 1) this.#metrics.reconnected();
    this.#status.connected = true;
    this.#status.slotBlocked = progress.kind === 'creating_slot';
    switch (progress.kind) {
      case 'waiting_for_lock':
        this.#takeover.waits();
        this.#problem.set(undefined);
        if (this.#status.phase !== 'waiting') {
          emitEvent(log, 'waiting_for_connection_lock', {});
        }
        this.#setConditions('none');
        this.#status.phase = 'waiting';
        this.#status.lastError = undefined;
        if (this.#watch) this.#watch.waiting = true;
        return;
      case 'locked':
        this.#status.phase = 'starting';
        this.#locked = true;
        this.#takeover.begin();
        if (this.#watch) this.#watch.waiting = false;
        this.#setConditions('locked');
        emitEvent(log, 'connection_lock_acquired', {});
        return;
      case 'creating_slot':
        this.#status.phase = 'starting';
        this.#status.lastError = SLOT_BLOCKED;
        this.#problem.set('replication_slot_creation_blocked');
        this.#setConditions('locked', SLOT_BLOCKED);
        // As often as it is reported: every 10 s (spec R 5.2).
        emitEvent(log, 'replication_slot_creation_blocked_by_pending_transactions', { blockedMs: progress.blockedMs });
        return;
      case 'ready':
        this.#status.phase = 'starting';
        this.#setConditions('open');
        return;
    }
  }

  /** How far the session with Postgres is, and what keeps it from getting further (spec O 1.2.5). */
  #setConditions(session: 'none' | 'locked' | 'open', error?: string): void {
    this.#conditions.set('pg_lock_acquired', session !== 'none', error);
    this.#conditions.set('replication_client_ready', session === 'open', error);
  }

  #conditionReport(): Conditions {
    const { phase, lastError } = this.#status;
    const complaint = this.#watch?.complaint;
    if (complaint !== undefined) this.#conditions.set('pg_lock_acquired', false, complaint);
    this.#conditions.set('integrity_checks_passed', phase === 'active', phase === 'active' ? undefined : lastError);
    return this.#conditions.report();
  }

  #tellConditions(signal: AbortSignal): Promise<void> {
    const { sourceId: source, holder: instance, conditionPace } = this.#options;
    const deps = { ...this.#deps, registries: this.#deps.messaging.registries };
    return keepConditionRecord(
      deps,
      { source, instance, ...conditionPace },
      () => ({ role: 'replicator', conditions: this.#conditionReport() }),
      signal,
    );
  }

  async #waitAfter(err: unknown, signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    const { misconfiguredRetryMs } = this.#options;
    const message = err instanceof Error ? err.message : String(err);
    this.#status.lastError = message;
    // What is not ours may say anything, and clients get to read this.
    this.#setConditions('none', isShapecastError(err) ? message : 'an unexpected error, see the log of the replicator');
    const misconfigured = isShapecastError(err, 'SOURCE_MISCONFIGURED');
    this.#problem.set(typeOf(err));
    if (this.#complaints.failed(typeOf(err))) this.#tell(err, message, this.#complaints.failingMs);
    // 60 s and up to a fifth more: only an operator can cure it (spec O 7.1).
    const waitMs = misconfigured ? misconfiguredRetryMs * (1 + clock.random() / 5) : this.#backoff.nextDelayMs();
    await clock.sleep(waitMs, signal).catch(() => undefined);
  }

  #tell(err: unknown, message: string, totalRetryMs: number): void {
    const { log } = this.#deps;
    const known = isShapecastError(err);
    const { code, routine } = known ? err.details : {};
    // Postgres's own names for it, where it has some.
    const error =
      [code, routine].filter((part) => typeof part === 'string').join(' ') || (known ? err.code : 'UNEXPECTED');
    const type = typeOf(err);
    if (isShapecastError(err, 'SOURCE_MISCONFIGURED')) emitEvent(log, 'config_error', { error, type, message });
    else emitEvent(log, 'connection_error', { error, type, message, totalRetryMs });
    // Where the sentence says it all, a stack would bury it.
    if (!known) log.error({ err }, 'replication failed unexpectedly');
  }
}

const SLOT_BLOCKED =
  'Postgres creates the replication slot once the transactions that are open now have ended; commit or roll them back.';

function isForeignLeader(err: unknown): boolean {
  return isShapecastError(err) && err.details['type'] === 'foreign_leader';
}

/** The spec's name of the condition (O 7.1); what is not ours is one of a kind. */
function typeOf(err: unknown): string {
  if (!isShapecastError(err)) return 'unknown';
  return typeof err.details['type'] === 'string' ? err.details['type'] : err.code.toLowerCase();
}
