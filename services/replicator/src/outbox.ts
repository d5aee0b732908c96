import { isShapecastError, ShapecastError } from '@shapecast/errors';
import {
  decodeRecord,
  encodeRecord,
  maxLsn,
  ZERO_LSN,
  type Lsn,
  type Position,
  type RecordChain,
  type TransactionPart,
} from '@shapecast/log';
import type { PublishOutcome, TxStream } from '@shapecast/messaging';
import { Backoff, type Clock, type Logger } from '@shapecast/service-kit';
import { encodeParts, type Message } from './message.ts';
import { dropStored, endOf, PartQueue } from './packing.ts';
import { resynchronise, type LastRecord } from './resynchronise.ts';

export interface OutboxOptions {
  readonly incarnation: number;
  readonly epoch: number;
  /** Sequence of this epoch's leader record, and the chain it left. */
  readonly seq: number;
  readonly chain: RecordChain;
  /** Up to this sequence a writer that was replaced may have something in flight: no more than one record of ours is (ADR 24). */
  readonly aloneUntilSeq: number;
  /** The stream ends inside a transaction, which goes on with what Postgres sends again. */
  readonly open: boolean;
  /** Largest message and most changes in one (spec R 9.5.1). */
  readonly maxFragmentBytes: number;
  readonly maxFragmentChanges: number;
  /** Largest encoded change (spec R 9.5.3). */
  readonly maxChangeBytes: number;
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

interface InFlight extends Message {
  seq: number;
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
  readonly #log: Logger;
  readonly #events: OutboxEvents;
  readonly #options: OutboxOptions;
  readonly #backoff: Backoff;
  readonly #abort = new AbortController();

  readonly #queue = new PartQueue();
  /** Encoded and not sent yet: slices and fragments that did not fit into the window. */
  #ready: Message[] = [];
  #inFlight: InFlight[] = [];
  #inFlightBytes = 0;
  #unsettled = 0;
  #recovering = false;
  #leaving = false;
  #failure: Error | undefined;
  #waiting: (() => void)[] = [];
  #drained: (() => void) | undefined;

  /** Last sequence and chain given to an encoded record, and whether it ends inside a transaction. */
  #seq: number;
  #chain: RecordChain;
  #open: boolean;
  #acknowledgedSeq: number;
  /** Last operation accepted: what Postgres sends again is dropped against it (spec R 9.3.4). */
  #accepted: Position;
  #acceptedOpen: boolean;
  #resentOperations = 0;
  /** End of the last commit encoded, and the server's WAL end at the last idle moment. */
  #encodedEnd: Lsn = ZERO_LSN;
  #idleEnd: Lsn = ZERO_LSN;
  #progress: { readonly xmin: bigint } | undefined;

  constructor(
    deps: {
      readonly stream: TxStream;
      readonly clock: Clock;
      readonly log: Logger;
      readonly events: OutboxEvents;
    },
    options: OutboxOptions,
  ) {
    this.#stream = deps.stream;
    this.#log = deps.log;
    this.#events = deps.events;
    this.#options = options;
    this.#backoff = new Backoff(deps.clock, { minMs: options.retryMinMs, maxMs: options.retryMaxMs });
    this.#seq = options.seq;
    this.#acknowledgedSeq = options.seq;
    this.#chain = options.chain;
    this.#accepted = options.chain.position;
    this.#open = options.open;
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

  /** Takes parts in commit order. Resolves when the window has room again: that is the backpressure (spec R 8.3.1). */
  async accept(parts: readonly TransactionPart[]): Promise<void> {
    if (this.#failure) throw this.#failure;
    if (this.#leaving) return;
    for (const part of parts) this.#enqueue(part);
    this.#pump();
    if (!this.#full()) return;
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (this.#failure) throw this.#failure as Error;
  }

  /** Every transaction that commits below `walEnd` was accepted (spec R 8.4.2). */
  idle(walEnd: Lsn): void {
    // Parts before it may have been left out since we are leaving.
    if (!this.#acceptedOpen && !this.#leaving) this.#idleEnd = maxLsn(this.#idleEnd, walEnd);
  }

  /** Whether a progress record would tell consumers anything new. */
  get progressWanted(): boolean {
    return this.#progressLsn() > this.#chain.progressLsn || this.#queue.changes > 0;
  }

  /**
   * Publishes a progress record at the next transaction boundary, with the LSN reached then (spec R 9.4.1: `xmin` was
   * sampled before it). One waits at a time.
   */
  publishProgress(xmin: bigint): void {
    this.#progress = { xmin };
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
    this.#resentOperations += part.changes.length - (rest?.changes.length ?? 0);
    if (!rest) {
      if (part.commit) this.#events.onResent(endOf(part));
      return;
    }
    const last = rest.changes.at(-1);
    if (last) this.#accepted = { lsn: rest.lsn, op: last.op };
    this.#acceptedOpen = !rest.commit;
    this.#queue.push(rest);
  }

  #pump(): void {
    while (!this.#failure && !this.#recovering) {
      if (this.#inFlight.length > 0 && this.#seq <= this.#options.aloneUntilSeq) break;
      if (this.#ready.length === 0 && !this.#encodeNext()) break;
      if (this.#inFlight.length > 0 && !this.#windowTakes(this.#ready[0]?.payload.length ?? 0)) break;
      const message = this.#ready.shift();
      if (message) this.#send(message);
    }
    this.#release();
  }

  /** Encodes the next record, if there is one that should go now. */
  #encodeNext(): boolean {
    const { maxFragmentBytes, maxFragmentChanges, incarnation, epoch, maxChangeBytes } = this.#options;
    if (this.#progress && !this.#open) {
      this.#encodeProgress(this.#progress.xmin);
      return true;
    }
    const full = this.#queue.bytes >= maxFragmentBytes || this.#queue.changes >= maxFragmentChanges;
    // Under load an acknowledgement is the moment to pack what has come in meanwhile: fewer, larger records.
    if (!full && this.#inFlight.length >= EAGER_MESSAGES) return false;
    const parts = this.#queue.take({ maxBytes: maxFragmentBytes, maxChanges: maxFragmentChanges });
    const last = parts.at(-1);
    if (!last) return false;
    const maxBytes = Math.min(maxFragmentBytes, this.#stream.maxPayloadBytes);
    const messages = encodeParts(parts, { incarnation, epoch, prev: this.#chain }, { maxBytes, maxChangeBytes });
    this.#ready.push(...messages);
    this.#chain = messages.at(-1)?.chain ?? this.#chain;
    this.#open = !last.commit;
    const end = parts.findLast((part) => part.commit);
    if (end) this.#encodedEnd = endOf(end);
    return true;
  }

  #encodeProgress(xmin: bigint): void {
    this.#progress = undefined;
    const { incarnation, epoch } = this.#options;
    const lsn = this.#progressLsn();
    const payload = encodeRecord({ kind: 'progress', incarnation, epoch, prev: this.#chain, lsn, xmin });
    this.#chain = { position: this.#chain.position, progressLsn: lsn };
    // Repeated at the same LSN when nothing happens, so the sequence makes the id unique.
    const id = `${incarnation}:${epoch}:${lsn}:progress:${this.#seq + 1}`;
    this.#ready.push({ payload, id, chain: this.#chain, held: lsn });
  }

  /** Everything that commits below this is encoded. The idle WAL end counts once nothing waits any more. */
  #progressLsn(): Lsn {
    const reached = maxLsn(this.#chain.progressLsn, this.#encodedEnd);
    return this.#queue.changes === 0 && !this.#open ? maxLsn(reached, this.#idleEnd) : reached;
  }

  #send(message: Message): void {
    this.#seq += 1;
    const inFlight: InFlight = { ...message, seq: this.#seq, state: 'sent' };
    this.#inFlight.push(inFlight);
    this.#inFlightBytes += message.payload.length;
    this.#publish(inFlight);
  }

  #publish(message: InFlight): void {
    // Made for a server that took larger ones. Nothing but the cut depends on the limit, and a new session cuts anew (spec O F115).
    if (message.payload.length > this.#stream.maxPayloadBytes) return this.#end(smallerPayloads());
    message.state = 'sent';
    this.#unsettled += 1;
    this.#stream.publish(message.payload, { expectedLastSeq: message.seq - 1, msgId: message.id }).then(
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
    try {
      const last = await this.#stream.last();
      if (last === undefined) return undefined;
      const [{ seq }, { epoch }] = [last, decodeRecord(last.payload)];
      // With more in flight it would not be known which of them are stored.
      if (epoch >= this.#options.epoch || this.#inFlight.length > 1) return { seq, epoch };
      const ownSeq = await this.#lastOwnBefore(seq);
      return ownSeq === undefined ? { seq, epoch } : { seq, epoch, ownSeq };
    } catch (err) {
      // One of a newer version leads: waiting for it to be over would not help.
      if (!isShapecastError(err) || !err.retryable || err.code === 'FORMAT_UNKNOWN') throw err;
      // Not a server that does not answer: one that says so (spec O F111).
      if (err.details['reason'] === 'no-stream') return undefined;
      this.#log.debug({ err, attempt: this.#backoff.attempt }, 'tx stream is still unavailable');
      return 'unavailable';
    }
  }

  /** The last record of our epoch before `seq`, none of which was acknowledged later than it. */
  async #lastOwnBefore(seq: number): Promise<number | undefined> {
    for (let before = seq - 1; before >= this.#acknowledgedSeq; before -= 1) {
      const message = await this.#stream.get(before);
      if (message !== undefined && decodeRecord(message.payload).epoch === this.#options.epoch) return before;
    }
    return undefined;
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
    for (const message of this.#inFlight) this.#publish(message);
    this.#pump();
  }

  #end(error: Error): void {
    if (this.#failure) return;
    this.#failure = error;
    this.#abort.abort(error);
    this.#ready = [];
    this.#events.onFailed(error);
    this.#release();
  }

  #empty(): boolean {
    return this.#inFlight.length === 0 && this.#ready.length === 0 && this.#queue.changes === 0;
  }

  #windowBytes(): number {
    let bytes = this.#inFlightBytes + this.#queue.bytes;
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

function stepDownError(reason: 'fenced' | 'stream_regressed' | 'stream_lost'): ShapecastError {
  switch (reason) {
    case 'fenced':
      return new ShapecastError('STREAM_FENCED', 'Another replicator leads this source now.', { reason });
    case 'stream_regressed':
      return new ShapecastError(
        'STREAM_UNAVAILABLE',
        'The tx stream lost records it had acknowledged; Postgres is asked for them again.',
        { reason },
      );
    case 'stream_lost':
      return new ShapecastError('STREAM_UNAVAILABLE', 'The tx stream is gone or empty.', { reason });
  }
}
