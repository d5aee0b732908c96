import {
  bytes,
  commonConfig,
  commonNames,
  count,
  milliseconds,
  parseConfig,
  postgresUrl,
  type Environment,
} from '@shapecast/service-kit';
import { z } from 'zod';
import { DEFAULT_MAX_SCANNED_CLAUSES } from './matching/shard-index.ts';

/** Settings of the router service. */
export const routerConfig = z.object({
  ...commonConfig,
  sourceUrl: postgresUrl('Source database: snapshots and catalog are read from it.'),
  queryUrl: postgresUrl('The same database behind a pooler, for snapshots and catalog.').optional(),
  streamId: z
    .string()
    .regex(/^[a-z0-9_]{1,40}$/, 'expected 1 to 40 lower-case letters, digits or _')
    .default('default')
    .describe('Part of the names of the slot and the publication.'),
  natsUrl: z.string({ error: 'is required' }).describe('NATS server or servers, comma-separated.'),
  redisUrl: z.string({ error: 'is required' }).describe('Redis server of the shape store.'),
  poolSize: count(20, 'Connections to Postgres for snapshots and catalog.', 2),
  snapshotConcurrency: count(16, 'Snapshots that this process takes at the same time.', 1),
  subsetConcurrency: count(
    8,
    'Subset queries that this process runs at the same time; at most half of the connections for snapshots.',
    1,
  ),
  subsetTimeoutMs: milliseconds(30_000, 'How long Postgres may work on a subset query.'),
  windowBytes: bytes(16 * 1024 * 1024, 'Size of the stream records kept decoded for the shards of this process.'),
  maxScannedClauses: count(
    DEFAULT_MAX_SCANNED_CLAUSES,
    'Different where clauses of one table that no index serves; shapes beyond it are refused.',
  ),
  heartbeatMs: milliseconds(1_000, 'How often this router tells the others that it lives; they forget it after 5 s.'),
  catalogCheckMs: milliseconds(
    10_000,
    'How often partitions that came or went, and renamed or dropped tables, are looked for.',
  ),
  healthPort: count(3001, 'Port of /live, /ready and /health.'),
  healthHost: z.string().default('0.0.0.0').describe('Address of the health port.'),
});

export const routerConfigNames = {
  ...commonNames,
  sourceUrl: ['DATABASE_URL'],
  queryUrl: ['ELECTRIC_POOLED_DATABASE_URL'],
  streamId: ['ELECTRIC_REPLICATION_STREAM_ID'],
  natsUrl: ['SHAPECAST_NATS_URL'],
  redisUrl: ['SHAPECAST_REDIS_URL'],
  poolSize: ['SHAPECAST_DB_POOL_SIZE', 'ELECTRIC_DB_POOL_SIZE'],
  snapshotConcurrency: ['SHAPECAST_SNAPSHOT_CONCURRENCY'],
  subsetConcurrency: ['SHAPECAST_SUBSET_CONCURRENCY'],
  subsetTimeoutMs: ['SHAPECAST_SUBSET_TIMEOUT'],
  windowBytes: ['SHAPECAST_ROUTER_WINDOW_BYTES'],
  maxScannedClauses: ['SHAPECAST_MAX_SCANNED_CLAUSES'],
  heartbeatMs: ['SHAPECAST_ROUTER_HEARTBEAT'],
  catalogCheckMs: ['ELECTRIC_TWEAKS_SCHEMA_RECONCILER_PERIOD'],
  healthPort: ['SHAPECAST_HEALTH_PORT'],
  healthHost: ['SHAPECAST_HEALTH_HOST'],
} as const;

export type RouterConfig = z.output<typeof routerConfig>;

export function parseRouterConfig(env: Environment): RouterConfig {
  return parseConfig(routerConfig, routerConfigNames, env);
}
