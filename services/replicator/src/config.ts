import { randomUUID } from 'node:crypto';
import {
  bytes,
  commonConfig,
  commonNames,
  count,
  databaseConfig,
  databaseNames,
  databaseProblems,
  flag,
  healthConfig,
  healthNames,
  milliseconds,
  natsConfig,
  natsNames,
  parseConfig,
  streamId,
  type Environment,
} from '@shapecast/service-kit';
import { z } from 'zod';
import { replicatorDefaults } from './options.ts';

const HOUR_MS = 3_600_000;
const DEFAULT_SYNC_MS = 120_000;

/** What routers tell of the tables in use is seen within seconds; a table must not come and go. */
const MIN_LINGER_MS = 30_000;

/** Every wake-up costs a take-over (spec R 3.7.1). */
const MIN_IDLE_MS = 30_000;

/** Settings of the replicator (spec O 5.2, 5.3). `docs/config.md` is made from the descriptions. */
export const schema = z.object({
  ...commonConfig,
  ...databaseConfig,
  streamId: streamId(),
  temporarySlot: flag(false, 'The slot ends with its connection; every connection is a new incarnation.'),
  randomSlotName: flag(false, 'A temporary slot gets a random name, so that several can exist at a time.'),
  walSenderTimeoutMs: milliseconds(15_000, 'How long a dead leader keeps the slot and the lock.'),
  lockPollMs: milliseconds(1_000, 'How often a standby tries to take the lock.'),
  lockBreaker: flag(true, 'Ends a backend that holds the lock while the slot is inactive.'),
  slotFailover: flag(false, 'Standbys keep the slot too, from Postgres 17 on.'),
  manualPublishing: flag(false, 'Tables are added to the publication by hand; it is never altered.'),
  alterDebounceMs: milliseconds(0, 'How long a change of the publication waits for others to go with it.', {
    zero: true,
  }),
  publicationRefreshMs: milliseconds(60_000, 'How often the publication is verified.'),
  ddlLockTimeoutMs: milliseconds(
    2_000,
    'How long a change of a table waits for its lock, while queries wait behind it.',
  ),
  publicationGapTimeoutMs: milliseconds(30_000, 'How long a new table waits for transactions that wrote to it before.'),
  unpublishLingerMs: milliseconds(600_000, 'How long a table without shapes stays published.').refine(
    (ms) => ms >= MIN_LINGER_MS,
    'expected at least 30s',
  ),
  idleTimeoutMs: milliseconds(
    0,
    'How long nothing happens before all database connections are closed until somebody needs them; 0 is never.',
    { zero: true },
  ).refine((ms) => ms === 0 || ms >= MIN_IDLE_MS, 'expected at least 30s, or 0'),
  maxRowBytes: bytes(128 * 1024 ** 2, 'Largest row change, old and new row together; larger ones rotate their shapes.'),
  ...natsConfig,
  streamReplicas: count(3, 'Copies of the tx stream; fewer than 3 only with SHAPECAST_ALLOW_UNSAFE=true.', 1),
  allowUnsafe: flag(false, 'Accepts settings under which a single failure can lose data. For development.'),
  streamMaxAgeMs: milliseconds(72 * HOUR_MS, 'Age at which records leave the tx stream.', {
    maxMs: 3_650 * 24 * HOUR_MS,
  }),
  streamMaxBytes: bytes(20 * 1024 ** 3, 'Size at which the tx stream takes nothing more.'),
  trimMarginMs: milliseconds(
    HOUR_MS,
    'How long records stay in the tx stream that every shard has stored for certain.',
    {
      zero: true,
      maxMs: 3_650 * 24 * HOUR_MS,
    },
  ),
  duplicateWindowMs: milliseconds(120_000, 'How long NATS recognises a repeated record.'),
  natsSyncMs: z
    .union([z.literal('always').transform(() => 0), milliseconds(DEFAULT_SYNC_MS, '')], {
      error: 'expected always or a duration such as 5s',
    })
    .describe('sync_interval of the NATS servers: a duration, or always.'),
  confirmDelayMs: milliseconds(
    undefined,
    'Age of a stored record before Postgres may forget it; twice the sync interval when unset.',
    { zero: true },
  ),
  shards: count(replicatorDefaults.shards, 'Shards of the source; changing it starts a new incarnation.', 1)
    .refine((n) => n <= 256 && Number.isInteger(Math.log2(n)), 'expected a power of two up to 256')
    .meta({ form: 'a power of two up to 256' }),
  maxFragmentBytes: bytes(replicatorDefaults.maxFragmentBytes, 'Largest encoded record.'),
  maxFragmentChanges: count(replicatorDefaults.maxFragmentChanges, 'Most changes in one record.', 2),
  windowBytes: bytes(replicatorDefaults.windowBytes, 'Encoded bytes in flight at which reading from Postgres pauses.'),
  windowMessages: count(
    replicatorDefaults.windowMessages,
    'Records in flight at which reading from Postgres pauses.',
    1,
  ),
  walBudgetBytes: bytes(
    undefined,
    'WAL that Postgres may keep for the slot; three quarters of max_slot_wal_keep_size when unset, or 20 GiB if that has no limit.',
  ),
  walBudgetAgeMs: milliseconds(0, 'How long WAL may wait to be confirmed; 0: any time.', {
    zero: true,
    maxMs: 3_650 * 24 * HOUR_MS,
  }),
  walGuard: z
    .enum(['alarm', 'shed', 'drop'], { error: 'expected alarm, shed or drop' })
    .default('shed')
    .describe('What is given up as the budget is used: nothing, new shapes, or at the end also the slot.'),
  walGuardIntervalMs: milliseconds(10_000, 'How often the WAL kept for the slot is looked at.'),
  walGuardPauseMs: milliseconds(
    60_000,
    'How long a source whose slot was dropped waits at least before it starts anew.',
    {
      zero: true,
    },
  ),
  sourcesFile: z
    .string()
    .optional()
    .describe('File that declares sources, with SHAPECAST_SOURCES=registry; followed while the process runs.'),
  maxSources: count(50, 'Sources that one replicator process takes.', 1),
  sourcesPerWorker: count(10, 'Sources that share a thread of a replicator, and a heap.', 1),
  workerHeapBytes: bytes(1024 ** 3, 'Heap of such a thread; one that needs more ends, and its sources begin again.'),
  ...healthConfig,
});

export const names = {
  ...commonNames,
  ...databaseNames,
  streamId: ['ELECTRIC_REPLICATION_STREAM_ID'],
  temporarySlot: ['CLEANUP_REPLICATION_SLOTS_ON_SHUTDOWN'],
  randomSlotName: ['ELECTRIC_TEMPORARY_REPLICATION_SLOT_USE_RANDOM_NAME'],
  walSenderTimeoutMs: ['SHAPECAST_WAL_SENDER_TIMEOUT'],
  lockPollMs: ['SHAPECAST_LOCK_POLL'],
  lockBreaker: ['SHAPECAST_LOCK_BREAKER'],
  slotFailover: ['SHAPECAST_SLOT_FAILOVER'],
  manualPublishing: ['ELECTRIC_MANUAL_TABLE_PUBLISHING'],
  alterDebounceMs: ['ELECTRIC_PUBLICATION_ALTER_DEBOUNCE_TIME'],
  publicationRefreshMs: ['ELECTRIC_TWEAKS_PUBLICATION_REFRESH_PERIOD'],
  ddlLockTimeoutMs: ['SHAPECAST_DDL_LOCK_TIMEOUT'],
  publicationGapTimeoutMs: ['SHAPECAST_PUBLICATION_GAP_TIMEOUT'],
  unpublishLingerMs: ['SHAPECAST_UNPUBLISH_LINGER'],
  idleTimeoutMs: ['ELECTRIC_REPLICATION_IDLE_TIMEOUT'],
  maxRowBytes: ['SHAPECAST_MAX_ROW_BYTES'],
  ...natsNames,
  streamReplicas: ['SHAPECAST_STREAM_REPLICAS'],
  allowUnsafe: ['SHAPECAST_ALLOW_UNSAFE'],
  streamMaxAgeMs: ['SHAPECAST_STREAM_MAX_AGE'],
  streamMaxBytes: ['SHAPECAST_STREAM_MAX_BYTES'],
  trimMarginMs: ['SHAPECAST_TRIM_MARGIN'],
  duplicateWindowMs: ['SHAPECAST_STREAM_DUPLICATE_WINDOW'],
  natsSyncMs: ['SHAPECAST_NATS_SYNC_INTERVAL'],
  confirmDelayMs: ['SHAPECAST_CONFIRM_DELAY'],
  shards: ['SHAPECAST_SHARDS'],
  maxFragmentBytes: ['SHAPECAST_MAX_FRAGMENT_BYTES'],
  maxFragmentChanges: ['SHAPECAST_MAX_FRAGMENT_CHANGES', 'ELECTRIC_EXPERIMENTAL_MAX_BATCH_SIZE'],
  windowBytes: ['SHAPECAST_PUBLISH_WINDOW_BYTES'],
  windowMessages: ['SHAPECAST_PUBLISH_WINDOW_MESSAGES'],
  walBudgetBytes: ['SHAPECAST_WAL_BUDGET'],
  walBudgetAgeMs: ['SHAPECAST_WAL_BUDGET_AGE'],
  walGuard: ['SHAPECAST_WAL_GUARD'],
  walGuardIntervalMs: ['SHAPECAST_WAL_GUARD_INTERVAL'],
  walGuardPauseMs: ['SHAPECAST_WAL_GUARD_PAUSE'],
  sourcesFile: ['SHAPECAST_SOURCES_FILE'],
  maxSources: ['SHAPECAST_MAX_SOURCES_PER_PROCESS'],
  sourcesPerWorker: ['SHAPECAST_SOURCES_PER_WORKER'],
  workerHeapBytes: ['SHAPECAST_WORKER_HEAP'],
  ...healthNames,
} as const;

export type ReplicatorConfig = Omit<z.output<typeof schema>, 'natsSyncMs' | 'randomSlotName' | 'confirmDelayMs'> & {
  readonly confirmDelayMs: number;
  readonly slotName: string;
  readonly publicationName: string;
};

/** Reads the environment. Throws INVALID_CONFIG that names every variable that is wrong. */
export function parseReplicatorConfig(env: Environment): ReplicatorConfig {
  const { natsSyncMs, randomSlotName, ...config } = parseConfig(schema, names, env, check);
  const slotId = config.temporarySlot && randomSlotName ? randomUUID().replaceAll('-', '') : config.streamId;
  return {
    ...config,
    // An acknowledged record is on disk at the latest after the next sync (spec R 8.6.1).
    confirmDelayMs: config.confirmDelayMs ?? 2 * natsSyncMs,
    slotName: `electric_slot_${slotId}`,
    publicationName: `electric_publication_${config.streamId}`,
  };
}

function check(config: Partial<z.output<typeof schema>>): readonly string[] {
  return [...databaseProblems(config), ...replicaProblems(config), ...sleepProblems(config)];
}

/** A slot that ends with its connection starts a new incarnation whenever somebody wakes the source. */
function sleepProblems({ idleTimeoutMs = 0, temporarySlot }: Partial<z.output<typeof schema>>): readonly string[] {
  if (idleTimeoutMs === 0 || temporarySlot !== true) return [];
  return [
    'ELECTRIC_REPLICATION_IDLE_TIMEOUT: not with CLEANUP_REPLICATION_SLOTS_ON_SHUTDOWN=true, every sleep would end all shapes',
  ];
}

function replicaProblems({
  streamReplicas = 3,
  allowUnsafe = false,
}: Partial<z.output<typeof schema>>): readonly string[] {
  if (streamReplicas >= 3 || allowUnsafe) return [];
  return [
    'SHAPECAST_STREAM_REPLICAS: fewer than 3 copies lose data with a single NATS server; ' +
      'set SHAPECAST_ALLOW_UNSAFE=true for development',
  ];
}
