export {
  isVisible,
  type AppendBatch,
  type AttemptStart,
  type CreateRequest,
  type InterruptedSnapshot,
  type IssuedHandles,
  type LogEntry,
  type LogRead,
  type OrphanStep,
  type PendingEdit,
  type SafetyRing,
  type SealStep,
  type ShapeFailure,
  type ShapeHead,
  type ShapePage,
  type ShapeReadTime,
  type ShapeRecord,
  type ShapeState,
  type ShapeStore,
  type ShapeUse,
  type ShardCursor,
  type ShardDelta,
  type ShardId,
  type ShardMeta,
  type ShardShapes,
  type ShardState,
  type ShardUse,
  type ShardWeight,
  type StoreMemory,
  type SnapshotDoubt,
  type SnapshotPart,
  type SnapshotRead,
  type SnapshotSegment,
  type SnapshotVisibility,
  type VisibilityOutcome,
  type WriteOutcome,
} from './shape-store.ts';
export type { AppliedNote, EntryOrigin } from './applied-note.ts';
export type { CallRecorders, Recorder, StoreNodeHealth } from './store-health.ts';
export type { HomeClaim, HomeOutcome, StoreHome } from './home.ts';
export type { ShapeInspection, ShapeReadSight } from './shape-inspection.ts';
export { openMemoryShapeStore } from './memory/memory-shape-store.ts';
export { openRedisShapeStore, type RedisShapeStoreOptions } from './redis/redis-shape-store.ts';
export type { StoreInspection, StoreServer } from './store-inspection.ts';
export { inspectRedis } from './redis/inspect-redis.ts';
export { DATA_LOST, DEFAULT_LIMITS, type ShapeStoreLimits } from './limits.ts';
export type { CompactEntry, EntryMerger } from './compaction.ts';
