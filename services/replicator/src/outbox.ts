import { ShapecastError } from '@shapecast/errors';
import type { Lsn, Position, RecordChain, TransactionPart } from '@shapecast/log';
import type { PublishOutcome, TxStream } from '@shapecast/messaging';
import { Backoff, type Clock, type Logger } from '@shapecast/service-kit';
import { isPassing, readLastRecord } from './last-record.ts';
import type { Message } from './message.ts';
import { dropStored, endOf } from './packing.ts';
import { RecordMaker, type RecordMakerOptions } from './record-maker.ts';
import { resynchronise, stepDownError, type LastRecord } from './resynchronise.ts';
import type { PausedTime } from './telemetry/paused-time.ts';
import type { ReplicatorMetrics, RetryReason } from './telemetry/replicator-metrics.ts';
import type { RecordTrace, TransactionTraces } from './telemetry/transaction-traces.ts';

/** `chain` is what this epoch's leader record left. */
export interface OutboxOptions extends RecordMakerOptions {
  /** Sequence of this epoch's leader record. */
  readonly seq: number;
  /** Up to this sequence a writer that was replaced may have something in flight: no more than one record of ours is (ADR 24). */
  readonly aloneUntilSeq: number;
  /** Publish window (spec R 8.3.1): what may wait and be in flight together. At the bound `accept` does not return. */
  readonly windowBytes: number;
  readonly windowMessages: number;
  /** Waits between attempts while the stream is unavailable. */
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
}

/** Told in stream order. Must not throw. */
export interface OutboxEvents {
  onStored(message: {
    readonly seq: number;
    readonly chain: RecordChain;
    readonly held: Lsn | undefined;
    readonly payload: Uint8Array;
  }): void;
  /** A transaction that Postgres sent again is in the stream already, with its end: all that commits below `held` is. */
  onResent(held: Lsn): void;
  /** Nothing more will be published: fenced, or the stream is not what it was. Told once. */
  onFailed(error: Error): void;
}

/** An encoded record, with what is traced of it. */
interface Ready extends Message {
  readonly trace: RecordTrace | undefined;
}

interface InFlight extends Ready {
  seq: number;
  sentAt: number;
  state: 'sent' | 'stored' | 'failed';
}

/** Records in flight before small ones wait for each other. Full ones never wait. */
const EAGER_MESSAGES = 4;

/**
 * The way of parts into the tx stream, and the only writer of its epoch. Packs what is at hand into records, publishes
 * them pipelined with consecutive expected sequences (spec R 9.3.5), and after a failure finds out what is stored and
 * goes on from there, for ever while NATS is away (8.3.3). Memory is bounded by the window.
 */
export class Outbox {
  readonly #stream: TxStream;
  readonly #clock: Clock;
  readonly #metrics: ReplicatorMetrics;
  readonly #traces: TransactionTraces;
  readonly #pause: PausedTime;
  readonly #log: Logger;
  readonly #events: OutboxEvents;
  readonly #options: OutboxOptions;
  readonly #backoff: Backoff;
  readonly #abort = new AbortController();

  /** Has what waits to be made records of. */
  readonly #maker: RecordMaker;
  /** Encoded and not sent yet: slices and fragments that did not fit into the window. */
  #ready: Ready[] = [];
  #inFlight: InFlight[] = [];
  #inFlightBytes = 0;
  #unsettled = 0;
  #recovering = false;
  #recoversFrom: RetryReason = 'unavailable';
  #leaving = false;
  #failure: Error | undefined;
  #waiting: (() => void)[] = [];
  #drained: (() => void) | undefined;

  /** Last sequence given to a record. */
  #seq: number;
  #acknowledgedSeq: number;
  /** Last operation accepted: what Postgres sends again is dropped against it (spec R 9.3.4). */
  #accepted: Position;
  #acceptedOpen: boolean;
  #resentOperations = 0;

  constructor(
    deps: {
      readonly stream: TxStream;
      readonly clock: Clock;
      readonly log: Logger;
      readonly metrics: ReplicatorMetrics;
      readonly traces: TransactionTraces;
      readonly events: OutboxEvents;
    },
    options: OutboxOptions,
  ) {
    this.#stream = deps.stream;
    this.#clock = deps.clock;
    this.#metrics = deps.metrics;
    this.#traces = deps.traces;
    this.#pause = deps.metrics.paused('publish_window');
    this.#log = deps.log;
    this.#events = deps.events;
    this.#options = options;
    this.#backoff = new Backoff(deps.clock, { minMs: options.retryMinMs, maxMs: options.retryMaxMs });
    this.#seq = options.seq;
    this.#acknowledgedSeq = options.seq;
    this.#maker = new RecordMaker(options, (rows) => deps.metrics.unusable('oversize', rows));
    this.#accepted = options.chain.position;
    this.#acceptedOpen = options.open;
  }

  /** For health and metrics. `stalled`: waiting for the stream to become available. */
  get state(): {
    readonly messages: number;
    readonly bytes: number;
    readonly resentOperations: number;
    readonly stalled: boolean;
  } {
    return {
      messages: this.#inFlight.length + this.#ready.length,
      bytes: this.#windowBytes(),
      resentOperations: this.#resentOperations,
      stalled: this.#recovering,
    };
  }

  /** Bytes published and not acknowledged. */
  get inFlightBytes(): number {
    return this.#inFlightBytes;
  }

  /** Takes parts in commit order. Resolves when the window has room again: that is the backpressure (spec R 8.3.1). */
  async accept(parts: readonly TransactionPart[]): Promise<void> {
    if (this.#failure) throw this.#failure;
    if (this.#leaving) return;
    for (const part of parts) this.#enqueue(part);
    this.#pump();
    if (!this.#full()) return;
    this.#pause.begin();
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#pause.end();
    if (this.#failure) throw this.#failure as Error;
  }

  /** Every transaction that commits below `walEnd` was accepted (spec R 8.4.2). */
  idle(walEnd: Lsn): void {
    // Parts before it may have been left out since we are leaving.
    if (!this.#acceptedOpen && !this.#leaving) this.#maker.idle(walEnd);
  }

  /** Whether a progress record would tell consumers anything new. */
  get progressWanted(): boolean {
    return this.#maker.progressWanted;
  }

  /**
   * Publishes a progress record at the next transaction boundary, with the LSN reached then (spec R 9.4.1: `xmin` was
   * sampled before it). One waits at a time.
   */
  publishProgress(xmin: bigint): void {
    this.#maker.wantProgress(xmin);
    this.#pump();
  }

  /** Takes nothing more and lets waiting callers go: Postgres will send the rest again. What was accepted is published. */
  leave(): void {
    this.#leaving = true;
    this.#release();
  }

  /** Resolves when everything accepted is stored, or publishing has ended. */
  async drained(): Promise<void> {
    if (this.#failure || this.#empty()) return;
    await new Promise<void>((resolve) => (this.#drained = resolve));
  }

  /** Publishes nothing more. What is in flight may still be stored. */
  close(): void {
    this.#end(new ShapecastError('STREAM_UNAVAILABLE', 'The replication session has ended.'));
  }

  #enqueue(part: TransactionPart): void {
    if (part.changes.length === 0) return; // R 9.2.5
    const rest = dropStored(part, this.#accepted);
    const resent = part.changes.length - (rest?.changes.length ?? 0);
    this.#resentOperations += resent;
    if (resent > 0) this.#metrics.resent(resent);
    if (!rest) {
      if (!part.commit) return;
      this.#traces.dropped(part.lsn);
      return this.#events.onResent(endOf(part));
    }
    const last = rest.changes.at(-1);
    if (last) this.#accepted = { lsn: rest.lsn, op: last.op };
    this.#acceptedOpen = !rest.commit;
    this.#maker.push(rest);
  }

  #pump(): void {
    while (!this.#failure && !this.#recovering) {
      if (this.#inFlight.length > 0 && this.#seq <= this.#options.aloneUntilSeq) break;
      if (this.#ready.length === 0 && !this.#makeNext()) break;
      if (this.#inFlight.length > 0 && !this.#windowTakes(this.#ready[0]?.payload.length ?? 0)) break;
      const message = this.#ready.shift();
      if (message) this.#send(message);
    }
    this.#release();
  }

  /** False when there is no record that should go now. */
  #makeNext(): boolean {
    // Under load an acknowledgement is the moment to pack what has come in meanwhile: fewer, larger records.
    const fullOnly = this.#inFlight.length >= EAGER_MESSAGES;
    const made = this.#maker.next(this.#seq + 1, { maxPayloadBytes: this.#stream.maxPayloadBytes, fullOnly });
    if (made === undefined) return false;
    for (const message of made.messages) this.#ready.push({ ...message, trace: this.#traces.record(made.parts) });
    return true;
  }

  #send(message: Ready): void {
    this.#seq += 1;
    const inFlight: InFlight = { ...message, seq: this.#seq, sentAt: 0, state: 'sent' };
    this.#inFlight.push(inFlight);
    this.#inFlightBytes += message.payload.length;
    this.#publish(inFlight);
  }

  #publish(message: InFlight): void {
    // Made for a server that took larger ones. Nothing but the cut depends on the limit, and a new session cuts anew (spec O F115).
    if (message.payload.length > this.#stream.maxPayloadBytes) return this.#end(smallerPayloads());
    message.state = 'sent';
    message.sentAt = this.#clock.now();
    this.#unsettled += 1;
    const { payload, trace, id: msgId } = message;
    if (trace !== undefined) this.#traces.sent(trace, message.seq, payload.length);
    const options = { expectedLastSeq: message.seq - 1, msgId, traceparent: trace?.traceparent };
    this.#stream.publish(payload, options).then(
      (outcome) => this.#settle(message, outcome, undefined),
      (err: unknown) => this.#settle(message, undefined, err),
    );
  }

  #settle(message: InFlight, outcome: PublishOutcome | undefined, err: unknown): void {
    this.#unsettled -= 1;
    message.state = outcome?.kind === 'stored' ? 'stored' : 'failed';
    if (message.state === 'stored') {
      this.#backoff.reset();
      this.#acknowledge();
    } else if (!this.#failure && !this.#recovering) {
      this.#recovering = true;
      this.#recoversFrom = err === undefined ? 'conflict' : 'unavailable';
      const stored = this.#acknowledgedSeq;
      if (err === undefined) this.#log.warn({ seq: message.seq, stored }, 'publish conflicted');
      else this.#log.warn({ err, seq: message.seq, stored }, 'publish failed');
    }
    if (!this.#recovering) this.#pump();
    // The later ones in flight fail as well; only when all have come back is it known what to send again (R 9.3.5).
    else if (this.#unsettled === 0) void this.#recover();
  }

  /** Passes on stored records from the front: durable means everything before is stored as well. */
  #acknowledge(): void {
    for (let first = this.#inFlight[0]; first?.state === 'stored'; first = this.#inFlight[0]) {
      this.#inFlight.shift();
      this.#inFlightBytes -= first.payload.length;
      this.#acknowledgedSeq = first.seq;
      this.#metrics.published(first.payload.length, this.#clock.now() - first.sentAt);
      if (first.trace !== undefined) this.#traces.stored(first.trace, first.seq);
      if (first.held !== undefined) this.#traces.held(first.held);
      if (!this.#failure) this.#events.onStored(first);
    }
  }

  async #recover(): Promise<void> {
    const { signal } = this.#abort;
    try {
      while (!signal.aborted) {
        await this.#backoff.wait(signal);
        const last = await this.#readLast();
        if (last === 'unavailable') continue;
        const writer = {
          epoch: this.#options.epoch,
          acknowledgedSeq: this.#acknowledgedSeq,
          assignedSeq: this.#seq,
        };
        const outcome = resynchronise(writer, last);
        if (outcome.kind === 'step_down') return this.#end(stepDownError(outcome.reason));
        this.#resume(outcome);
        return;
      }
    } catch (err) {
      if (!signal.aborted) this.#end(err instanceof Error ? err : new Error(String(err)));
    }
  }

  async #readLast(): Promise<LastRecord | undefined | 'unavailable'> {
    const { epoch } = this.#options;
    try {
      const writer = { epoch, acknowledgedSeq: this.#acknowledgedSeq, inFlight: this.#inFlight.length };
      return await readLastRecord(this.#stream, writer);
    } catch (err) {
      if (!isPassing(err)) throw err;
      this.#log.debug({ err, attempt: this.#backoff.attempt }, 'tx stream is still unavailable');
      return 'unavailable';
    }
  }

  #resume({ storedSeq, endSeq }: { readonly storedSeq: number; readonly endSeq: number }): void {
    this.#recovering = false;
    for (const message of this.#inFlight) if (message.seq <= storedSeq) message.state = 'stored';
    this.#acknowledge();
    if (endSeq > storedSeq) {
      this.#log.warn({ seq: endSeq }, 'a replicator that was replaced has written behind us, going on behind it');
      this.#seq = endSeq;
      for (const message of this.#inFlight) message.seq = this.#seq += 1;
    }
    this.#log.info({ stored: storedSeq, again: this.#inFlight.length }, 'publishing goes on');
    if (this.#inFlight.length > 0) this.#metrics.republished(this.#inFlight.length, this.#recoversFrom);
    for (const message of this.#inFlight) this.#publish(message);
    this.#pump();
  }

  #end(error: Error): void {
    if (this.#failure) return;
    this.#failure = error;
    this.#abort.abort(error);
    this.#ready = [];
    for (const { trace } of this.#inFlight) if (trace !== undefined) this.#traces.failed(trace, error);
    this.#traces.abandon(error);
    this.#events.onFailed(error);
    this.#release();
  }

  #empty(): boolean {
    return this.#inFlight.length === 0 && this.#ready.length === 0 && this.#maker.changes === 0;
  }

  #windowBytes(): number {
    let bytes = this.#inFlightBytes + this.#maker.bytes;
    for (const message of this.#ready) bytes += message.payload.length;
    return bytes;
  }

  #windowTakes(bytes: number): boolean {
    const { windowBytes, windowMessages } = this.#options;
    return this.#inFlight.length < windowMessages && this.#inFlightBytes + bytes <= windowBytes;
  }

  #full(): boolean {
    const { windowBytes, windowMessages } = this.#options;
    return this.#windowBytes() >= windowBytes || this.#inFlight.length + this.#ready.length >= windowMessages;
  }

  /** Lets waiting callers go on below half of the window, so that reading does not start and stop with every message. */
  #release(): void {
    if (this.#failure || this.#empty()) this.#drained?.();
    if (this.#waiting.length === 0) return;
    const { windowBytes, windowMessages } = this.#options;
    const low =
      this.#windowBytes() <= windowBytes / 2 && this.#inFlight.length + this.#ready.length <= windowMessages / 2;
    if (!low && !this.#leaving && !this.#failure) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

function smallerPayloads(): ShapecastError {
  const text = 'The NATS server takes smaller messages than before; records are made anew.';
  return new ShapecastError('STREAM_UNAVAILABLE', text, { reason: 'max_payload' });
}
