import { DEFAULT_MAX_SCANNED_CLAUSES } from '../matching/shard-index.ts';

/** What one source may use. May change while its routers run. Bytes are bytes. */
export interface SourceQuotas {
  /** Snapshots that one router takes at a time. */
  readonly snapshotSlots: number;
  /** Encoded size of one snapshot (spec O 3.4). */
  readonly snapshotBytes: number;
  /** Encoded bytes of snapshots that all routers of the source together store in a second (spec O 3.2). */
  readonly snapshotBytesPerSecond: number;
  /** Subset queries that one router runs at a time; more wait for a moment and are then refused. */
  readonly subsetSlots: number;
  /** Different where clauses of one table that no index serves, all shards together; shapes beyond it are refused (spec W 9.12). */
  readonly unindexableClauses: number;
  /** Shapes; undefined: any number. */
  readonly maxShapes: number | undefined;
  /** JSON bytes that the log of every shape may have. */
  readonly logBytes: number;
  /** Bytes in the store, of all shards together; undefined: any number. */
  readonly redisBytes: number | undefined;
  /** What there is goes on, nothing new begins. */
  readonly draining: boolean;
}

const GIB = 1024 ** 3;

export const DEFAULT_QUOTAS: SourceQuotas = {
  snapshotSlots: 16,
  snapshotBytes: 10 * GIB,
  snapshotBytesPerSecond: GIB / 16,
  subsetSlots: 8,
  unindexableClauses: DEFAULT_MAX_SCANNED_CLAUSES,
  maxShapes: undefined,
  logBytes: GIB,
  redisBytes: undefined,
  draining: false,
};
