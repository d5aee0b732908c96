/** Bounds of a store. The defaults are those of the spec; tests make them small. */
export interface ShapeStoreLimits {
  /** JSON bytes that the pending log of one shape may hold; one more entry ends the shape (R 10.6.8). */
  readonly pendingMaxBytes: number;
  /** Entries that the pending log of one shape may hold. */
  readonly pendingMaxEntries: number;
  /** Transactions in the safety ring of a shard; older ones are dropped and the floor rises (R 10.6.7). */
  readonly ringMaxEntries: number;
  /** Versions of a shard's set of shapes that `loadDelta` can bridge (R 13.3.2). */
  readonly versionsKept: number;
  /** How long a snapshot attempt that says nothing counts as alive (R 10.7.4). */
  readonly leaseMs: number;
  /** How often the snapshot of a shape may be gone on with after it was broken off. */
  readonly resumptions: number;
  /** Handles that one `sweep` deletes. */
  readonly sweepMaxHandles: number;
  /** JSON bytes, or somewhat more, of a sealed chunk that are compressed together and read together. */
  readonly sealBlockBytes: number;
}

export const DEFAULT_LIMITS: ShapeStoreLimits = {
  pendingMaxBytes: 64 * 1024 * 1024,
  pendingMaxEntries: 100_000,
  ringMaxEntries: 100_000,
  versionsKept: 2_000,
  leaseMs: 10_000,
  resumptions: 10,
  sweepMaxHandles: 100,
  sealBlockBytes: 256 * 1024,
};

/** What a shape dies of when its pending log is full. */
export const PENDING_OVERFLOW = {
  code: 'SNAPSHOT_FAILED',
  message: 'Too many changes arrived while the snapshot of the shape was taken. Please retry.',
} as const;

/** What a live shape dies of when data of it that was stored is no longer there (spec R 14.8). */
export const DATA_LOST = {
  code: 'SHAPE_DATA_LOST',
  message: 'Data of the shape is missing in the store.',
} as const;
