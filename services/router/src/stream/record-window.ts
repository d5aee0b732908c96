import { isShapecastError } from '@shapecast/errors';
import { RecordDecoder } from '@shapecast/log';
import type { TxStream } from '@shapecast/messaging';
import { Backoff, type Clock, type Logger } from '@shapecast/service-kit';
import { Latch } from '../latch.ts';
import { readRecords } from './read-records.ts';
import type { StreamRecord } from './stream-record.ts';

interface WindowDeps {
  readonly stream: TxStream;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface WindowOptions {
  /** Size of the records kept decoded. */
  readonly maxBytes: number;
  /** How long a full window waits for a reader that has fallen behind before it goes on without it. */
  readonly stallMs: number;
}

export interface TakeLimits {
  readonly maxRecords: number;
  readonly maxChanges: number;
  readonly maxBytes: number;
}

const READ_AHEAD_BYTES = 4 * 1024 * 1024;
/** What a change takes once it is decoded, beside its text: the objects, and a string for each cell. */
const CHANGE_BYTES = 300;

/**
 * The latest records of the tx stream, read and decoded once for all shards of a process (spec R 13.1.3). Readers that are
 * behind it read for themselves until they have caught up with it. Bounded by the size of its records: at the bound it drops
 * what every reader has taken, then waits a moment for the slowest, then drops that one's records too.
 */
export class RecordWindow {
  readonly #deps: WindowDeps;
  readonly #options: WindowOptions;
  readonly #decoder = new RecordDecoder();
  readonly #readers = new Set<WindowReader>();
  readonly #stop = new AbortController();
  #records: StreamRecord[] = [];
  #bytes = 0;
  /** The window covers the sequences from here ... */
  #fromSeq = 0;
  /** ... to before here. */
  #nextSeq = 0;
  #loop: Promise<void> | undefined;
  #restart = new AbortController();
  readonly #taken = new Latch();

  constructor(deps: WindowDeps, options: WindowOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Newest sequence that was read. */
  get lastSeq(): number {
    return this.#nextSeq - 1;
  }

  /** A reader of the records from `fromSeq` on. `onRecords` is called when there may be some to take. */
  open(fromSeq: number, onRecords: () => void): WindowReader {
    const reader = new WindowReader(this, fromSeq, onRecords);
    this.#readers.add(reader);
    this.#place(fromSeq);
    this.follow(reader);
    return reader;
  }

  async close(): Promise<void> {
    this.#stop.abort(new Error('the record window is closed'));
    this.#restart.abort();
    for (const reader of this.#readers) reader.close();
    await this.#loop;
  }

  /** Records from `seq` on; undefined when the window begins later. For readers. */
  after(seq: number, limits: TakeLimits): StreamRecord[] | undefined {
    if (seq < this.#fromSeq) return undefined;
    const records = this.#records;
    let low = 0;
    let high = records.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((records[middle] as StreamRecord).seq < seq) low = middle + 1;
      else high = middle;
    }
    const taken: StreamRecord[] = [];
    let changes = 0;
    let bytes = 0;
    for (let i = low; i < records.length && taken.length < limits.maxRecords; i += 1) {
      const record = records[i] as StreamRecord;
      changes += record.changes;
      bytes += record.bytes;
      if (taken.length > 0 && (changes > limits.maxChanges || bytes > limits.maxBytes)) break;
      taken.push(record);
    }
    return taken;
  }

  /** For readers: one has moved, or left. */
  moved(): void {
    this.#taken.set();
  }

  forget(reader: WindowReader): void {
    this.#readers.delete(reader);
    this.#taken.set();
  }

  /** For readers: catches `reader` up when it stands before the window. */
  follow(reader: WindowReader): void {
    if (reader.needs < this.#fromSeq) reader.catchUp(this.#deps, this.#decoder, () => this.#fromSeq);
  }

  /** Moves an idle window to where it is wanted, and starts it. */
  #place(seq: number): void {
    const others = this.#readers.size > 1;
    const covered = seq >= this.#fromSeq && seq <= this.#nextSeq;
    if (!covered && (!others || this.#loop === undefined)) {
      this.#records = [];
      this.#bytes = 0;
      this.#fromSeq = seq;
      this.#nextSeq = seq;
      this.#restart.abort();
    }
    this.#loop ??= this.#run();
  }

  async #run(): Promise<void> {
    const { clock, log, stream } = this.#deps;
    const backoff = new Backoff(clock, { minMs: 50, maxMs: 5_000 });
    const { signal } = this.#stop;
    while (!signal.aborted) {
      this.#restart = new AbortController();
      const until = AbortSignal.any([signal, this.#restart.signal]);
      try {
        const options = { maxBufferedBytes: READ_AHEAD_BYTES, decoder: this.#decoder };
        for await (const record of readRecords(stream, this.#nextSeq, options, until)) {
          if (until.aborted) break;
          backoff.reset();
          this.#push(record);
          if (this.#bytes > this.#options.maxBytes) await this.#makeRoom(until);
        }
      } catch (err) {
        if (until.aborted) continue;
        const fields = { err, stream: stream.id, seq: this.#nextSeq };
        if (isShapecastError(err)) log.warn(fields, 'tx stream cannot be read, retrying');
        else log.error(fields, 'tx stream cannot be decoded, retrying');
      }
      if (!until.aborted) await backoff.wait(until).catch(() => undefined);
    }
  }

  #push(record: StreamRecord): void {
    this.#records.push(record);
    this.#bytes += memoryOf(record);
    this.#nextSeq = record.seq + 1;
    for (const reader of this.#readers) reader.onRecords();
  }

  async #makeRoom(signal: AbortSignal): Promise<void> {
    const deadline = this.#deps.clock.now() + this.#options.stallMs;
    for (;;) {
      let slowest = Infinity;
      for (const { needs } of this.#readers) if (needs >= this.#fromSeq) slowest = Math.min(slowest, needs);
      this.#evict(slowest);
      if (this.#bytes <= this.#options.maxBytes || signal.aborted) return;
      const left = deadline - this.#deps.clock.now();
      if (left <= 0 && this.#hasReaderAtEnd()) break;
      // With every reader behind, nobody is held up by waiting for them.
      await this.#taken.wait(this.#deps.clock, left > 0 ? left : this.#options.stallMs, signal);
    }
    this.#evict(Infinity);
    for (const reader of this.#readers) this.follow(reader);
  }

  /** Drops the oldest records that end before `seq`, as many as are too much. */
  #evict(seq: number): void {
    let count = 0;
    while (count < this.#records.length - 1 && this.#bytes > this.#options.maxBytes) {
      const record = this.#records[count] as StreamRecord;
      if (record.seq >= seq) break;
      this.#bytes -= memoryOf(record);
      this.#fromSeq = record.seq + 1;
      count += 1;
    }
    if (count > 0) this.#records = this.#records.slice(count);
  }

  #hasReaderAtEnd(): boolean {
    for (const reader of this.#readers) if (reader.needs >= this.#nextSeq) return true;
    return false;
  }
}

/** One shard's place in the tx stream. Only its owner calls `take`, `seek` and `close`. */
export class WindowReader {
  readonly #window: RecordWindow;
  readonly onRecords: () => void;
  #nextSeq: number;
  /** While this reader stands before the window: what its own subscription brought. */
  #own: StreamRecord[] = [];
  #ownBytes = 0;
  #catchUp: AbortController | undefined;
  readonly #taken = new Latch();

  constructor(window: RecordWindow, fromSeq: number, onRecords: () => void) {
    this.#window = window;
    this.#nextSeq = fromSeq;
    this.onRecords = onRecords;
  }

  /** For the window: sequence of the first record that this reader still has to get. */
  get needs(): number {
    const last = this.#own.at(-1);
    return last ? last.seq + 1 : this.#nextSeq;
  }

  /** The records at hand, in order and each once, within the limits but at least one if there is one. */
  take(limits: TakeLimits): readonly StreamRecord[] {
    let records = this.#takeOwn(limits);
    if (records.length === 0 && this.#catchUp === undefined) {
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

  /** For the window: reads from the stream itself until `windowFrom`, which moves, is reached. */
  catchUp(deps: WindowDeps, decoder: RecordDecoder, windowFrom: () => number): void {
    if (this.#catchUp !== undefined) return;
    const abort = new AbortController();
    this.#catchUp = abort;
    const done = () => {
      if (this.#catchUp !== abort) return;
      this.#catchUp = undefined;
      this.onRecords();
    };
    void this.#read(deps, decoder, windowFrom, abort.signal).then(done, done);
  }

  async #read(deps: WindowDeps, decoder: RecordDecoder, windowFrom: () => number, signal: AbortSignal): Promise<void> {
    const { clock, log, stream } = deps;
    const backoff = new Backoff(clock, { minMs: 50, maxMs: 5_000 });
    const stop = new AbortController();
    const until = AbortSignal.any([signal, stop.signal]);
    let next = this.needs;
    log.debug({ seq: next }, 'reading behind the record window');
    while (!signal.aborted) {
      try {
        const options = { maxBufferedBytes: READ_AHEAD_BYTES / 4, decoder };
        for await (const record of readRecords(stream, next, options, until)) {
          if (signal.aborted || record.firstSeq >= windowFrom()) {
            stop.abort();
            return;
          }
          backoff.reset();
          this.#own.push(record);
          this.#ownBytes += memoryOf(record);
          next = record.seq + 1;
          this.onRecords();
          if (next >= windowFrom()) {
            stop.abort();
            return;
          }
          while (this.#ownBytes > READ_AHEAD_BYTES && !signal.aborted) await this.#taken.wait(clock, Infinity, signal);
        }
      } catch (err) {
        if (signal.aborted) return;
        log.warn({ err, seq: next }, 'tx stream cannot be read, retrying');
      }
      await backoff.wait(signal).catch(() => undefined);
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
    this.#catchUp?.abort();
    this.#catchUp = undefined;
    this.#own = [];
    this.#ownBytes = 0;
  }
}

/** About what a record takes: small rows take several times their encoded size. */
function memoryOf({ bytes, changes }: StreamRecord): number {
  return bytes + CHANGE_BYTES * changes;
}
