import type { ShapeRecord, ShapeUse } from './shape-store.ts';

/** When a shape was last read. */
export interface ShapeReadSight {
  /** Milliseconds since 1970, by the store's clock; absent when it never was. */
  readonly at?: number;
  /** Somebody is believed to wait for its next change. */
  readonly waiting: boolean;
}

/** A shape as somebody sees it who looks and changes nothing. */
export interface ShapeInspection extends ShapeUse {
  /** Absent where it was deleted already, or is of a format that this version does not read. */
  readonly record?: ShapeRecord;
  /** Chunks of the log that are closed; the one after them is open. */
  readonly logChunks: number;
  readonly read: ShapeReadSight;
}
