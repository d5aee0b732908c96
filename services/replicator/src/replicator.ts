import type { ChangeSource, ReplicationSession, SourceDatabase, SourceProgress } from '@shapecast/change-source';
import { isShapecastError } from '@shapecast/errors';
import type { Messaging } from '@shapecast/messaging';
import { Backoff, type Clock, type Component, type HealthReport, type Logger } from '@shapecast/service-kit';
import { lead } from './lead.ts';
import { replicatorDefaults, type ReplicatorOptions } from './options.ts';
import { createStatus, reportOf, type ReplicatorStatus } from './status.ts';

/** What a replicator works with. They are the caller's to close. */
export interface ReplicatorDeps {
  readonly source: ChangeSource;
  readonly database: SourceDatabase;
  readonly messaging: Messaging;
  readonly clock: Clock;
  readonly log: Logger;
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

/** The same complaint is not repeated more often (spec O 7.1.2). */
const REPEAT_LOG_MS = 60_000;
/** A session that lived so long starts the waits over (spec R 3.6.4). */
const STABLE_MS = 5_000;

class ReplicatorComponent implements Replicator {
  readonly name = 'replicator';
  readonly #deps: ReplicatorDeps;
  readonly #options: ReplicatorOptions;
  readonly #backoff: Backoff;
  readonly #status: ReplicatorStatus = createStatus();
  readonly #abort = new AbortController();
  #running: Promise<void> | undefined;
  #logged: { message: string; at: number } | undefined;
  #failingSince: number | undefined;

  constructor(deps: ReplicatorDeps, options: ReplicatorOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#backoff = new Backoff(deps.clock, { minMs: options.retryMinMs, maxMs: options.retryMaxMs });
  }

  report(): HealthReport {
    return reportOf(this.#status, this.#deps.messaging.connected());
  }

  async start(): Promise<void> {
    this.#running ??= this.#run(this.#abort.signal);
  }

  async stop(): Promise<void> {
    this.#abort.abort(new Error('the replicator is stopping'));
    await this.#running;
    this.#status.phase = 'starting';
  }

  /** From the lock to the end of a leadership, and again, until stopped (spec R 4.10). */
  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const since = this.#deps.clock.now();
      try {
        await this.#runSession(signal);
      } catch (err) {
        if (signal.aborted) return;
        if (this.#status.phase === 'active') {
          this.#failingSince = undefined;
          if (this.#deps.clock.now() - since >= STABLE_MS) this.#backoff.reset();
        }
        this.#status.phase = 'starting';
        await this.#waitAfter(err, signal);
      }
    }
  }

  async #runSession(signal: AbortSignal): Promise<void> {
    const session = await this.#deps.source.open((progress) => this.#onSourceProgress(progress), signal);
    try {
      await lead({ ...this.#deps, session, status: this.#status }, this.#options, signal);
    } finally {
      await this.#close(session);
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
    switch (progress.kind) {
      case 'waiting_for_lock':
        if (this.#status.phase !== 'waiting') {
          log.info({ event: 'waiting_for_connection_lock' }, 'another replicator holds the lock, standing by');
        }
        this.#status.phase = 'waiting';
        this.#status.lastError = undefined;
        return;
      case 'creating_slot':
        this.#status.phase = 'starting';
        this.#status.lastError = SLOT_BLOCKED;
        this.#logSometimes({ event: 'replication_slot_creation_blocked_by_pending_transactions' }, SLOT_BLOCKED);
        return;
      case 'ready':
        this.#status.phase = 'starting';
        log.info({ event: 'connection_lock_acquired' }, 'replication session is open');
        return;
    }
  }

  async #waitAfter(err: unknown, signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    const { misconfiguredRetryMs } = this.#options;
    const message = err instanceof Error ? err.message : String(err);
    this.#status.lastError = message;
    this.#failingSince ??= clock.now();
    const misconfigured = isShapecastError(err, 'SOURCE_MISCONFIGURED');
    // The sentence says it all; a stack would bury it.
    const fields = { event: misconfigured ? 'config_error' : 'connection_error', error: message };
    if (misconfigured) this.#logSometimes(fields, 'source is not set up for replication, retrying');
    else this.#logSometimes(isShapecastError(err) ? fields : { ...fields, err }, 'replication failed, retrying');
    // 60 s and up to a fifth more: only an operator can cure it (spec O 7.1).
    const waitMs = misconfigured ? misconfiguredRetryMs * (1 + clock.random() / 5) : this.#backoff.nextDelayMs();
    await clock.sleep(waitMs, signal).catch(() => undefined);
  }

  #logSometimes(fields: Readonly<Record<string, unknown>>, message: string): void {
    const now = this.#deps.clock.now();
    const key = `${message} ${String(fields['error'])}`;
    if (this.#logged?.message === key && now - this.#logged.at < REPEAT_LOG_MS) return;
    this.#logged = { message: key, at: now };
    const failingForMs = this.#failingSince === undefined ? 0 : now - this.#failingSince;
    this.#deps.log.warn({ ...fields, failingForMs }, message);
  }
}

const SLOT_BLOCKED =
  'Postgres creates the replication slot once the transactions that are open now have ended; commit or roll them back.';
