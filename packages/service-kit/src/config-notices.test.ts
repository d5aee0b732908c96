import { describe, expect, test } from 'vitest';
import { configNotices } from './config-notices.ts';
import { VARIABLES } from './config-variables.ts';

/** Every variable of the reference (spec O 5.2), by what has to become of it. */
const KEPT = `DATABASE_URL ELECTRIC_POOLED_DATABASE_URL ELECTRIC_QUERY_DATABASE_URL ELECTRIC_DATABASE_USE_IPV6
  ELECTRIC_DATABASE_CA_CERTIFICATE_FILE ELECTRIC_DATABASE_TCP_KEEPALIVE_IDLE ELECTRIC_DATABASE_TCP_KEEPALIVE_INTERVAL
  ELECTRIC_DATABASE_TCP_KEEPALIVE_COUNT ELECTRIC_DATABASE_TCP_USER_TIMEOUT ELECTRIC_REPLICATION_STREAM_ID
  CLEANUP_REPLICATION_SLOTS_ON_SHUTDOWN ELECTRIC_TEMPORARY_REPLICATION_SLOT_USE_RANDOM_NAME
  ELECTRIC_REPLICATION_IDLE_TIMEOUT ELECTRIC_MANUAL_TABLE_PUBLISHING ELECTRIC_PUBLICATION_ALTER_DEBOUNCE_TIME
  ELECTRIC_TWEAKS_PUBLICATION_REFRESH_PERIOD ELECTRIC_INSECURE ELECTRIC_PORT ELECTRIC_LISTEN_ON_IPV6
  ELECTRIC_TCP_SEND_TIMEOUT ELECTRIC_TCP_READ_TIMEOUT ELECTRIC_LONG_POLL_TIMEOUT ELECTRIC_CACHE_MAX_AGE
  ELECTRIC_CACHE_STALE_AGE ELECTRIC_SHAPE_CHUNK_BYTES_THRESHOLD ELECTRIC_MAX_SHAPES ELECTRIC_EXPERIMENTAL_MAX_SHAPES
  ELECTRIC_SUBQUERY_BUFFER_MAX_TRANSACTIONS ELECTRIC_ENABLE_INTEGRATION_TESTING ELECTRIC_INSTANCE_ID
  ELECTRIC_SERVICE_NAME ELECTRIC_OTLP_ENDPOINT ELECTRIC_OTEL_DEBUG ELECTRIC_HNY_API_KEY ELECTRIC_HNY_DATASET
  ELECTRIC_OTEL_SAMPLING_RATIO ELECTRIC_METRICS_SAMPLING_RATIO ELECTRIC_OTEL_EXPORT_PERIOD
  ELECTRIC_DROP_EMPTY_RESPONSE_SPANS ELECTRIC_EXCLUDE_SPANS ELECTRIC_PROMETHEUS_PORT
  ELECTRIC_SYSTEM_METRICS_POLL_INTERVAL ELECTRIC_PROFILE_WHERE_CLAUSES OTEL_RESOURCE_ATTRIBUTES ELECTRIC_LOG_LEVEL`;
const ADAPTED = `ELECTRIC_DB_POOL_SIZE ELECTRIC_TWEAKS_SCHEMA_RECONCILER_PERIOD ELECTRIC_EXPERIMENTAL_MAX_BATCH_SIZE
  ELECTRIC_DATABASE_ID ELECTRIC_SECRET ELECTRIC_MAX_CONCURRENT_REQUESTS ELECTRIC_FLUSH_STALL_GRACE_PERIOD
  ELECTRIC_SHAPE_HIBERNATE_AFTER ELECTRIC_FEATURE_FLAGS ELECTRIC_STORAGE_DIR ELECTRIC_CLEANUP_INTERVAL_MS
  ELECTRIC_TWEAKS_CONN_MAX_REQUESTS ELECTRIC_STATSD_HOST ELECTRIC_STACK_TELEMETRY_INIT_DELAY
  ELECTRIC_TELEMETRY_LONG_GC_THRESHOLD ELECTRIC_TELEMETRY_LONG_SCHEDULE_THRESHOLD SENTRY_DSN ELECTRIC_LOG_COLORS`;
const IGNORED = `ELECTRIC_EXPERIMENTAL_MAX_TXN_SIZE ELECTRIC_SHAPE_SUSPEND_CONSUMER ELECTRIC_SHAPE_SUSPEND_AFTER
  ELECTRIC_CONSUMER_PARTITIONS ELECTRIC_STORAGE ELECTRIC_PERSISTENT_STATE ELECTRIC_SHAPE_DB_EXCLUSIVE_MODE
  ELECTRIC_SHAPE_DB_STORAGE_DIR ELECTRIC_SHAPE_DB_SYNCHRONOUS ELECTRIC_SHAPE_DB_CACHE_SIZE
  ELECTRIC_SHAPE_DB_ENABLE_STATS ELECTRIC_SHAPE_DB_ENABLE_MEMORY_STATS ELECTRIC_PROCESS_SPAWN_OPTS
  ELECTRIC_CONSUMER_GC_HEAP_THRESHOLD ELECTRIC_TWEAKS_PROCESS_REGISTRY_PARTITIONS
  ELECTRIC_TWEAKS_HANDLER_FULLSWEEP_AFTER ELECTRIC_TWEAKS_HTTP_API_NUM_ACCEPTORS
  ELECTRIC_TELEMETRY_TOP_PROCESS_LIMIT ELECTRIC_TELEMETRY_TOP_PROCESS_COUNT
  ELECTRIC_TELEMETRY_LONG_MESSAGE_QUEUE_ENABLE_THRESHOLD ELECTRIC_TELEMETRY_LONG_MESSAGE_QUEUE_DISABLE_THRESHOLD
  ELECTRIC_LIVE_DASHBOARD_PORT ELECTRIC_LOG_OTP_REPORTS ELECTRIC_USAGE_REPORTING ELECTRIC_TELEMETRY_URL`;
/** Of the sections on new variables (spec O 5.3) and on values without one (5.2). */
const OURS = `SHAPECAST_ROLES SHAPECAST_NATS_URL SHAPECAST_NATS_CREDS_FILE SHAPECAST_NATS_CA_FILE SHAPECAST_REDIS_URL
  SHAPECAST_REDIS_CLUSTER SHAPECAST_REDIS_CA_FILE SHAPECAST_BLOB_URL SHAPECAST_SOURCES_FILE SHAPECAST_SHARDS
  SHAPECAST_STREAM_REPLICAS SHAPECAST_ALLOW_UNSAFE SHAPECAST_STREAM_MAX_AGE SHAPECAST_STREAM_MAX_BYTES
  SHAPECAST_STREAM_DUPLICATE_WINDOW SHAPECAST_NATS_SYNC_INTERVAL SHAPECAST_CONFIRM_DELAY SHAPECAST_CONFIRM_MODE
  SHAPECAST_CONFIRM_MAX_HOLD SHAPECAST_MAX_FRAGMENT_BYTES SHAPECAST_MAX_FRAGMENT_CHANGES SHAPECAST_MAX_ROW_BYTES
  SHAPECAST_PUBLISH_WINDOW_BYTES SHAPECAST_PUBLISH_WINDOW_MESSAGES SHAPECAST_TRIM_MARGIN SHAPECAST_WAL_SENDER_TIMEOUT
  SHAPECAST_LOCK_POLL SHAPECAST_LOCK_BREAKER SHAPECAST_SLOT_FAILOVER SHAPECAST_DDL_LOCK_TIMEOUT
  SHAPECAST_PUBLICATION_GAP_TIMEOUT SHAPECAST_SNAPSHOT_SAFETY_TIMEOUT SHAPECAST_UNPUBLISH_LINGER
  SHAPECAST_PENDING_LOG_BYTES SHAPECAST_PENDING_LOG_OPS SHAPECAST_LEASE_REPLICATOR SHAPECAST_LEASE_ROUTER
  SHAPECAST_LEASE_SNAPSHOT SHAPECAST_NOTIFY_POLL SHAPECAST_TOMBSTONE_GRACE SHAPECAST_REDIS_HIGH_WATER
  SHAPECAST_VISIBILITY SHAPECAST_PRESTOP_DELAY SHAPECAST_SECRETS_FILE SHAPECAST_ADMIN_PORT SHAPECAST_ADMIN_TOKEN
  SHAPECAST_LIVE_STALENESS_LIMIT SHAPECAST_SNAPSHOT_FIRST_ROW_TIMEOUT SHAPECAST_READY_TIMEOUT SHAPECAST_SSE_KEEPALIVE
  SHAPECAST_SSE_TIMEOUT`;

const words = (text: string) => text.split(/\s+/);
const about = (env: Record<string, string>) =>
  configNotices(env).map(({ message, fields: { variable } }) => `${variable}: ${message}`);

describe('the variables of the reference', () => {
  test.each([
    ['kept', KEPT],
    ['adapted', ADAPTED],
    ['ignored', IGNORED],
  ])('that are to be %s are', (use, names) => {
    for (const name of words(names)) expect([name, VARIABLES[name]?.use]).toEqual([name, use]);
  });

  test('are all of this list', () => {
    const listed = new Set([KEPT, ADAPTED, IGNORED].flatMap(words));
    const claimed = Object.keys(VARIABLES).filter((name) => VARIABLES[name]?.use !== undefined);
    expect(claimed.filter((name) => !listed.has(name))).toEqual([]);
  });

  test('bring one notice each when they are ignored', () => {
    const env = Object.fromEntries(words(IGNORED).map((name) => [name, 'x']));
    expect(about(env)).toEqual(
      words(IGNORED)
        .sort()
        .map((name) => `${name}: setting is ignored`),
    );
  });
});

test('the variables of ours that the spec names are known', () => {
  expect(words(OURS).filter((name) => !Object.hasOwn(VARIABLES, name))).toEqual([]);
});

test('one that has no effect so far, or a new name, brings one notice', () => {
  expect(
    configNotices({ ELECTRIC_PROFILE_WHERE_CLAUSES: 'true', ELECTRIC_QUERY_DATABASE_URL: 'postgres://u:pw@h/d' }),
  ).toEqual([
    {
      level: 'notice',
      message: 'setting has no effect yet',
      fields: {
        variable: 'ELECTRIC_PROFILE_WHERE_CLAUSES',
        why: 'matching is measured as a whole, not clause by clause',
      },
    },
    {
      level: 'notice',
      message: 'setting has a new name',
      fields: { variable: 'ELECTRIC_QUERY_DATABASE_URL', instead: 'ELECTRIC_POOLED_DATABASE_URL' },
    },
  ]);
});

test('what has its effect brings none, and neither does what is set to nothing', () => {
  expect(configNotices({ ELECTRIC_SECRET: 's', DATABASE_URL: 'u', PATH: '/', ELECTRIC_STORAGE: '' })).toEqual([]);
});

describe('an unknown variable of ours or of the reference', () => {
  test.each([
    ['ELECTRIC_SECERT', 'ELECTRIC_SECRET'],
    ['ELECTRIC_NATS_URL', 'SHAPECAST_NATS_URL'],
    ['SHAPECAST_LONG_POLL_TIMEOUT', 'ELECTRIC_LONG_POLL_TIMEOUT'],
    ['SHAPECAST_SHARD', 'SHAPECAST_SHARDS'],
    ['SHAPECAST_SOMETHING_ELSE_ALTOGETHER', undefined],
    ['ELECTRIC_constructor', undefined],
  ])('%s brings one warning, which suggests %s', (variable, suggestion) => {
    expect(configNotices({ [variable]: 'secret' })).toEqual([
      {
        level: 'warn',
        message: 'unknown setting, it has no effect',
        fields: { variable, ...(suggestion === undefined ? {} : { suggestion }) },
      },
    ]);
  });

  test('is not what Kubernetes sets for a service of the name, nor what tests and benchmarks read', () => {
    const linked = {
      ELECTRIC_SERVICE_HOST: '10.0.0.1',
      SHAPECAST_API_SERVICE_PORT_HTTP: '80',
      SHAPECAST_PORT: 'tcp://10.0.0.1:80',
      SHAPECAST_PORT_80_TCP: 'tcp://10.0.0.1:80',
      SHAPECAST_PORT_80_TCP_ADDR: '10.0.0.1',
      SHAPECAST_TEST_SERVERS: 'none',
    };
    expect(configNotices(linked)).toEqual([]);
  });
});

test('feature flags that are always on are accepted, and others named', () => {
  expect(configNotices({ ELECTRIC_FEATURE_FLAGS: 'allow_subqueries, tagged_subqueries' })).toEqual([]);
  expect(configNotices({ ELECTRIC_FEATURE_FLAGS: 'allow_subqueries,new_thing' })).toEqual([
    {
      level: 'notice',
      message: 'unknown feature flags are ignored',
      fields: { variable: 'ELECTRIC_FEATURE_FLAGS', flags: ['new_thing'] },
    },
  ]);
});

test('A22 a time after which shapes hibernate is accepted, and said not to be needed', () => {
  const [notice] = configNotices({ ELECTRIC_SHAPE_HIBERNATE_AFTER: '30s' });
  expect(notice).toMatchObject({ level: 'notice', message: 'setting is not needed' });
  expect(notice?.fields).toMatchObject({ why: 'an idle shape is an index entry and nothing else' });
});
