import type { Relation } from '@shapecast/log';
import type { ShardIndex } from './matching/shard-index.ts';
import { Step, type StepStart } from './matching/step.ts';
import { concernedBy } from './stall/concerned.ts';
import type { TakeLimits } from './stream/window-reader.ts';
import type { StreamRecord } from './stream/stream-record.ts';

export interface StepLimits {
  /** Bounds of one append: it takes no further record past them. */
  readonly maxStepChanges: number;
  /** Of its entries, and as much again of the records it was made from: most may concern no shape. */
  readonly maxStepBytes: number;
  readonly maxStepEntries: number;
  /** How long records that concern no shape may wait for more before the cursor is moved over them. */
  readonly lingerMs: number;
  /** The same for a shard without any shape. */
  readonly emptyLingerMs: number;
  readonly maxLingerRecords: number;
}

/** Reads that are small beside a step, so that a step stops growing near its bounds. */
const READ_RECORDS = 16;
/** What a change counts for at least, where a step is bounded by its turn. */
const MIN_CHANGE_BYTES = 128;
/** From this many void appends in a row on, steps are made smaller. */
const CONFLICTS_TO_SHRINK = 2;

/** The step a shard works on, with the records it was made from: it may have to be made again until it is appended. */
export class PendingStep {
  readonly #index: ShardIndex;
  readonly #limits: StepLimits;
  #step: Step | undefined;
  #records: StreamRecord[] = [];
  #changes = 0;
  /** Encoded size of `#records`. */
  #bytes = 0;
  #since = 0;
  /** Records that were taken from the stream and then left out of the step. */
  #ahead: StreamRecord[] = [];
  /** Has to be compiled before the next record is matched. */
  #waitsFor: Relation | undefined;
  /** Appends in a row that a new version of the set of shapes made void. */
  #conflicts = 0;
  /** Records up to here go one by one. */
  #aloneUntil = 0;
  /** Of the turn at hand. */
  #turnBytes = Infinity;
  /** The next record goes alone, and perhaps without being evaluated. */
  #trial: 'alone' | 'skip' | undefined;

  constructor(index: ShardIndex, limits: StepLimits) {
    this.#index = index;
    this.#limits = limits;
  }

  /** Undefined while there is nothing to append. */
  get step(): Step | undefined {
    return this.#step;
  }

  /** Bytes that were read for the step and that it writes: what making it costs. */
  get cost(): number {
    return this.#bytes + (this.#step?.bytes ?? 0);
  }

  /** Records were taken from the stream and are not appended yet. */
  get waiting(): boolean {
    return this.#step !== undefined || this.#ahead.length > 0;
  }

  /**
   * Shapes that the next append, or the record that no step can be made of, is about: what may be to blame when that does not
   * get through.
   */
  involved(): ReadonlySet<string> {
    if (this.#records.length > 0 && this.#step) {
      const { touched, doubts } = this.#step.finish();
      return new Set([...touched, ...doubts.map(({ handle }) => handle)]);
    }
    const [next] = this.#ahead;
    return next === undefined ? new Set() : concernedBy(next.record, this.#index);
  }

  /** Appends in a row that a new version of the set of shapes made void. */
  get conflicts(): number {
    return this.#conflicts;
  }

  /** A relation whose shapes have to be compiled before `collect` goes on. */
  get waitsFor(): Relation | undefined {
    return this.#waitsFor;
  }

  /** The next record that is at hand, taken from the stream but not looked into. */
  next(read: (limits: TakeLimits) => readonly StreamRecord[]): StreamRecord | undefined {
    if (this.#step === undefined && this.#ahead.length === 0) {
      this.#ahead = [...read({ maxRecords: 1, maxChanges: Infinity, maxBytes: Infinity })];
    }
    return this.#records[0] ?? this.#ahead[0];
  }

  /** The next record goes alone until it is appended; with 'skip' its changes are passed over. */
  try(how: 'alone' | 'skip'): void {
    this.#trial = how;
  }

  /** Handles of the shapes that would miss what is passed over. */
  skipped(): ReadonlySet<string> {
    const [record] = this.#records;
    return this.#trial === 'skip' && record ? concernedBy(record.record, this.#index) : new Set();
  }

  /**
   * Adds records until none is at hand or the step is full. Returns the record before which operations are missing, if
   * there is one. `start` and `nowMs` are for a step that begins now. A step is full with `turnBytes`, if others wait for their turn.
   */
  collect(
    read: (limits: TakeLimits) => readonly StreamRecord[],
    start: StepStart,
    nowMs: number,
    turnBytes = Infinity,
  ): StreamRecord | undefined {
    this.#turnBytes = turnBytes;
    // What did not get through is tried alone.
    if (this.#conflicts >= CONFLICTS_TO_SHRINK && this.#step) return undefined;
    while (!this.#isFull()) {
      const limits = {
        maxRecords: READ_RECORDS,
        maxChanges: this.#maxChanges - this.#changes,
        maxBytes: this.#maxBytes - this.#bytes,
      };
      const records = this.#ahead.length > 0 ? this.#ahead.splice(0, 1) : read(limits);
      if (records.length === 0) return undefined;
      for (const [i, record] of records.entries()) {
        // One record can be of many shapes, and so many entries.
        const full = this.#isFull();
        if (!full && this.#trial !== 'skip') this.#waitsFor = this.#index.uncompiled(record.record);
        if (full || this.#waitsFor !== undefined) {
          this.#ahead = [...records.slice(i), ...this.#ahead];
          return undefined;
        }
        if (this.#step === undefined) this.#since = nowMs;
        this.#step ??= new Step(this.#index, start);
        try {
          if (!this.#step.add(record, this.#trial === 'skip')) return record;
        } catch (error) {
          this.#ahead = [...records.slice(i), ...this.#ahead];
          this.#setAside(record, start, error);
          return undefined;
        }
        this.#records.push(record);
        this.#changes += record.changes;
        this.#bytes += record.bytes;
      }
    }
    return undefined;
  }

  /** How long the step may still wait for more records; Infinity when there is none. Entries do not wait. */
  lingerMs(nowMs: number): number {
    const { lingerMs, emptyLingerMs } = this.#limits;
    if (this.#step === undefined) return Infinity;
    if (this.#step.size > 0 || this.#isFull()) return 0;
    return this.#since + (this.#index.size === 0 ? emptyLingerMs : lingerMs) - nowMs;
  }

  /** The same records once more, after the shapes have changed. */
  matchAgain(start: StepStart): void {
    if (this.#step === undefined) return;
    this.#step = new Step(this.#index, start);
    for (const record of this.#records) this.#step.add(record, this.#trial === 'skip');
  }

  /**
   * The set of shapes changed before the step was appended. While shapes are created faster than a step can be matched, every
   * append would come too late: smaller ones get through (spec R 13.3.3).
   */
  conflicted(): void {
    this.#conflicts += 1;
    if (this.#conflicts < CONFLICTS_TO_SHRINK || this.#records.length < 2) return;
    const keep = Math.ceil(this.#records.length / 2);
    this.#ahead = [...this.#records.slice(keep), ...this.#ahead];
    this.#keep(keep);
  }

  #keep(count: number): void {
    this.#records = this.#records.slice(0, count);
    this.#changes = this.#records.reduce((sum, record) => sum + record.changes, 0);
    this.#bytes = this.#records.reduce((sum, record) => sum + record.bytes, 0);
  }

  /** No step can be made of `record`: those before it go first, then it is tried alone. */
  #setAside(record: StreamRecord, start: StepStart, error: unknown): void {
    const [before] = this.#records;
    this.#aloneUntil = Math.max(this.#aloneUntil, record.seq);
    if (before === undefined) {
      this.#clear();
      throw error;
    }
    // What the record left in the step must not be written.
    this.matchAgain(start);
  }

  /**
   * Something that is not the store's outage keeps the step from being appended: its records go one by one, and so do the next
   * ones up to `untilSeq`, so that the one to blame is found and the others get through.
   */
  oneByOne(start: StepStart, untilSeq = 0): void {
    this.#aloneUntil = Math.max(this.#aloneUntil, untilSeq, this.#records.at(-1)?.seq ?? 0);
    if (this.#records.length < 2) return;
    this.#ahead = [...this.#records.slice(1), ...this.#ahead];
    this.#keep(1);
    this.matchAgain(start);
  }

  /** The step was appended. */
  done(): void {
    this.#conflicts = 0;
    this.#trial = undefined;
    this.#clear();
  }

  /** Drops everything: reading begins elsewhere. */
  forget(): void {
    this.#ahead = [];
    this.#clear();
  }

  #clear(): void {
    this.#step = undefined;
    this.#records = [];
    this.#changes = 0;
    this.#bytes = 0;
  }

  #isFull(): boolean {
    const { maxLingerRecords, maxStepEntries } = this.#limits;
    const maxBytes = this.#maxBytes;
    const step = this.#step;
    const last = this.#records.at(-1);
    return (
      (last !== undefined && (last.seq <= this.#aloneUntil || this.#trial !== undefined)) ||
      this.#changes >= this.#maxChanges ||
      this.#bytes >= maxBytes ||
      this.#records.length >= maxLingerRecords ||
      (step !== undefined && (step.made >= maxStepEntries || step.bytes >= maxBytes))
    );
  }

  get #maxBytes(): number {
    return Math.min(this.#limits.maxStepBytes, this.#turnBytes);
  }

  /** Rows are not so small that as many bytes of them take much longer. */
  get #maxChanges(): number {
    return Math.min(this.#limits.maxStepChanges, Math.ceil(this.#turnBytes / MIN_CHANGE_BYTES));
  }
}
