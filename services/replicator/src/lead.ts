import type { ReplicationHandler, ReplicationSession, SourceDatabase } from '@shapecast/change-source';
import { isShapecastError, ShapecastError } from '@shapecast/errors';
import { maxLsn, type TransactionPart } from '@shapecast/log';
import { publishTableSubject, type Messaging, type SourceFormats, type SourceSleep } from '@shapecast/messaging';
import { emitEvent, type Clock, type Logger } from '@shapecast/service-kit';
import { Confirmation } from './confirmation.ts';
import { watchDdl } from './ddl-watch.ts';
import { keepLeaderRecord } from './heartbeat.ts';
import { IdentityRepair } from './identity-repair.ts';
import { natsIsAway } from './nats-absence.ts';
import { deleteOldIncarnations } from './old-incarnations.ts';
import type { ReplicatorOptions } from './options.ts';
import { orAbort, slept } from './or-abort.ts';
import { Outbox } from './outbox.ts';
import { endOf } from './packing.ts';
import { createProgress, tickPassed, transactionReceived, transactionStored, type Progress } from './progress.ts';
import type { ReplicationMeter } from './quota/replication-meter.ts';
import { PublicationKeeper } from './publication/publication-keeper.ts';
import { publishTable } from './publish-table.ts';
import type { ReplicatorStatus } from './status.ts';
import { ResentCheck, type Divergence } from './resent-check.ts';
import { IdleWatch } from './sleep/idle-watch.ts';
import { storedTransactions } from './stored-transactions.ts';
import type { ReplicatorMetrics } from './telemetry/replicator-metrics.ts';
import type { TransactionTraces } from './telemetry/transaction-traces.ts';
import { MOST_IN_FLIGHT, type StreamEnd } from './stream-end.ts';
import { takeOver, type Epoch } from './take-over.ts';
import { Trimmer } from './trimming/trimmer.ts';
import { verifiedHandler } from './verified-handler.ts';

export interface LeadDeps {
  readonly session: ReplicationSession;
  readonly database: SourceDatabase;
  readonly messaging: Messaging;
  readonly sleep: SourceSleep;
  readonly formats: SourceFormats;
  /** Counts what is replicated, and holds it back when that is too much. */
  readonly meter?: ReplicationMeter | undefined;
  readonly metrics: ReplicatorMetrics;
  /** The right to publish is there. */
  readonly onTakenOver: () => void;
  readonly clock: Clock;
  readonly log: Logger;
  readonly status: ReplicatorStatus;
}

/** `type` of the error of a leader that has made room. */
export const NATS_UNREACHABLE = 'nats_unreachable';

/** The confirm delay is divided into this many ticks; the last one decides how late a confirmation may be. */
const CONFIRM_TICKS = 20;
const MIN_TICK_MS = 100;

/**
 * Leads the source until `signal` aborts (then resolves, with everything in flight stored or `drainMs` over) or the
 * leadership is lost (then throws): the connection to Postgres broke, another replicator leads, the stream went backwards.
 * The session is the caller's to close.
 */
export async function lead(deps: LeadDeps, options: ReplicatorOptions, signal: AbortSignal): Promise<void> {
  const epoch = await orAbort(() => takeOver(deps, options, signal), signal);
  deps.onTakenOver();
  const log = deps.log.child({ incarnation: epoch.incarnation, epoch: epoch.epoch });
  await new Leadership({ ...deps, log }, { ...options, ...epoch }).run(signal);
}

/** One epoch of one session. It only carries out what the pure parts decide. */
class Leadership {
  readonly #deps: LeadDeps;
  readonly #options: ReplicatorOptions & Epoch;
  readonly #outbox: Outbox;
  readonly #lost = new AbortController();
  readonly #confirmation: Confirmation;
  readonly #traces: TransactionTraces;
  readonly #idle: IdleWatch;
  #progress: Progress;
  /** Where the stream ends as far as it was acknowledged. */
  #stored: Pick<StreamEnd, 'seq' | 'chain' | 'held'>;
  /** Done once what Postgres sent again proved to be what the stream holds; until then nothing is confirmed. */
  #resent: ResentCheck | undefined;
  /** Oldest transaction at the last sampling; an old sample is a safe one. */
  #xmin = 0n;

  constructor(deps: LeadDeps, options: ReplicatorOptions & Epoch) {
    this.#deps = deps;
    this.#options = options;
    const { end, confirmDelayMs } = options;
    const tickMs = Math.max(MIN_TICK_MS, Math.ceil(confirmDelayMs / CONFIRM_TICKS));
    const { confirmedLsn } = deps.session.slot;
    this.#progress = createProgress(end.held, confirmedLsn, Math.ceil(confirmDelayMs / tickMs));
    this.#traces = deps.metrics.traces();
    const start = { now: deps.clock.now(), walLsn: deps.session.identity.walLsn };
    this.#idle = new IdleWatch({ ...deps, progress: () => this.#progress }, options, start);
    this.#stored = end;
    this.#confirmation = new Confirmation(
      {
        ...{ session: deps.session, clock: deps.clock, log: deps.log },
        tick: () => {
          this.#move(tickPassed(this.#progress));
          return this.#progress.confirmed;
        },
        stored: () => this.#stored,
        ready: () => this.#resent?.done === true,
        lost: (error) => this.#lost.abort(error),
      },
      { ...options, tickMs, confirmed: this.#progress.confirmed },
    );
    this.#outbox = new Outbox(
      {
        stream: options.stream,
        clock: deps.clock,
        log: deps.log,
        metrics: deps.metrics,
        traces: this.#traces,
        events: {
          onStored: (message) => {
            const { seq, chain, held = this.#stored.held } = message;
            deps.meter?.stored(message.payload.length, message.held);
            this.#stored = { seq, chain, held };
            this.#move(transactionStored(this.#progress, held));
          },
          onResent: (held) => {
            this.#stored = { ...this.#stored, held: maxLsn(held, this.#stored.held) };
            this.#move(transactionStored(this.#progress, held));
          },
          onFailed: (error) => this.#lost.abort(error),
        },
      },
      {
        ...options,
        seq: end.seq,
        chain: end.chain,
        open: end.open,
        aloneUntilSeq: aloneUntil(options),
        ...OUTBOX_RETRY,
      },
    );
  }

  async run(signal: AbortSignal): Promise<void> {
    const { session, messaging, database, status, clock, log } = this.#deps;
    const { sourceId } = this.#options;
    const ending = AbortSignal.any([signal, this.#lost.signal]);
    ending.addEventListener('abort', () => this.#outbox.leave(), { once: true });
    const subject = publishTableSubject(sourceId);
    const { registries, hints } = messaging;
    const keeper = new PublicationKeeper({ database, registries, hints, clock, log }, this.#options);
    status.keeper = keeper;
    const stopServing = messaging.rpc.serve(subject, (request, rpcSignal) => {
      this.#idle.happened();
      return publishTable(keeper, request, rpcSignal);
    });
    const repair = new IdentityRepair(this.#deps, ending);
    const trimmer = new Trimmer(
      {
        ...{ stream: this.#options.stream, registries, clock, log },
        confirmed: () => this.#progress.confirmed,
        storedSeq: () => this.#stored.seq,
      },
      this.#options,
    );
    status.trimmer = trimmer;
    const background = [
      // A step of it that NATS does not answer does no harm later, so nobody waits for it.
      orAbort(() => trimmer.run(ending), ending).catch(() => undefined),
      this.#heartbeat(ending),
      this.#reportProgress(ending),
      this.#confirmation.run(ending),
      deleteOldIncarnations(this.#deps, this.#options, ending),
      keeper.run(ending),
      watchDdl({ database, hints, clock, log }, sourceId, ending),
      this.#idle.run(ending),
      this.#makeRoom(ending),
      this.#deps.formats.keep(ending),
    ];
    this.#showActive(status);
    const { holder, incarnation, epoch } = this.#options;
    emitEvent(log, 'leader_changed', { holder, incarnation, epoch });
    emitEvent(log, 'ready', { slotConfirmed: String(session.slot.confirmedLsn) });
    try {
      await this.#stream(session, repair, ending);
      if (this.#lost.signal.aborted) throw this.#lost.signal.reason;
      await this.#drain(clock);
      await this.#confirmation.leaveCopy(this.#progress.confirmed);
      if (this.#resent?.done) session.confirm(this.#progress.confirmed);
    } finally {
      this.#lost.abort(new ShapecastError('SOURCE_UNAVAILABLE', 'The replication session has ended.'));
      this.#outbox.close();
      this.#deps.meter?.ended();
      stopServing();
      await Promise.allSettled([...background, repair.settled()]);
      status.outbox = undefined;
      status.keeper = undefined;
      status.trimmer = undefined;
    }
  }

  async #stream(session: ReplicationSession, repair: IdentityRepair, ending: AbortSignal): Promise<void> {
    try {
      const handler: ReplicationHandler = {
        onParts: (parts, bytes) => {
          this.#deps.metrics.received(parts, bytes);
          this.#traces.received(parts);
          return this.#accept(parts, ending);
        },
        onIdle: (walEnd) => {
          this.#move(transactionReceived(this.#progress, walEnd));
          this.#outbox.idle(walEnd);
        },
        onRelation: (relation) => {
          this.#traces.relation(relation);
          repair.check(relation);
        },
        onUnusable: (reason) => this.#deps.metrics.unusable(reason),
      };
      const check = await orAbort(() => this.#checkResent(ending), ending);
      this.#resent = check;
      const diverged = (divergence: Divergence) => this.#diverged(divergence);
      await session.stream(
        verifiedHandler(check, handler, diverged, (err) => this.#lost.abort(err)),
        ending,
      );
    } catch (err) {
      // What ended the leadership first is the reason; the broken stream is its consequence.
      throw this.#lost.signal.aborted ? this.#lost.signal.reason : err;
    }
    if (!ending.aborted) throw new ShapecastError('SOURCE_UNAVAILABLE', 'The replication stream ended.');
  }

  /** What Postgres will send again, as the stream holds it (spec R 6.5 C5). */
  async #checkResent(signal: AbortSignal): Promise<ResentCheck> {
    const { stream, end } = this.#options;
    const range = { from: this.#deps.session.slot.confirmedLsn, to: end.chain.position.lsn };
    if (range.to < range.from) return new ResentCheck(NOTHING_STORED, range);
    const stored = await storedTransactions(stream, { from: range.from, lastSeq: end.seq }, signal);
    return new ResentCheck(stored, range);
  }

  /** The next leadership begins a new incarnation, whoever's it is. */
  async #diverged({ kind, lsn }: Divergence): Promise<Error> {
    const { stored, incarnation } = this.#options;
    const text =
      'Postgres sent transactions again that are not those of the tx stream: its history is another one now.';
    const details = { type: 'history_diverged', difference: kind, lsn: String(lsn) };
    emitEvent(this.#deps.log, 'warning', { type: 'history_diverged', message: text, error: `${kind} at ${lsn}` });
    if (!(await stored.markDiverged(incarnation))) {
      return new ShapecastError('STREAM_FENCED', 'Another replicator wrote the position of the stream.');
    }
    return new ShapecastError('SOURCE_UNAVAILABLE', text, details);
  }

  async #accept(parts: readonly TransactionPart[], ending: AbortSignal): Promise<void> {
    const last = parts.findLast((part) => part.commit);
    if (last) this.#move(transactionReceived(this.#progress, endOf(last)));
    this.#idle.happened();
    const { meter } = this.#deps;
    // Postgres will send again what is left out now.
    if (meter !== undefined && !(await meter.pass(parts, ending))) return;
    await this.#outbox.accept(parts);
  }

  /** Bounded wait for what is in flight (spec R 4.7). */
  async #drain(clock: Clock): Promise<void> {
    const waited = new AbortController();
    const late = clock.sleep(this.#options.drainMs, waited.signal).catch(() => undefined);
    await Promise.race([this.#outbox.drained(), late]);
    waited.abort();
  }

  /** Another replicator may reach NATS where this one does not. */
  async #makeRoom(ending: AbortSignal): Promise<void> {
    if (!(await natsIsAway(this.#deps, this.#options, ending))) return;
    const text = 'NATS cannot be reached; another replicator may take the source over.';
    this.#lost.abort(new ShapecastError('STREAM_UNAVAILABLE', text, { type: NATS_UNREACHABLE }));
  }

  #heartbeat(ending: AbortSignal): Promise<void> {
    const { incarnation, epoch, holder, sourceId, heartbeatMs, place } = this.#options;
    const { walSenderPid, systemId } = this.#deps.session.identity;
    const record = {
      holder,
      epoch,
      incarnation,
      walSenderPid,
      systemId,
      streaming: true,
      ...(place && { process: place }),
    };
    return keepLeaderRecord(this.#deps, { sourceId, intervalMs: heartbeatMs, record }, ending);
  }

  /** Progress records (spec R 9.4): at most one an interval while there is something to tell, and one now and then. */
  async #reportProgress(ending: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    const { progressIntervalMs, progressMaxIntervalMs } = this.#options;
    const quietLimit = Math.max(1, Math.floor(progressMaxIntervalMs / progressIntervalMs));
    let quiet = 0;
    while (await slept(clock, progressIntervalMs, ending)) {
      quiet += 1;
      this.#deps.metrics.tick();
      if (!this.#outbox.progressWanted && quiet < quietLimit) continue;
      await this.#sampleXmin(ending);
      this.#outbox.publishProgress(this.#xmin);
      quiet = 0;
    }
  }

  async #sampleXmin(signal: AbortSignal): Promise<void> {
    try {
      this.#xmin = (await this.#deps.database.progress(signal)).xmin;
    } catch (err) {
      if (signal.aborted) return;
      this.#deps.log.debug({ err }, 'oldest transaction could not be sampled');
      // The walsender stays until we leave, and says so only to who reads, which a full window does not (spec R 8.4.3).
      if (isShapecastError(err) && SHUTTING_DOWN.includes(String(err.details['type']))) this.#lost.abort(err);
    }
  }

  #move(progress: Progress): void {
    this.#progress = progress;
    this.#deps.status.progress = progress;
  }

  #showActive(status: ReplicatorStatus): void {
    status.phase = 'active';
    status.incarnation = this.#options.incarnation;
    status.epoch = this.#options.epoch;
    status.progress = this.#progress;
    status.outbox = this.#outbox;
    status.lastError = undefined;
  }
}

/** Where an earlier writer of the stream cannot have anything in flight any more. */
function aloneUntil({ stream, end, windowMessages }: ReplicatorOptions & Epoch): number {
  return stream.fencesPipelines ? 0 : end.seq + Math.max(windowMessages, MOST_IN_FLIGHT);
}

const SHUTTING_DOWN = ['database_server_shutting_down', 'database_server_unavailable'];
const NOTHING_STORED = { complete: true, transactions: (async function* () {})() };

/** NATS comes back within seconds; asking it once a second is cheap. */
const OUTBOX_RETRY = { retryMinMs: 50, retryMaxMs: 2_000 } as const;
