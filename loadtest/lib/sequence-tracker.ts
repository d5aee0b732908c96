/** What the writer puts into a row, as a reader has it. */
export interface SequencedRow {
  readonly channel: number;
  /** Grows by one from row to row of a channel, in the order of the commits. */
  readonly seq: number;
  readonly writtenMs: number;
}

/** Rows of a channel and a sum over their columns; what the writer says of Postgres, and a reader of what it was given. */
export interface Totals {
  readonly rows: number;
  readonly check: number;
}

/** Below this a sum of two still is an exact number. The writer computes the same in SQL. */
export const CHECK_MODULUS = 2 ** 51;

function checkOf({ channel, seq, writtenMs }: SequencedRow): number {
  return (seq * 1_000_003 + (writtenMs % 1_000_003) + channel * 31) % CHECK_MODULUS;
}

/**
 * Finds rows of one channel that are missing or came twice. Until the reader is up to date for the first time they come in any order, so
 * only their number and sum are kept, which tell whether they are all from 1 to the highest; from then on each must be the one after
 * the last. A row that comes late, after its successors, is a gap and a duplicate.
 */
export class SequenceTracker {
  gaps = 0;
  duplicates = 0;
  #rows = 0;
  #check = 0;
  #sum = 0;
  #highest = 0;
  #settled = false;

  get totals(): Totals {
    return { rows: this.#rows, check: this.#check };
  }

  get highest(): number {
    return this.#highest;
  }

  /** Whether it has been up to date once. */
  get settled(): boolean {
    return this.#settled;
  }

  take(row: SequencedRow): void {
    this.#rows += 1;
    this.#check = (this.#check + checkOf(row)) % CHECK_MODULUS;
    if (!this.#settled) {
      this.#sum += row.seq;
      this.#highest = Math.max(this.#highest, row.seq);
      return;
    }
    if (row.seq > this.#highest) {
      this.gaps += row.seq - this.#highest - 1;
      this.#highest = row.seq;
    } else {
      this.duplicates += 1;
    }
  }

  /** The reader is up to date: rows that were read in any order are judged, once. */
  upToDate(): void {
    if (this.#settled) return;
    this.#settled = true;
    const expected = this.#highest;
    if (this.#rows < expected) this.gaps += expected - this.#rows;
    else if (this.#rows > expected) this.duplicates += this.#rows - expected;
    else if (this.#sum !== (expected * (expected + 1)) / 2) {
      this.gaps += 1;
      this.duplicates += 1;
    }
  }

  /** The shape begins anew (409): what was read counts no more, what was found wrong does. */
  startOver(): void {
    this.#rows = 0;
    this.#check = 0;
    this.#sum = 0;
    this.#highest = 0;
    this.#settled = false;
  }

  /** Goes on where another reader of the shape stood, for one that catches up from there. */
  static after(highest: number, totals: Totals): SequenceTracker {
    const tracker = new SequenceTracker();
    tracker.#highest = highest;
    tracker.#rows = totals.rows;
    tracker.#check = totals.check;
    tracker.#settled = true;
    return tracker;
  }

  /** Compares with what Postgres has; rows that are missing at the end are gaps that no later row has shown. */
  compare(postgres: Totals): boolean {
    if (postgres.rows > this.#rows) this.gaps += postgres.rows - this.#rows;
    return postgres.rows === this.#rows && postgres.check === this.#check;
  }
}
