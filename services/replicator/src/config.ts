import { randomUUID } from 'node:crypto';
import { ShapecastError } from '@shapecast/errors';
import {
  aliases,
  bytes,
  commonConfig,
  commonNames,
  count,
  flag,
  milliseconds,
  parseConfig,
  postgresUrl,
  type Environment,
} from '@shapecast/service-kit';
import { z } from 'zod';
import { replicatorDefaults } from './options.ts';

const HOUR_MS = 3_600_000;
const DEFAULT_SYNC_MS = 120_000;

/** Settings of the replicator (spec O 5.2, 5.3). `docs/config.md` is made from the descriptions. */
const schema = z.object({
  ...commonConfig,
  databaseUrl: postgresUrl('Source database, direct; the role needs REPLICATION.'),
  queryUrl: postgresUrl('Source database for queries; may go through a pooler.').optional(),
  caFile: z.string().optional().describe('PEM file that the certificate of Postgres is verified against.'),
  poolSize: count(20, 'Database connections of this source.', 1),
  streamId: z
    .string()
    .default('default')
    .transform((id) => id.toLowerCase())
    .pipe(z.string().regex(/^[a-z0-9_]{1,40}$/, 'expected 1 to 40 letters, digits or _'))
    .describe('Names the slot electric_slot_<id> and the publication electric_publication_<id>.'),
  temporarySlot: flag(false, 'The slot ends with its connection; every connection is a new incarnation.'),
  randomSlotName: flag(false, 'A temporary slot gets a random name, so that several can exist at a time.'),
  walSenderTimeoutMs: milliseconds(15_000, 'How long a dead leader keeps the slot and the lock.'),
  lockPollMs: milliseconds(1_000, 'How often a standby tries to take the lock.'),
  lockBreaker: flag(true, 'Ends a backend that holds the lock while the slot is inactive.'),
  maxRowBytes: bytes(128 * 1024 ** 2, 'Largest row change, old and new row together; larger ones rotate their shapes.'),
  natsUrl: z.string({ error: 'is required' }).min(1).describe('NATS servers, comma separated.'),
  natsCredsFile: z.string().optional().describe('NATS credentials file.'),
  natsCaFile: z.string().optional().describe('PEM file that the certificates of NATS are verified against.'),
  streamReplicas: count(3, 'Copies of the tx stream; fewer than 3 only with SHAPECAST_ALLOW_UNSAFE=true.', 1),
  allowUnsafe: flag(false, 'Accepts settings under which a single failure can lose data. For development.'),
  streamMaxAgeMs: milliseconds(72 * HOUR_MS, 'Age at which records leave the tx stream.'),
  streamMaxBytes: bytes(20 * 1024 ** 3, 'Size at which the tx stream takes nothing more.'),
  duplicateWindowMs: milliseconds(120_000, 'How long NATS recognises a repeated record.'),
  natsSyncMs: z
    .union([z.literal('always').transform(() => 0), milliseconds(DEFAULT_SYNC_MS, '')], {
      error: 'expected always or a duration such as 5s',
    })
    .describe('sync_interval of the NATS servers: a duration, or always.'),
  confirmDelayMs: z
    .union([z.literal('0').transform(() => 0), milliseconds(-1, '')], { error: 'expected a duration such as 10s' })
    .describe('Age of a stored record before Postgres may forget it; twice the sync interval when unset.'),
  shards: count(replicatorDefaults.shards, 'Shards of the source; changing it starts a new incarnation.', 1).refine(
    (n) => n <= 256 && Number.isInteger(Math.log2(n)),
    'expected a power of two up to 256',
  ),
  maxFragmentBytes: bytes(replicatorDefaults.maxFragmentBytes, 'Largest encoded record.'),
  maxFragmentChanges: count(replicatorDefaults.maxFragmentChanges, 'Most changes in one record.', 2),
  windowBytes: bytes(replicatorDefaults.windowBytes, 'Encoded bytes in flight at which reading from Postgres pauses.'),
  windowMessages: count(
    replicatorDefaults.windowMessages,
    'Records in flight at which reading from Postgres pauses.',
    1,
  ),
  healthPort: count(3_001, 'Port of /live and /ready.'),
  healthHost: z.string().default('0.0.0.0').describe('Address of the health port.'),
});

const names = {
  ...commonNames,
  databaseUrl: ['DATABASE_URL'],
  queryUrl: ['ELECTRIC_POOLED_DATABASE_URL', 'ELECTRIC_QUERY_DATABASE_URL'],
  caFile: ['ELECTRIC_DATABASE_CA_CERTIFICATE_FILE'],
  poolSize: ['ELECTRIC_DB_POOL_SIZE'],
  streamId: ['ELECTRIC_REPLICATION_STREAM_ID'],
  temporarySlot: ['CLEANUP_REPLICATION_SLOTS_ON_SHUTDOWN'],
  randomSlotName: ['ELECTRIC_TEMPORARY_REPLICATION_SLOT_USE_RANDOM_NAME'],
  walSenderTimeoutMs: ['SHAPECAST_WAL_SENDER_TIMEOUT'],
  lockPollMs: ['SHAPECAST_LOCK_POLL'],
  lockBreaker: ['SHAPECAST_LOCK_BREAKER'],
  maxRowBytes: ['SHAPECAST_MAX_ROW_BYTES'],
  natsUrl: ['SHAPECAST_NATS_URL'],
  natsCredsFile: ['SHAPECAST_NATS_CREDS_FILE'],
  natsCaFile: ['SHAPECAST_NATS_CA_FILE'],
  streamReplicas: ['SHAPECAST_STREAM_REPLICAS'],
  allowUnsafe: ['SHAPECAST_ALLOW_UNSAFE'],
  streamMaxAgeMs: ['SHAPECAST_STREAM_MAX_AGE'],
  streamMaxBytes: ['SHAPECAST_STREAM_MAX_BYTES'],
  duplicateWindowMs: ['SHAPECAST_STREAM_DUPLICATE_WINDOW'],
  natsSyncMs: ['SHAPECAST_NATS_SYNC_INTERVAL'],
  confirmDelayMs: ['SHAPECAST_CONFIRM_DELAY'],
  shards: ['SHAPECAST_SHARDS'],
  maxFragmentBytes: ['SHAPECAST_MAX_FRAGMENT_BYTES'],
  maxFragmentChanges: ['SHAPECAST_MAX_FRAGMENT_CHANGES', 'ELECTRIC_EXPERIMENTAL_MAX_BATCH_SIZE'],
  windowBytes: ['SHAPECAST_PUBLISH_WINDOW_BYTES'],
  windowMessages: ['SHAPECAST_PUBLISH_WINDOW_MESSAGES'],
  healthPort: ['SHAPECAST_HEALTH_PORT', 'SHAPECAST_ADMIN_PORT'],
  healthHost: ['SHAPECAST_HEALTH_HOST'],
} as const;

export type ReplicatorConfig = Omit<z.output<typeof schema>, 'natsSyncMs' | 'randomSlotName'> & {
  readonly slotName: string;
  readonly publicationName: string;
};

/** Names and shape of the configuration, for the documentation. */
export const replicatorConfig = { schema, names } as const;

/** Reads the environment. Throws INVALID_CONFIG that names every variable that is wrong. */
export function parseReplicatorConfig(env: Environment): ReplicatorConfig {
  const { natsSyncMs, randomSlotName, ...config } = parseConfig(schema, names, env);
  if (config.streamReplicas < 3 && !config.allowUnsafe) {
    const problem =
      'SHAPECAST_STREAM_REPLICAS: fewer than 3 copies lose data with a single NATS server; ' +
      'set SHAPECAST_ALLOW_UNSAFE=true for development';
    throw new ShapecastError('INVALID_CONFIG', `Invalid configuration. ${problem}`, { problems: [problem] });
  }
  const slotId = config.temporarySlot && randomSlotName ? randomUUID().replaceAll('-', '') : config.streamId;
  return {
    ...config,
    // An acknowledged record is on disk at the latest after the next sync (spec R 8.6.1).
    confirmDelayMs: aliases(env, ...names.confirmDelayMs) === undefined ? 2 * natsSyncMs : config.confirmDelayMs,
    slotName: `electric_slot_${slotId}`,
    publicationName: `electric_publication_${config.streamId}`,
  };
}
