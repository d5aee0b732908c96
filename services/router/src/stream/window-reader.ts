import type { RecordDecoder } from '@shapecast/log';
import type { TxStream } from '@shapecast/messaging';
import { Backoff, type Clock, type Logger } from '@shapecast/service-kit';
import { Latch } from '../latch.ts';
import { readRecords } from './read-records.ts';
import type { RecordWindow } from './record-window.ts';
import { memoryOf, type StreamRecord } from './stream-record.ts';

export interface WindowDeps {
  readonly stream: TxStream;
  /** Records are asked for their traces. */
  readonly traced?: boolean;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface TakeLimits {
  readonly maxRecords: number;
  readonly maxChanges: number;
  readonly maxBytes: number;
}

/** What a reader has to know of the window that it is behind. */
export interface CatchUpPlace {
  /** First sequence of the window, which moves. */
  from(): number;
  /** What the reader may hold, read and unread. */
  maxBytes(): number;
  stallMs(): number;
  /** Another reader waits for its turn. */
  wanted(): boolean;
}

interface CatchUpDeps extends WindowDeps {
  readonly decoder: RecordDecoder;
  readonly place: CatchUpPlace;
}

/** One shard's place in the tx stream. Only its owner calls `take`, `seek` and `close`. */
export class WindowReader {
  readonly #window: RecordWindow;
  readonly onRecords: () => void;
  readonly onLost: () => void;
  #nextSeq: number;
  /** While this reader stands before the window: what its own subscription brought. */
  #own: StreamRecord[] = [];
  #ownBytes = 0;
  /** Before here there is nothing more to read than `#own`. */
  #readTo = 0;
  #catchUp: AbortController | undefined;
  #parked = false;
  readonly #taken = new Latch();

  constructor(
    window: RecordWindow,
    fromSeq: number,
    { onRecords, onLost }: Pick<WindowReader, 'onRecords' | 'onLost'>,
  ) {
    this.#window = window;
    this.#nextSeq = fromSeq;
    this.onRecords = onRecords;
    this.onLost = onLost;
  }

  /** For the window: its turn to read for itself was over before anything was taken, and nothing has been since. */
  get parked(): boolean {
    return this.#parked;
  }

  /** For the window: bytes of the records that this reader holds beside it. */
  get heldBytes(): number {
    return this.#ownBytes;
  }

  /** For the window: sequence of the first record that this reader still has to get. */
  get needs(): number {
    return Math.max(this.#nextSeq, this.#readTo);
  }

  /** The records at hand, in order and each once, within the limits but at least one if there is one. */
  take(limits: TakeLimits): readonly StreamRecord[] {
    this.#parked = false;
    let records = this.#takeOwn(limits);
    if (records.length === 0 && this.#catchUp === undefined) {
      this.#nextSeq = this.needs;
      const shared = this.#window.after(this.#nextSeq, limits);
      if (shared === undefined) this.#window.follow(this);
      else records = shared;
    }
    const last = records.at(-1);
    if (last) {
      this.#nextSeq = last.seq + 1;
      this.#window.moved();
    }
    return records;
  }

  /** Goes on from `seq`, back or forth. */
  seek(seq: number): void {
    this.#abandon();
    this.#nextSeq = seq;
    this.#window.follow(this);
    this.onRecords();
  }

  close(): void {
    this.#abandon();
    this.#window.forget(this);
  }

  /**
   * For the window: reads from the stream itself until the window, which moves, is reached and all that was read is taken, or until
   * this reader's turn is over.
   */
  async catchUp(deps: CatchUpDeps): Promise<void> {
    const abort = new AbortController();
    const { signal } = abort;
    this.#catchUp = abort;
    deps.log.debug({ seq: this.needs }, 'reading behind the record window');
    const backoff = new Backoff(deps.clock, { minMs: 50, maxMs: 5_000 });
    const isBehind = () => this.needs < deps.place.from();
    while (!signal.aborted && !this.#parked && (isBehind() || this.#own.length > 0)) {
      await this.#waitWhile(() => this.#isFull(deps.place) || (this.#own.length > 0 && !isBehind()), deps, signal);
      if (signal.aborted || this.#parked || !isBehind()) continue;
      try {
        const before = this.needs;
        await this.#read(deps, backoff, signal);
        if (this.needs === before) await backoff.wait(signal).catch(() => undefined);
      } catch (err) {
        if (signal.aborted) return;
        deps.log.warn({ err, seq: this.needs }, 'tx stream cannot be read, retrying');
        await backoff.wait(signal).catch(() => undefined);
      }
    }
    if (this.#catchUp !== abort) return;
    this.#catchUp = undefined;
    this.onRecords();
  }

  /** Until the window is reached or its turn is over. */
  async #read(deps: CatchUpDeps, backoff: Backoff, signal: AbortSignal): Promise<void> {
    const { stream, decoder, place, traced } = deps;
    const stop = new AbortController();
    const until = AbortSignal.any([signal, stop.signal]);
    const options = { maxBufferedBytes: Math.ceil(place.maxBytes() / 4), decoder, traced };
    try {
      for await (const record of readRecords(stream, this.needs, options, until)) {
        if (signal.aborted) return;
        backoff.reset();
        if (record.firstSeq >= place.from()) {
          // What lies between is no longer stored. What that means is for the shard to see.
          this.#readTo = place.from();
          return;
        }
        this.#own.push(record);
        this.#ownBytes += memoryOf(record);
        this.#readTo = record.seq + 1;
        this.onRecords();
        await this.#waitWhile(() => this.#isFull(place), deps, signal);
        if (this.#parked || record.seq + 1 >= place.from()) return;
      }
    } finally {
      stop.abort();
    }
  }

  #isFull(place: CatchUpPlace): boolean {
    return this.#ownBytes > (place.maxBytes() * 3) / 4;
  }

  /** Where nothing is taken for a while and others wait for their turn, gives up what is held: it can be read again. */
  async #waitWhile(isHolding: () => boolean, { clock, place }: CatchUpDeps, signal: AbortSignal): Promise<void> {
    while (isHolding() && !signal.aborted) {
      const held = this.#ownBytes;
      await this.#taken.wait(clock, place.stallMs(), signal);
      if (this.#ownBytes < held || !place.wanted() || signal.aborted) continue;
      this.#dropOwn();
      this.#parked = true;
      return;
    }
  }

  #takeOwn(limits: TakeLimits): StreamRecord[] {
    const own = this.#own;
    let count = 0;
    let changes = 0;
    let bytes = 0;
    while (count < own.length && count < limits.maxRecords) {
      const record = own[count] as StreamRecord;
      changes += record.changes;
      bytes += record.bytes;
      if (count > 0 && (changes > limits.maxChanges || bytes > limits.maxBytes)) break;
      this.#ownBytes -= memoryOf(record);
      count += 1;
    }
    if (count > 0) this.#taken.set();
    return own.splice(0, count);
  }

  #abandon(): void {
    this.#parked = false;
    this.#catchUp?.abort();
    this.#catchUp = undefined;
    this.#dropOwn();
  }

  #dropOwn(): void {
    this.#own = [];
    this.#ownBytes = 0;
    this.#readTo = 0;
  }
}
