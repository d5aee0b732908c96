export {
  isVisible,
  type AppendBatch,
  type AttemptStart,
  type CreateRequest,
  type LogEntry,
  type LogRead,
  type SafetyRing,
  type SealStep,
  type ShapeFailure,
  type ShapeHead,
  type ShapePage,
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
  type SnapshotDoubt,
  type SnapshotRead,
  type SnapshotVisibility,
  type VisibilityOutcome,
  type WriteOutcome,
} from './shape-store.ts';
export { openMemoryShapeStore } from './memory/memory-shape-store.ts';
export { openRedisShapeStore, type RedisShapeStoreOptions } from './redis/redis-shape-store.ts';
export { DATA_LOST, DEFAULT_LIMITS, type ShapeStoreLimits } from './limits.ts';
export type { CompactEntry, EntryMerger } from './compaction.ts';
