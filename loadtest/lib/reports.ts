import type { Histogram } from './histogram.ts';

/** What one virtual user tells the harness when its readers have finished. */
export interface ReaderReport {
  /** Latencies of rows by second of the epoch and kind of reader. */
  readonly series: Readonly<Record<string, Readonly<Record<string, Histogram>>>>;
  /** For each row of a shape that many read, `<kind>/<seq>`: how many of these readers had it, and when the last one did. */
  readonly receipts: Readonly<Record<string, Receipt>>;
}

export type Receipt = readonly [readers: number, slowestMs: number];

/** Where the writer stands. */
export interface WriterState {
  readonly state: 'waiting' | 'writing' | 'quiet' | 'failed';
  /** Its clock when the first phase began. */
  readonly startedMs: number | undefined;
  readonly problem: string | undefined;
}

/** By source, '' where there is only one: for each channel its number of rows and their check (SequenceTracker). */
export type Finals = Readonly<Record<string, readonly (readonly [rows: number, check: number])[]>>;
