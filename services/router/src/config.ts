import {
  bytes,
  commonConfig,
  commonNames,
  count,
  databaseConfig,
  databaseNames,
  databaseProblems,
  healthConfig,
  healthNames,
  milliseconds,
  natsConfig,
  natsNames,
  parseConfig,
  redisConfig,
  redisNames,
  redisProblems,
  streamId,
  type Environment,
} from '@shapecast/service-kit';
import { DEFAULT_LIMITS, type ShapeStoreLimits } from '@shapecast/shape-store';
import { telemetryConfig, telemetryNames } from '@shapecast/telemetry';
import { z } from 'zod';
import { DEFAULT_MAX_SCANNED_CLAUSES } from './matching/shard-index.ts';

/** Records that concern no shape may wait for a second, and a call to the store for several. */
const MIN_STALL_GRACE_MS = 10_000;

/** Settings of the router service. */
export const routerConfig = z.object({
  ...commonConfig,
  ...databaseConfig,
  streamId: streamId(),
  ...natsConfig,
  ...redisConfig,
  snapshotConcurrency: count(
    16,
    'Snapshots that this process takes at the same time; of each source, if there are many.',
    1,
  ),
  subsetConcurrency: count(
    8,
    'Subset queries that this process runs at the same time; at most half of the connections for snapshots.',
    1,
  ),
  subsetTimeoutMs: milliseconds(30_000, 'How long Postgres may work on a subset query.'),
  prefetchBytes: bytes(
    32 * 1024 * 1024,
    'Size of the stream records that this process reads ahead of its shards, all of them together.',
  ),
  maxScannedClauses: count(
    DEFAULT_MAX_SCANNED_CLAUSES,
    'Different where clauses of one table that no index serves; shapes beyond it are refused.',
  ),
  stallGraceMs: milliseconds(
    60_000,
    'How long a shard may be stuck on a transaction; then it is started again, and next the shapes concerned rotate.',
  ).refine((ms) => ms >= MIN_STALL_GRACE_MS, 'expected at least 10s'),
  heartbeatMs: milliseconds(500, 'How often this router tells the others that it lives; at least twice in a lease.'),
  tombstoneGraceMs: milliseconds(120_000, 'How long the data of an ended shape stays readable for those who read it.'),
  cleanupIntervalMs: milliseconds(10_000, 'How often the data of ended shapes is deleted.'),
  snapshotFirstRowTimeoutMs: milliseconds(
    30_000,
    'How long Postgres may work on the query of a new shape before its first row; then it is cancelled.',
  ),
  snapshotSafetyTimeoutMs: milliseconds(
    30_000,
    'How long a new shape waits until all that was committed before it shows: synchronous standbys may hold it back.',
  ),
  snapshotMaxBytesPerSecond: bytes(
    64 * 1024 * 1024,
    'Encoded bytes of snapshots that all routers of a source together store in a second.',
  ),
  snapshotMaxBytes: bytes(10 * 1024 ** 3, 'Encoded size of a snapshot; a shape with a larger one is refused.'),
  snapshotResumableBytes: bytes(
    1024 ** 3,
    'Size of a table from which on its snapshots are read in the order of the key, to go on where they were interrupted.',
  ),
  snapshotLeaseMs: milliseconds(DEFAULT_LIMITS.leaseMs, 'Silence after which a snapshot is left to another router.'),
  pendingLogBytes: bytes(
    DEFAULT_LIMITS.pendingMaxBytes,
    'Most bytes of changes that wait for the snapshot of a new shape, which rotates beyond it.',
  ),
  pendingLogOps: count(
    DEFAULT_LIMITS.pendingMaxEntries,
    'Most changes that wait for the snapshot of a new shape, which rotates beyond it.',
    1,
  ),
  catalogCheckMs: milliseconds(
    10_000,
    'How often the catalog is compared with the tables that have shapes: DDL, and partitions that came or went.',
  ),
  redisReplicas: count(
    undefined,
    'Replicas of a Redis that must have a change before it counts as durable. Unset: one, if there is any.',
    0,
  ),
  maxLogBytes: bytes(1024 ** 3, 'JSON bytes that the log of every shape may have; a shape with more rotates.'),
  maxLogRatio: count(4, 'A log may also have this many times the bytes of its snapshot.', 1),
  maxShapes: count(
    undefined,
    'Shapes that the source may have; beyond it those that were not read for the longest time rotate. Unset: any number.',
    1,
  ),
  expiryIntervalMs: milliseconds(60_000, 'How often shapes are counted for that limit, at least.'),
  sealIntervalMs: milliseconds(5_000, 'How often closed chunks of logs are looked for, to be compressed.'),
  compactionIntervalMs: milliseconds(
    600_000,
    'How often old entries are merged of shapes requested with experimental_compaction.',
  ),
  processSnapshots: count(64, 'Snapshots that this process takes at the same time, of all sources together.', 1),
  processSubsets: count(64, 'The same for subset queries.', 1),
  ...healthConfig,
  ...telemetryConfig,
});

export const routerConfigNames = {
  ...commonNames,
  ...databaseNames,
  streamId: ['ELECTRIC_REPLICATION_STREAM_ID'],
  ...natsNames,
  ...redisNames,
  snapshotConcurrency: ['SHAPECAST_SNAPSHOT_CONCURRENCY'],
  subsetConcurrency: ['SHAPECAST_SUBSET_CONCURRENCY'],
  subsetTimeoutMs: ['SHAPECAST_SUBSET_TIMEOUT'],
  prefetchBytes: ['SHAPECAST_ROUTER_PREFETCH'],
  maxScannedClauses: ['SHAPECAST_MAX_SCANNED_CLAUSES'],
  stallGraceMs: ['ELECTRIC_FLUSH_STALL_GRACE_PERIOD'],
  heartbeatMs: ['SHAPECAST_ROUTER_HEARTBEAT'],
  tombstoneGraceMs: ['SHAPECAST_TOMBSTONE_GRACE'],
  cleanupIntervalMs: ['ELECTRIC_CLEANUP_INTERVAL_MS'],
  pendingLogBytes: ['SHAPECAST_PENDING_LOG_BYTES'],
  pendingLogOps: ['SHAPECAST_PENDING_LOG_OPS'],
  snapshotFirstRowTimeoutMs: ['SHAPECAST_SNAPSHOT_FIRST_ROW_TIMEOUT'],
  snapshotSafetyTimeoutMs: ['SHAPECAST_SNAPSHOT_SAFETY_TIMEOUT'],
  snapshotMaxBytesPerSecond: ['SHAPECAST_SNAPSHOT_MAX_BYTES_PER_S'],
  snapshotMaxBytes: ['SHAPECAST_SNAPSHOT_MAX_BYTES'],
  snapshotResumableBytes: ['SHAPECAST_SNAPSHOT_RESUMABLE_BYTES'],
  snapshotLeaseMs: ['SHAPECAST_LEASE_SNAPSHOT'],
  catalogCheckMs: ['ELECTRIC_TWEAKS_SCHEMA_RECONCILER_PERIOD'],
  redisReplicas: ['SHAPECAST_REDIS_REPLICAS'],
  maxLogBytes: ['SHAPECAST_MAX_LOG_BYTES'],
  maxLogRatio: ['SHAPECAST_MAX_LOG_RATIO'],
  maxShapes: ['ELECTRIC_MAX_SHAPES', 'ELECTRIC_EXPERIMENTAL_MAX_SHAPES'],
  expiryIntervalMs: ['SHAPECAST_EXPIRY_INTERVAL'],
  sealIntervalMs: ['SHAPECAST_SEAL_INTERVAL'],
  compactionIntervalMs: ['SHAPECAST_COMPACTION_INTERVAL'],
  processSnapshots: ['SHAPECAST_ROUTER_SNAPSHOTS'],
  processSubsets: ['SHAPECAST_ROUTER_SUBSETS'],
  ...healthNames,
  ...telemetryNames,
} as const;

export type RouterConfig = z.output<typeof routerConfig>;

export function parseRouterConfig(env: Environment): RouterConfig {
  return parseConfig(routerConfig, routerConfigNames, env, (config) => [
    ...databaseProblems(config),
    ...redisProblems(config),
    ...heartbeatProblems(config),
  ]);
}

/** One heartbeat that is late or lost must not look like an end. */
function heartbeatProblems({ heartbeatMs, routerLeaseMs }: Partial<RouterConfig>): readonly string[] {
  if (heartbeatMs === undefined || routerLeaseMs === undefined || 2 * heartbeatMs <= routerLeaseMs) return [];
  return ['SHAPECAST_ROUTER_HEARTBEAT: expected at most half of SHAPECAST_LEASE_ROUTER'];
}

/** The bounds of the shape store as the environment sets them. */
export function storeLimits(config: RouterConfig): Partial<ShapeStoreLimits> {
  return {
    pendingMaxBytes: config.pendingLogBytes,
    pendingMaxEntries: config.pendingLogOps,
    leaseMs: config.snapshotLeaseMs,
  };
}
