import { randomUUID } from 'node:crypto';
import { ShapecastError } from '@shapecast/errors';
import type { Clock } from '@shapecast/service-kit';
import { txStreamName } from '../subjects.ts';
import { carriedTrace } from '../trace-header.ts';
import type {
  PublishOptions,
  PublishOutcome,
  StoredMessage,
  TxStream,
  TxStreamId,
  TxStreamInfo,
  TxStreams,
} from '../tx-stream.ts';

/** What a message may hold at most; the default of a NATS server less its headers. */
const MAX_PAYLOAD_BYTES = 1_047_552;
/** How long a publish waits for readers before the stream counts as full. */
const FULL_AFTER_MS = 5_000;

export interface MemoryTxStreamSettings {
  /** Bound of the payload bytes one stream holds. */
  readonly maxBytes: number;
}

/** Tx streams of a single process: what they hold is gone with it. */
export class MemoryTxStreams implements TxStreams {
  readonly #clock: Clock;
  readonly #settings: MemoryTxStreamSettings;
  readonly #streams = new Map<string, MemoryTxStream>();

  constructor(clock: Clock, settings: MemoryTxStreamSettings) {
    this.#clock = clock;
    this.#settings = settings;
  }

  async create(id: TxStreamId): Promise<TxStream> {
    const name = txStreamName(id);
    const stream = this.#streams.get(name) ?? new MemoryTxStream(id, this.#clock, this.#settings.maxBytes);
    this.#streams.set(name, stream);
    return stream;
  }

  async open(id: TxStreamId): Promise<TxStream | undefined> {
    return this.#streams.get(txStreamName(id));
  }

  async incarnations(source: string): Promise<readonly number[]> {
    const ids = [...this.#streams.values()].map(({ id }) => id).filter((id) => id.source === source);
    return ids.map(({ incarnation }) => incarnation).sort((a, b) => a - b);
  }

  async delete(id: TxStreamId): Promise<void> {
    const name = txStreamName(id);
    this.#streams.get(name)?.destroy();
    this.#streams.delete(name);
  }

  close(): void {
    for (const stream of this.#streams.values()) stream.destroy();
    this.#streams.clear();
  }
}

interface Reader {
  /** The next sequence it will yield; everything below was taken by the consumer. */
  next: number;
  wake: (() => void) | undefined;
}

interface Waiting {
  readonly payload: Uint8Array;
  readonly msgId: string;
  readonly expectedLastSeq: number;
  /** Id of the publish before this one in the pipeline, when that one was unanswered at the call. */
  readonly expectedLastId: string | undefined;
  readonly traceparent: string | undefined;
  readonly resolve: (outcome: PublishOutcome) => void;
  readonly reject: (error: Error) => void;
}

/**
 * The same promises as a JetStream stream with `discard: new`, kept in an array. It never drops what nobody has read: when
 * half of `maxBytes` is unread by the slowest reader, publishes wait, and after 5 s fail as full (STREAM_UNAVAILABLE, the
 * same as NATS). That also holds while nobody reads at all, since a reader that is just starting again needs those messages.
 * What was read stays as well, for a reader that has to go back to its cursor, until the room is needed; nothing below a
 * `trim` stays.
 */
class MemoryTxStream implements TxStream {
  readonly id: TxStreamId;
  readonly maxPayloadBytes = MAX_PAYLOAD_BYTES;
  readonly fencesPipelines = true;
  readonly #clock: Clock;
  readonly #maxBytes: number;
  readonly #createdAt: string;
  readonly #readers = new Set<Reader>();
  readonly #seqById = new Map<string, number>();
  /** Message id by the sequence it will have, of publishes not answered yet: see Publisher of the NATS implementation. */
  readonly #unanswered = new Map<number, string>();
  readonly #queue: Waiting[] = [];
  #messages: { readonly message: StoredMessage; readonly msgId: string }[] = [];
  /** Messages at the start of the array that are dropped already. */
  #dropped = 0;
  #lastSeq = 0;
  #lastId = '';
  #bytes = 0;
  #unreadBytes = 0;
  /** Every message up to this one was read by all readers there were. */
  #readSeq = 0;
  #draining = false;
  #cancelFull: (() => void) | undefined;
  #destroyed = false;

  constructor(id: TxStreamId, clock: Clock, maxBytes: number) {
    this.id = id;
    this.#clock = clock;
    this.#maxBytes = maxBytes;
    this.#createdAt = `${new Date(clock.now()).toISOString()} ${randomUUID()}`;
  }

  async info(): Promise<TxStreamInfo> {
    this.#assertThere();
    return {
      firstSeq: this.#firstSeq,
      lastSeq: this.#lastSeq,
      createdAt: this.#createdAt,
      bytes: this.#bytes,
      // What is read makes room by itself: it is never as full as it may be.
      maxBytes: undefined,
      maxAgeMs: undefined,
      replicas: 1,
    };
  }

  publish(payload: Uint8Array, options: PublishOptions): Promise<PublishOutcome> {
    if (payload.length > MAX_PAYLOAD_BYTES) {
      return Promise.reject(
        new Error(`a payload of ${payload.length} bytes exceeds the limit of ${MAX_PAYLOAD_BYTES}`),
      );
    }
    const { expectedLastSeq, msgId, traceparent } = options;
    return new Promise((resolve, reject) => {
      if (this.#destroyed) return reject(gone());
      const expectedLastId = this.#unanswered.get(expectedLastSeq);
      this.#unanswered.set(expectedLastSeq + 1, msgId);
      this.#queue.push({ payload, msgId, expectedLastSeq, expectedLastId, traceparent, resolve, reject });
      if (this.#draining) return;
      this.#draining = true;
      queueMicrotask(() => this.#drain());
    });
  }

  async get(seq: number): Promise<StoredMessage | undefined> {
    this.#assertThere();
    return this.#at(seq);
  }

  async last(): Promise<StoredMessage | undefined> {
    this.#assertThere();
    return this.#at(this.#lastSeq);
  }

  async *read(
    fromSeq: number,
    _options: { maxBufferedBytes: number },
    signal: AbortSignal,
  ): AsyncGenerator<StoredMessage> {
    this.#assertThere();
    if (fromSeq > this.#lastSeq + 1) {
      throw unavailable('went-backwards', `the tx stream ends at ${this.#lastSeq}, before ${fromSeq}`);
    }
    const reader: Reader = { next: Math.max(fromSeq, this.#firstSeq), wake: undefined };
    const wake = (): void => reader.wake?.();
    signal.addEventListener('abort', wake);
    this.#readers.add(reader);
    try {
      while (!signal.aborted) {
        if (this.#destroyed) throw gone();
        reader.next = Math.max(reader.next, this.#firstSeq);
        const message = this.#at(reader.next);
        if (message) {
          yield message;
          reader.next = message.seq + 1;
          this.#onRead();
        } else {
          await new Promise<void>((resolve) => (reader.wake = resolve));
          reader.wake = undefined;
        }
      }
    } finally {
      this.#readers.delete(reader);
      signal.removeEventListener('abort', wake);
      this.#onRead();
    }
  }

  async trim(belowSeq: number): Promise<void> {
    this.#assertThere();
    const end = Math.min(belowSeq, this.#lastSeq + 1);
    while (this.#firstSeq < end) this.#dropFirst();
    this.#drain();
  }

  destroy(): void {
    this.#destroyed = true;
    this.#cancelFull?.();
    for (const waiting of this.#queue.splice(0)) waiting.reject(gone());
    for (const reader of this.#readers) reader.wake?.();
  }

  get #firstSeq(): number {
    return this.#lastSeq + 1 - (this.#messages.length - this.#dropped);
  }

  #at(seq: number): StoredMessage | undefined {
    return seq < this.#firstSeq ? undefined : this.#messages[this.#dropped + seq - this.#firstSeq]?.message;
  }

  /** Stores what waits, in order, until the stream is full. */
  #drain(): void {
    this.#draining = false;
    let taken = 0;
    for (const waiting of this.#queue) {
      if (this.#conflictsWith(waiting) || !this.#full(waiting.payload.length)) {
        this.#answer(waiting);
        taken += 1;
      } else break;
    }
    if (taken > 0) {
      this.#queue.splice(0, taken);
      this.#cancelFull?.();
      this.#cancelFull = undefined;
    }
    if (this.#queue.length > 0 && !this.#destroyed) {
      this.#cancelFull ??= this.#clock.after(FULL_AFTER_MS, () => {
        this.#cancelFull = undefined;
        const first = this.#queue.shift();
        if (!first) return;
        this.#settled(first);
        first.reject(unavailable('full', 'the tx stream is full: its readers are behind'));
        this.#drain();
      });
    }
    if (taken > 0) for (const reader of this.#readers) reader.wake?.();
  }

  #full(more: number): boolean {
    return this.#unreadBytes > 0 && this.#unreadBytes + more > this.#maxBytes / 2;
  }

  #conflictsWith(waiting: Waiting): boolean {
    if (this.#seqById.has(waiting.msgId)) return true;
    if (waiting.expectedLastSeq !== this.#lastSeq) return true;
    return waiting.expectedLastId !== undefined && waiting.expectedLastId !== this.#lastId;
  }

  #answer(waiting: Waiting): void {
    this.#settled(waiting);
    const known = this.#seqById.get(waiting.msgId);
    if (known !== undefined && known === waiting.expectedLastSeq + 1)
      return waiting.resolve({ kind: 'stored', seq: known });
    if (this.#conflictsWith(waiting)) return waiting.resolve({ kind: 'conflict', lastSeq: this.#lastSeq });
    const seq = this.#lastSeq + 1;
    const traceparent = carriedTrace(waiting.traceparent);
    const message = { seq, payload: waiting.payload, traceparent, publishedMs: this.#clock.now() };
    this.#messages.push({ message, msgId: waiting.msgId });
    this.#seqById.set(waiting.msgId, seq);
    this.#lastSeq = seq;
    this.#lastId = waiting.msgId;
    this.#bytes += waiting.payload.length;
    this.#unreadBytes += waiting.payload.length;
    while (this.#bytes > this.#maxBytes && this.#firstSeq <= this.#readSeq) this.#dropFirst();
    waiting.resolve({ kind: 'stored', seq });
  }

  #settled(waiting: Waiting): void {
    const seq = waiting.expectedLastSeq + 1;
    if (this.#unanswered.get(seq) === waiting.msgId) this.#unanswered.delete(seq);
  }

  /** A reader moved or left: the slowest of those there are says what was read. */
  #onRead(): void {
    if (this.#readers.size === 0) return;
    let slowest = Infinity;
    for (const reader of this.#readers) slowest = Math.min(slowest, reader.next);
    while (this.#readSeq < slowest - 1) {
      this.#readSeq += 1;
      this.#unreadBytes -= this.#at(this.#readSeq)?.payload.length ?? 0;
    }
    if (this.#queue.length > 0 && !this.#draining) this.#drain();
  }

  #dropFirst(): void {
    const first = this.#messages[this.#dropped];
    if (!first) return;
    const size = first.message.payload.length;
    this.#bytes -= size;
    if (first.message.seq > this.#readSeq) {
      this.#readSeq = first.message.seq;
      this.#unreadBytes -= size;
    }
    this.#seqById.delete(first.msgId);
    this.#dropped += 1;
    // Cut off the dropped start now and then, so that dropping costs O(1) on average.
    if (this.#dropped > 64 && this.#dropped * 2 > this.#messages.length) {
      this.#messages = this.#messages.slice(this.#dropped);
      this.#dropped = 0;
    }
  }

  #assertThere(): void {
    if (this.#destroyed) throw gone();
  }
}

function gone(): ShapecastError {
  return unavailable('no-stream', 'the tx stream was deleted');
}

function unavailable(reason: string, message: string): ShapecastError {
  return new ShapecastError('STREAM_UNAVAILABLE', message, { reason });
}
