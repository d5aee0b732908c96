import type { ShapeMessage } from '../../support/shape-state.ts';

/** All times are of `performance.now()`. */
export interface Sent {
  readonly at: number;
  readonly handle: string | undefined;
  readonly offset: string;
  readonly live: boolean;
}

/** One answer with messages, as a reader of a shape got it. */
export interface Delivered {
  readonly sent: Sent;
  readonly at: number;
  readonly handle: string;
  readonly offset: string;
  /** By the header. */
  readonly upToDate: boolean;
  readonly messages: readonly ShapeMessage[];
  /** Of the body of a 200 that ended before the shape was up to date; absent where the reader does not see bodies. */
  readonly bodyHash?: number;
}

/** One 409. */
export interface Refused {
  readonly sent: Sent;
  readonly at: number;
  /** The handle that was asked for. */
  readonly handle: string | undefined;
  /** The one to go on with. */
  readonly next: string | undefined;
}

export type RuleName =
  /** State at an up-to-date equals Postgres (R 1, I1). */
  | 'state'
  /** An offset has the same bytes for ever (I2). */
  | 'bytes'
  /** Order, whole transactions, no row twice (I3, I4), watermark (R 14.4). */
  | 'protocol'
  /** What was confirmed to Postgres is stored (I5). */
  | 'confirmed'
  /** A shape ended that had no reason to (R 15.7). */
  | 'rotation'
  /** A dead handle came back (I9, R 12.5.7). */
  | 'resurrection'
  /** A reader did not catch up (liveness). */
  | 'stale'
  /** An answer that no fault explains. */
  | 'answer';

export interface Violation {
  readonly rule: RuleName;
  readonly at: number;
  /** Name of the reader; undefined where none is concerned. */
  readonly reader: string | undefined;
  readonly text: string;
}
