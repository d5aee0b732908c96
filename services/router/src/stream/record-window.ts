import { isShapecastError } from '@shapecast/errors';
import { chainAfter, comparePositions, lastPosition, RecordDecoder, type Lsn } from '@shapecast/log';
import { Backoff } from '@shapecast/service-kit';
import { Latch } from '../latch.ts';
import { readRecords } from './read-records.ts';
import { memoryOf, type StreamRecord } from './stream-record.ts';
import { WindowReader, type CatchUpPlace, type TakeLimits, type WindowDeps } from './window-reader.ts';

export interface WindowOptions {
  /** What all of it may take: the window, its read-ahead, and what readers hold that are behind it. Until it is resized. */
  readonly maxBytes: number;
  /** Told when there was no room for a while. */
  readonly onFull?: () => void;
  /** How long a full window waits for a reader that has fallen behind before it goes on without it. */
  readonly stallMs: number;
}

/** Share of the whole that the window's own read-ahead gets, and each reader that is behind the window. */
const PART = 1 / 8;
/** Readers that are behind the window and read for themselves at a time; the others wait for their turn. */
const CATCH_UPS = 4;
const FULL_MS = 1_000;
/** Where the first transaction behind a place is looked for: between two there is seldom more than a record of progress. */
const BEHIND: TakeLimits = { maxRecords: 8, maxChanges: Infinity, maxBytes: Infinity };

/**
 * The latest records of the tx stream, read and decoded once for all shards of a process (spec R 13.1.3). Readers that are
 * behind it read for themselves, some at a time, until they have caught up with it. All of it is bounded (spec O 3.3): at its bound the
 * window drops what every reader has taken, then waits a moment for the slowest, then drops that one's records too; and a reader that
 * takes nothing, because its part of the store stands still, gives up what it has read as soon as another one needs the room.
 */
export class RecordWindow {
  readonly #deps: WindowDeps;
  readonly #options: WindowOptions;
  readonly #decoder = new RecordDecoder();
  readonly #readers = new Set<WindowReader>();
  readonly #stop = new AbortController();
  /** Readers before the window: those that read for themselves, and those that wait for their turn. */
  readonly #catching = new Set<WindowReader>();
  readonly #queue = new Set<WindowReader>();
  #records: StreamRecord[] = [];
  #bytes = 0;
  /** The window covers the sequences from here ... */
  #fromSeq = 0;
  /** ... to before here. */
  #nextSeq = 0;
  #loop: Promise<void> | undefined;
  #restart = new AbortController();
  readonly #taken = new Latch();
  #wholeBytes: number;
  #fullAt = -Infinity;

  constructor(deps: WindowDeps, options: WindowOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#wholeBytes = options.maxBytes;
  }

  /** It could hold more than it may, or could so a moment ago. */
  get full(): boolean {
    return this.#catching.size > 0 || this.#deps.clock.now() - this.#fullAt < FULL_MS;
  }

  /** From now on all of it may take so much. */
  resize(maxBytes: number): void {
    if (maxBytes === this.#wholeBytes) return;
    this.#wholeBytes = maxBytes;
    this.#evict(this.#slowest());
    this.#taken.set();
  }

  /** Newest sequence that was read. */
  get lastSeq(): number {
    return this.#nextSeq - 1;
  }

  /** Commit LSN of the newest transaction that was read; undefined before the first record. */
  get lastLsn(): Lsn | undefined {
    const last = this.#records.at(-1)?.record;
    return last?.kind === 'data' ? lastPosition(last).lsn : last?.prev.position.lsn;
  }

  /** What is from `seq` on is here, as far as it was read. */
  covers(seq: number): boolean {
    return seq >= this.#fromSeq;
  }

  /** When the first transaction behind `seq` committed, in milliseconds since 1970; undefined when none is known here. */
  committedAfter(seq: number): number | undefined {
    for (const { record } of this.after(seq + 1, BEHIND) ?? []) {
      if (record.kind === 'data') return Number(record.parts[0]?.commitTimeUs ?? 0n) / 1_000;
    }
    return undefined;
  }

  /** Bytes of the records that are held for shards, here and by the readers. */
  get heldBytes(): number {
    let bytes = this.#bytes;
    for (const reader of this.#readers) bytes += reader.heldBytes;
    return bytes;
  }

  get #partBytes(): number {
    return this.#wholeBytes * PART;
  }

  /** The window proper. */
  get #maxBytes(): number {
    return this.#wholeBytes * (1 - PART * (CATCH_UPS + 1));
  }

  /**
   * A reader of the records from `fromSeq` on. `onRecords` is called when there may be some to take, `onLost` when the stream ends
   * before the place of the reader: it has lost its tail, and sequences after that mean something else (spec R 9.6.4).
   */
  open(fromSeq: number, onRecords: () => void, onLost: () => void): WindowReader {
    const reader = new WindowReader(this, fromSeq, { onRecords, onLost });
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
    this.#queue.delete(reader);
    this.#taken.set();
  }

  /** For readers: catches `reader` up when it stands before the window. */
  follow(reader: WindowReader): void {
    if (reader.needs >= this.#fromSeq || reader.parked) return;
    if (this.#catching.has(reader) || !this.#readers.has(reader)) return;
    this.#queue.add(reader);
    this.#nextInQueue();
  }

  #nextInQueue(): void {
    for (const reader of this.#queue) {
      if (this.#catching.size >= CATCH_UPS) return;
      this.#queue.delete(reader);
      if (reader.needs >= this.#fromSeq) {
        reader.onRecords();
        continue;
      }
      this.#catching.add(reader);
      void reader.catchUp({ ...this.#deps, decoder: this.#decoder, place: this.#catchUpPlace }).finally(() => {
        this.#catching.delete(reader);
        // It may have been sent elsewhere meanwhile.
        this.follow(reader);
        this.#nextInQueue();
      });
    }
  }

  readonly #catchUpPlace: CatchUpPlace = {
    from: () => this.#fromSeq,
    maxBytes: () => this.#partBytes,
    stallMs: () => this.#options.stallMs,
    wanted: () => this.#queue.size > 0,
  };

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
    const { clock, log, stream, traced } = this.#deps;
    const backoff = new Backoff(clock, { minMs: 50, maxMs: 5_000 });
    const { signal } = this.#stop;
    while (!signal.aborted) {
      this.#restart = new AbortController();
      const until = AbortSignal.any([signal, this.#restart.signal]);
      try {
        const options = { maxBufferedBytes: Math.ceil(this.#partBytes), decoder: this.#decoder, traced };
        for await (const record of readRecords(stream, this.#nextSeq, options, until)) {
          if (until.aborted) break;
          backoff.reset();
          this.#push(record);
          if (this.#bytes > this.#maxBytes) await this.#makeRoom(until);
        }
      } catch (err) {
        if (until.aborted) continue;
        const fields = { err, stream: stream.id, seq: this.#nextSeq };
        if (wentBackwards(err)) await this.#goBack(fields);
        else if (isShapecastError(err)) log.warn(fields, 'tx stream cannot be read, retrying');
        else log.error(fields, 'tx stream cannot be decoded, retrying');
      }
      if (!until.aborted) await backoff.wait(until).catch(() => undefined);
    }
  }

  /** The stream ends before the window does: begins again at its end, and has every reader find its place. */
  async #goBack(fields: object): Promise<void> {
    const { log, stream } = this.#deps;
    try {
      const { lastSeq } = await stream.info();
      log.warn({ ...fields, lastSeq }, 'the tx stream has lost its tail, finding the places of the shards');
      this.#records = [];
      this.#bytes = 0;
      this.#fromSeq = lastSeq + 1;
      this.#nextSeq = lastSeq + 1;
      for (const reader of this.#readers) reader.onLost();
    } catch (err) {
      log.debug({ err }, 'the end of the tx stream is not known');
    }
  }

  #push(record: StreamRecord): void {
    const refilled = !this.#continues(record);
    if (refilled) this.#beginAnew(record);
    this.#records.push(record);
    this.#bytes += memoryOf(record);
    this.#nextSeq = record.seq + 1;
    for (const reader of this.#readers) reader.onRecords();
    if (refilled) for (const reader of this.#readers) reader.onLost();
  }

  /** Operations follow each other in a stream, so the record after another begins where that one ended. */
  #continues({ record }: StreamRecord): boolean {
    const before = this.#records.at(-1);
    return before === undefined || comparePositions(chainAfter(before.record).position, record.prev.position) === 0;
  }

  /**
   * `record` does not follow the one before: the stream lost its tail and was refilled past it before that was noticed, so what is held
   * here under the same sequences is no longer what is stored. Or records are missing, which whoever finds its place will see.
   */
  #beginAnew({ seq, firstSeq }: StreamRecord): void {
    const { log, stream } = this.#deps;
    log.warn({ stream: stream.id, seq }, 'the tx stream was written anew, finding the places of the shards');
    this.#records = [];
    this.#bytes = 0;
    this.#fromSeq = firstSeq;
  }

  async #makeRoom(signal: AbortSignal): Promise<void> {
    const wasFull = this.full;
    this.#fullAt = this.#deps.clock.now();
    if (!wasFull) this.#options.onFull?.();
    const deadline = this.#deps.clock.now() + this.#options.stallMs;
    for (;;) {
      this.#evict(this.#slowest());
      if (this.#bytes <= this.#maxBytes || signal.aborted) return;
      const left = deadline - this.#deps.clock.now();
      if (left <= 0 && this.#hasReaderAtEnd()) break;
      // With every reader behind, nobody is held up by waiting for them.
      await this.#taken.wait(this.#deps.clock, left > 0 ? left : this.#options.stallMs, signal);
    }
    this.#evict(Infinity);
    for (const reader of this.#readers) this.follow(reader);
  }

  /** What the last of the readers that are not behind the window still has to get. */
  #slowest(): number {
    let slowest = Infinity;
    for (const { needs } of this.#readers) if (needs >= this.#fromSeq) slowest = Math.min(slowest, needs);
    return slowest;
  }

  /** Drops the oldest records that end before `seq`, as many as are too much. */
  #evict(seq: number): void {
    let count = 0;
    while (count < this.#records.length - 1 && this.#bytes > this.#maxBytes) {
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

/** The stream ends before what was to be read next. */
function wentBackwards(err: unknown): boolean {
  return isShapecastError(err, 'STREAM_UNAVAILABLE') && err.details['reason'] === 'went-backwards';
}
