/** Where a setting stands on the settings page. */
export const GROUPS = [
  'Postgres',
  'Replication',
  'Publication and schema',
  'NATS',
  'Redis',
  'Routing and matching',
  'Snapshots and subsets',
  'Shapes',
  'HTTP API',
  'Process and health',
  'Telemetry and logs',
  'Not needed',
] as const;

export interface Variable {
  readonly group: (typeof GROUPS)[number];
  /** What becomes of a variable of the reference (spec O 5.2). Absent: it is ours. */
  readonly use?: 'kept' | 'adapted' | 'ignored';
  /** Accepted, and without effect so far. */
  readonly notYet?: true;
  /** Accepted, and read by nobody: what it asks for is always so. */
  readonly always?: true;
  /** Name to use instead. */
  readonly instead?: string;
  /** How the meaning was adapted, why it is ignored, what is missing. */
  readonly note?: string;
  /** Default, where nothing reads the variable yet. */
  readonly default?: string;
}

const kept = (group: Variable['group'], more: Partial<Variable> = {}): Variable => ({ group, use: 'kept', ...more });
const adapted = (group: Variable['group'], note: string, more: Partial<Variable> = {}): Variable => ({
  group,
  use: 'adapted',
  note,
  ...more,
});
const ignored = (note: string): Variable => ({ group: 'Not needed', use: 'ignored', note });
const ours = (group: Variable['group'], more: Partial<Variable> = {}): Variable => ({ group, ...more });
const telemetry = (defaultText: string, more: Partial<Variable> = {}): Variable => ({
  group: 'Telemetry and logs',
  use: 'kept',
  notYet: true,
  default: defaultText,
  note: 'comes with telemetry',
  ...more,
});

/**
 * Every environment variable that Shapecast knows, whichever service reads it: the reference's (spec O 5.2) and our own
 * (O 5.3). One name that is not here is a mistake of whoever set it, and is told so at start. The meaning, form and default
 * of those that are read stand where they are read; a test holds both together.
 */
export const VARIABLES: Readonly<Record<string, Variable>> = {
  DATABASE_URL: kept('Postgres'),
  ELECTRIC_POOLED_DATABASE_URL: kept('Postgres'),
  ELECTRIC_QUERY_DATABASE_URL: kept('Postgres', { instead: 'ELECTRIC_POOLED_DATABASE_URL' }),
  ELECTRIC_DATABASE_USE_IPV6: kept('Postgres'),
  ELECTRIC_DATABASE_CA_CERTIFICATE_FILE: kept('Postgres'),
  ELECTRIC_DB_POOL_SIZE: adapted('Postgres', 'total of the source over the whole cluster'),
  SHAPECAST_DB_POOL_SIZE: ours('Postgres'),
  ELECTRIC_DATABASE_TCP_KEEPALIVE_IDLE: kept('Postgres'),
  ELECTRIC_DATABASE_TCP_KEEPALIVE_INTERVAL: kept('Postgres'),
  ELECTRIC_DATABASE_TCP_KEEPALIVE_COUNT: kept('Postgres'),
  ELECTRIC_DATABASE_TCP_USER_TIMEOUT: kept('Postgres'),

  ELECTRIC_REPLICATION_STREAM_ID: kept('Replication'),
  CLEANUP_REPLICATION_SLOTS_ON_SHUTDOWN: kept('Replication'),
  ELECTRIC_TEMPORARY_REPLICATION_SLOT_USE_RANDOM_NAME: kept('Replication'),
  ELECTRIC_REPLICATION_IDLE_TIMEOUT: kept('Replication'),
  ELECTRIC_EXPERIMENTAL_MAX_BATCH_SIZE: adapted('Replication', 'changes in one record; never influences offsets'),
  SHAPECAST_WAL_SENDER_TIMEOUT: ours('Replication'),
  SHAPECAST_LOCK_POLL: ours('Replication'),
  SHAPECAST_LOCK_BREAKER: ours('Replication'),
  SHAPECAST_SLOT_FAILOVER: ours('Replication'),
  SHAPECAST_MAX_ROW_BYTES: ours('Replication'),
  SHAPECAST_MAX_FRAGMENT_BYTES: ours('Replication'),
  SHAPECAST_MAX_FRAGMENT_CHANGES: ours('Replication'),
  SHAPECAST_PUBLISH_WINDOW_BYTES: ours('Replication'),
  SHAPECAST_PUBLISH_WINDOW_MESSAGES: ours('Replication'),
  SHAPECAST_SHARDS: ours('Replication'),
  SHAPECAST_CONFIRM_DELAY: ours('Replication'),
  SHAPECAST_CONFIRM_MODE: ours('Replication', { notYet: true, default: 'published', note: 'records count as stored' }),
  SHAPECAST_CONFIRM_MAX_HOLD: ours('Replication', {
    notYet: true,
    default: '1GiB',
    note: 'belongs to the previous one',
  }),
  SHAPECAST_LEASE_REPLICATOR: ours('Replication'),
  SHAPECAST_WAL_BUDGET: ours('Replication'),
  SHAPECAST_WAL_BUDGET_AGE: ours('Replication'),
  SHAPECAST_WAL_GUARD: ours('Replication'),
  SHAPECAST_WAL_GUARD_INTERVAL: ours('Replication'),
  SHAPECAST_WAL_GUARD_PAUSE: ours('Replication'),

  ELECTRIC_MANUAL_TABLE_PUBLISHING: kept('Publication and schema'),
  ELECTRIC_PUBLICATION_ALTER_DEBOUNCE_TIME: kept('Publication and schema'),
  ELECTRIC_TWEAKS_PUBLICATION_REFRESH_PERIOD: kept('Publication and schema'),
  ELECTRIC_TWEAKS_SCHEMA_RECONCILER_PERIOD: adapted('Publication and schema', 'more often than 60 s by default'),
  SHAPECAST_DDL_LOCK_TIMEOUT: ours('Publication and schema'),
  SHAPECAST_PUBLICATION_GAP_TIMEOUT: ours('Publication and schema'),
  SHAPECAST_UNPUBLISH_LINGER: ours('Publication and schema'),

  SHAPECAST_NATS_URL: ours('NATS'),
  SHAPECAST_NATS_CREDS_FILE: ours('NATS'),
  SHAPECAST_NATS_CA_FILE: ours('NATS'),
  SHAPECAST_NATS_SYNC_INTERVAL: ours('NATS'),
  SHAPECAST_STREAM_REPLICAS: ours('NATS'),
  SHAPECAST_ALLOW_UNSAFE: ours('NATS'),
  SHAPECAST_STREAM_MAX_AGE: ours('NATS'),
  SHAPECAST_STREAM_MAX_BYTES: ours('NATS'),
  SHAPECAST_STREAM_DUPLICATE_WINDOW: ours('NATS'),
  SHAPECAST_TRIM_MARGIN: ours('NATS', { notYet: true, default: '1h', note: 'records leave the tx stream by age' }),

  SHAPECAST_REDIS_URL: ours('Redis'),
  SHAPECAST_REDIS_CA_FILE: ours('Redis'),
  SHAPECAST_REDIS_CLUSTER: ours('Redis', { notYet: true, default: 'false', note: 'one primary holds all shards' }),
  SHAPECAST_REDIS_HIGH_WATER: ours('Redis'),
  SHAPECAST_VISIBILITY: ours('Redis', { notYet: true, default: 'applied' }),
  SHAPECAST_BLOB_URL: ours('Redis', { notYet: true, default: '–', note: 'logs are in Redis only' }),
  ELECTRIC_STORAGE_DIR: adapted('Redis', 'folder of the disk tier', { notYet: true, default: './persistent' }),

  SHAPECAST_ROUTER_WINDOW_BYTES: ours('Routing and matching'),
  SHAPECAST_MAX_SCANNED_CLAUSES: ours('Routing and matching'),
  SHAPECAST_ROUTER_HEARTBEAT: ours('Routing and matching'),
  SHAPECAST_LEASE_ROUTER: ours('Routing and matching'),
  ELECTRIC_FLUSH_STALL_GRACE_PERIOD: adapted('Routing and matching', 'a shard that is stuck on a transaction'),
  ELECTRIC_SUBQUERY_BUFFER_MAX_TRANSACTIONS: kept('Routing and matching', {
    notYet: true,
    default: '1000',
    note: 'comes with subqueries',
  }),
  ELECTRIC_SHAPE_HIBERNATE_AFTER: adapted('Routing and matching', 'an idle shape is an index entry and nothing else', {
    always: true,
    default: '–',
  }),
  ELECTRIC_FEATURE_FLAGS: adapted('Routing and matching', 'allow_subqueries and tagged_subqueries are always on'),

  SHAPECAST_SNAPSHOT_CONCURRENCY: ours('Snapshots and subsets'),
  SHAPECAST_SNAPSHOT_FIRST_ROW_TIMEOUT: ours('Snapshots and subsets'),
  SHAPECAST_SNAPSHOT_SAFETY_TIMEOUT: ours('Snapshots and subsets'),
  SHAPECAST_SNAPSHOT_MAX_BYTES_PER_S: ours('Snapshots and subsets'),
  SHAPECAST_SNAPSHOT_MAX_BYTES: ours('Snapshots and subsets'),
  SHAPECAST_SNAPSHOT_RESUMABLE_BYTES: ours('Snapshots and subsets'),
  SHAPECAST_SUBSET_CONCURRENCY: ours('Snapshots and subsets'),
  SHAPECAST_SUBSET_TIMEOUT: ours('Snapshots and subsets'),
  SHAPECAST_PENDING_LOG_BYTES: ours('Snapshots and subsets'),
  SHAPECAST_PENDING_LOG_OPS: ours('Snapshots and subsets'),
  SHAPECAST_LEASE_SNAPSHOT: ours('Snapshots and subsets'),

  ELECTRIC_SHAPE_CHUNK_BYTES_THRESHOLD: kept('Shapes'),
  ELECTRIC_MAX_SHAPES: kept('Shapes'),
  ELECTRIC_EXPERIMENTAL_MAX_SHAPES: kept('Shapes', { instead: 'ELECTRIC_MAX_SHAPES' }),
  SHAPECAST_EXPIRY_INTERVAL: ours('Shapes'),
  SHAPECAST_READ_TIMES_INTERVAL: ours('Shapes'),
  ELECTRIC_CLEANUP_INTERVAL_MS: adapted('Shapes', 'how often the data of ended shapes is deleted'),
  ELECTRIC_ENABLE_INTEGRATION_TESTING: kept('Shapes'),
  SHAPECAST_TOMBSTONE_GRACE: ours('Shapes'),
  SHAPECAST_COMPACTION_INTERVAL: ours('Shapes'),
  SHAPECAST_SEAL_INTERVAL: ours('Shapes'),
  SHAPECAST_MAX_LOG_RATIO: ours('Shapes'),
  SHAPECAST_MAX_LOG_BYTES: ours('Shapes'),

  ELECTRIC_PORT: kept('HTTP API'),
  PORT: ours('HTTP API'),
  SHAPECAST_HOST: ours('HTTP API'),
  ELECTRIC_LISTEN_ON_IPV6: kept('HTTP API'),
  ELECTRIC_SECRET: adapted('HTTP API', 'several, separated by commas, while one is being replaced'),
  SHAPECAST_SECRETS_FILE: ours('HTTP API'),
  ELECTRIC_INSECURE: kept('HTTP API'),
  ELECTRIC_LONG_POLL_TIMEOUT: kept('HTTP API'),
  ELECTRIC_CACHE_MAX_AGE: kept('HTTP API'),
  ELECTRIC_CACHE_STALE_AGE: kept('HTTP API'),
  ELECTRIC_MAX_CONCURRENT_REQUESTS: adapted('HTTP API', 'of each API process'),
  SHAPECAST_MAX_CONCURRENT_REQUESTS: ours('HTTP API'),
  ELECTRIC_TCP_SEND_TIMEOUT: kept('HTTP API'),
  ELECTRIC_TCP_READ_TIMEOUT: kept('HTTP API'),
  ELECTRIC_TWEAKS_CONN_MAX_REQUESTS: adapted('HTTP API', '0 means no limit'),
  SHAPECAST_CHUNK_CACHE_BYTES: ours('HTTP API'),
  SHAPECAST_READY_TIMEOUT: ours('HTTP API'),
  SHAPECAST_NOTIFY_POLL: ours('HTTP API'),
  SHAPECAST_SSE_KEEPALIVE: ours('HTTP API'),
  SHAPECAST_SSE_TIMEOUT: ours('HTTP API'),
  SHAPECAST_PRESTOP_DELAY: ours('HTTP API'),
  SHAPECAST_LIVE_STALENESS_LIMIT: ours('HTTP API', { notYet: true, default: '–' }),

  SHAPECAST_SOURCE_ID: ours('Process and health'),
  ELECTRIC_DATABASE_ID: adapted('Process and health', 'name of the source'),
  SHAPECAST_SOURCES_FILE: ours('Process and health', { notYet: true, default: '–', note: 'one source per deployment' }),
  SHAPECAST_ROLES: ours('Process and health', { notYet: true, default: 'all', note: 'each role is a program' }),
  SHAPECAST_INSTANCE_ID: ours('Process and health'),
  ELECTRIC_INSTANCE_ID: kept('Process and health'),
  SHAPECAST_HEALTH_PORT: ours('Process and health'),
  SHAPECAST_ADMIN_PORT: ours('Process and health'),
  SHAPECAST_HEALTH_HOST: ours('Process and health'),
  SHAPECAST_ADMIN_TOKEN: ours('Process and health', { notYet: true, default: '–', note: 'there is no admin API yet' }),

  SHAPECAST_LOG_LEVEL: ours('Telemetry and logs'),
  ELECTRIC_LOG_LEVEL: kept('Telemetry and logs'),
  ELECTRIC_LOG_COLORS: adapted('Telemetry and logs', 'on a terminal only'),
  ELECTRIC_SERVICE_NAME: kept('Telemetry and logs'),
  OTEL_RESOURCE_ATTRIBUTES: telemetry('–'),
  ELECTRIC_OTLP_ENDPOINT: telemetry('–'),
  ELECTRIC_OTEL_DEBUG: telemetry('false'),
  ELECTRIC_HNY_API_KEY: telemetry('–'),
  ELECTRIC_HNY_DATASET: telemetry('–'),
  ELECTRIC_OTEL_SAMPLING_RATIO: telemetry('0.01'),
  ELECTRIC_METRICS_SAMPLING_RATIO: telemetry('1'),
  ELECTRIC_OTEL_EXPORT_PERIOD: telemetry('30s'),
  ELECTRIC_DROP_EMPTY_RESPONSE_SPANS: telemetry('false'),
  ELECTRIC_EXCLUDE_SPANS: telemetry('–'),
  ELECTRIC_PROMETHEUS_PORT: telemetry('–'),
  ELECTRIC_STATSD_HOST: telemetry('–', { use: 'adapted' }),
  ELECTRIC_SYSTEM_METRICS_POLL_INTERVAL: telemetry('5s'),
  ELECTRIC_STACK_TELEMETRY_INIT_DELAY: telemetry('30s', { use: 'adapted' }),
  ELECTRIC_TELEMETRY_LONG_GC_THRESHOLD: telemetry('50ms', { use: 'adapted' }),
  ELECTRIC_TELEMETRY_LONG_SCHEDULE_THRESHOLD: telemetry('150ms', { use: 'adapted' }),
  ELECTRIC_PROFILE_WHERE_CLAUSES: telemetry('false'),
  SENTRY_DSN: telemetry('–', { use: 'adapted' }),

  ELECTRIC_EXPERIMENTAL_MAX_TXN_SIZE: ignored('transactions have no limit'),
  ELECTRIC_SHAPE_SUSPEND_CONSUMER: ignored('there is nothing to suspend'),
  ELECTRIC_SHAPE_SUSPEND_AFTER: ignored('there is nothing to suspend'),
  ELECTRIC_CONSUMER_PARTITIONS: ignored('see SHAPECAST_SHARDS'),
  ELECTRIC_STORAGE: ignored('shapes are stored in Redis'),
  ELECTRIC_PERSISTENT_STATE: ignored('state is stored in NATS and Redis'),
  ELECTRIC_SHAPE_DB_EXCLUSIVE_MODE: ignored('there is no embedded database'),
  ELECTRIC_SHAPE_DB_STORAGE_DIR: ignored('there is no embedded database'),
  ELECTRIC_SHAPE_DB_SYNCHRONOUS: ignored('there is no embedded database'),
  ELECTRIC_SHAPE_DB_CACHE_SIZE: ignored('there is no embedded database'),
  ELECTRIC_SHAPE_DB_ENABLE_STATS: ignored('there is no embedded database'),
  ELECTRIC_SHAPE_DB_ENABLE_MEMORY_STATS: ignored('there is no embedded database'),
  ELECTRIC_PROCESS_SPAWN_OPTS: ignored('it tunes another virtual machine'),
  ELECTRIC_CONSUMER_GC_HEAP_THRESHOLD: ignored('it tunes another virtual machine'),
  ELECTRIC_TWEAKS_PROCESS_REGISTRY_PARTITIONS: ignored('it tunes another virtual machine'),
  ELECTRIC_TWEAKS_HANDLER_FULLSWEEP_AFTER: ignored('it tunes another virtual machine'),
  ELECTRIC_TWEAKS_HTTP_API_NUM_ACCEPTORS: ignored('connections are accepted by one loop'),
  ELECTRIC_TELEMETRY_TOP_PROCESS_LIMIT: ignored('there are no such processes'),
  ELECTRIC_TELEMETRY_TOP_PROCESS_COUNT: ignored('there are no such processes'),
  ELECTRIC_TELEMETRY_LONG_MESSAGE_QUEUE_ENABLE_THRESHOLD: ignored('there are no such queues'),
  ELECTRIC_TELEMETRY_LONG_MESSAGE_QUEUE_DISABLE_THRESHOLD: ignored('there are no such queues'),
  ELECTRIC_LIVE_DASHBOARD_PORT: ignored('there is no dashboard'),
  ELECTRIC_LOG_OTP_REPORTS: ignored('it is about another virtual machine'),
  ELECTRIC_USAGE_REPORTING: ignored('nothing is sent anywhere'),
  ELECTRIC_TELEMETRY_URL: ignored('nothing is sent anywhere'),
};
