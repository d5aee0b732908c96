export {
  isVisible,
  type AppendBatch,
  type CreateRequest,
  type LogEntry,
  type LogRead,
  type SafetyRing,
  type ShapeFailure,
  type ShapeHead,
  type ShapeRecord,
  type ShapeState,
  type ShapeStore,
  type ShardCursor,
  type ShardDelta,
  type ShardId,
  type ShardMeta,
  type ShardShapes,
  type ShardState,
  type SnapshotRead,
  type SnapshotVisibility,
  type WriteOutcome,
} from './shape-store.ts';
export { openMemoryShapeStore } from './memory/memory-shape-store.ts';
export { openRedisShapeStore, type RedisShapeStoreOptions } from './redis/redis-shape-store.ts';
export type { ShapeStoreLimits } from './limits.ts';
