import type { Severity } from '@shapecast/monitoring';

/** Series by their name with labels, and their values in the notation of promtool, one a minute. */
type Series = Readonly<Record<string, string>>;

export interface AlertCase {
  /** What is the matter. */
  readonly when: string;
  readonly series: Series;
  /** When it is looked; 30 minutes in unless said. */
  readonly at?: string;
  /** Severities that fire then; none: nobody is called. */
  readonly fires: readonly Severity[];
}

const S = 'namespace="n", source="a"';
const P = (role: string, pod = '1') => `namespace="n", job="${role}", pod="${role}-${pod}", instance="${pod}"`;
const leader = (pod: string, source = 'a') =>
  `shapecast_replicator_leader{${P('replicator', pod)}, source="${source}"}`;
const asleep = `shapecast_replicator_asleep{${P('replicator')}, source="a"}`;
const shards = `shapecast_router_shards{${P('router')}, source="a"}`;
const NOT = { fires: [] } as const;
/** One value all the time. */
const all = (value: number | string) => `${value}x130`;
/** Grows by as much each minute. */
const grows = (by: number, from = 0) => `${from}+${by}x130`;
/** Nothing for 20 minutes, then the value. */
const late = (value: number) => `0x20 ${value}x130`;
/** Is not there for 20 minutes, and then is. */
const appears = (value: number) => `_x20 ${value}x130`;

const requests = (status: string, more: string, values: string): Series => ({
  [`electric_plug_serve_shape_requests_count{${P('api')}, source="a", status="${status}", live="false", empty="false", ${more}}`]:
    values,
});
const OK = requests('200', 'known_error="false"', grows(1_000));
const delivered = (within: number, all_: number): Series => ({
  [`shapecast_api_delivery_latency_bucket{${P('api')}, source="a", le="500"}`]: grows(within),
  [`shapecast_api_delivery_latency_bucket{${P('api')}, source="a", le="2000"}`]: grows(within),
  [`shapecast_api_delivery_latency_count{${P('api')}, source="a"}`]: grows(all_),
});
const counter = (name: string, values: string, more = ''): Series => ({
  [`${name}{${P('router')}, source="a"${more}}`]: values,
});

/** For every alert what makes it fire, and what looks like it and does not (spec D H48). */
export const ALERT_CASES: Readonly<Record<string, readonly AlertCase[]>> = {
  ShapecastNoLeader: [
    { when: 'nobody leads', series: { [leader('1')]: late(0), [leader('2')]: all(0) }, fires: ['critical'] },
    {
      when: 'every replicator is gone, and only routers know the source',
      series: { [shards]: all(8) },
      fires: ['critical'],
    },
    { when: 'it sleeps', series: { [leader('1')]: all(0), [asleep]: all(1) }, ...NOT },
    { when: 'one of two leads', series: { [leader('1')]: all(0), [leader('2')]: all(1), [shards]: all(8) }, ...NOT },
    {
      when: 'leadership moves for a moment',
      series: { [leader('1')]: '1x20 0x130', [leader('2')]: '0x20 1x130' },
      ...NOT,
    },
    {
      when: 'another source is led',
      series: { [leader('1')]: all(0), [leader('1', 'b')]: all(1) },
      fires: ['critical'],
    },
  ],
  ShapecastMultipleLeaders: [
    { when: 'two lead', series: { [leader('1')]: all(1), [leader('2')]: all(1) }, fires: ['critical'] },
    { when: 'one leads', series: { [leader('1')]: all(1), [leader('2')]: all(0) }, ...NOT },
    { when: 'sources that are not told apart are led', series: { [leader('1', 'other')]: all(7) }, ...NOT },
  ],
  ShapecastSourceProblem: [
    {
      when: 'there is one',
      series: { [`shapecast_source_problem{${P('replicator')}, source="a", reason="standby"}`]: all(1) },
      fires: ['high'],
    },
    {
      when: 'it is over',
      series: { [`shapecast_source_problem{${P('replicator')}, source="a", reason="standby"}`]: '1x10 0x130' },
      ...NOT,
    },
  ],
  ShapecastReplicationLagHigh: [
    {
      when: 'transactions are read twenty seconds late',
      series: {
        ...counter('electric_postgres_replication_transaction_received_receive_lag_sum', grows(20_000_000)),
        ...counter('electric_postgres_replication_transaction_received_receive_lag_count', grows(1_000)),
      },
      fires: ['warning'],
    },
    {
      when: 'transactions are read two minutes late',
      series: {
        ...counter('electric_postgres_replication_transaction_received_receive_lag_sum', grows(120_000_000)),
        ...counter('electric_postgres_replication_transaction_received_receive_lag_count', grows(1_000)),
      },
      fires: ['warning', 'critical'],
    },
    {
      when: 'nothing is written',
      series: {
        ...counter('electric_postgres_replication_transaction_received_receive_lag_sum', all(20_000)),
        ...counter('electric_postgres_replication_transaction_received_receive_lag_count', all(1)),
      },
      ...NOT,
    },
  ],
  ShapecastWalRetentionHigh: [
    { when: '30 % of the limit is kept', series: { ...retained(3e9), ...keep(1e10) }, fires: ['warning'] },
    { when: '60 % of the limit is kept', series: { ...retained(6e9), ...keep(1e10) }, fires: ['warning', 'high'] },
    {
      when: '80 % of the limit is kept',
      series: { ...retained(8e9), ...keep(1e10) },
      fires: ['warning', 'high', 'critical'],
    },
    { when: '10 % of the limit is kept', series: { ...retained(1e9), ...keep(1e10) }, ...NOT },
    { when: 'there is no limit, and 12 GB are kept', series: retained(1.2e10), fires: ['warning', 'high'] },
    { when: 'there is no limit, and 3 GB are kept', series: retained(3e9), ...NOT },
  ],
  ShapecastSlotLostOrInactive: [
    {
      when: 'the slot is lost',
      series: { [`shapecast_slot_wal_status{${P('replicator')}, source="a"}`]: all(3) },
      fires: ['critical'],
    },
    {
      when: 'little may still be written',
      series: { [`shapecast_slot_safe_wal_size{${P('replicator')}, source="a"}`]: all(2e9), ...keep(1e10) },
      fires: ['critical'],
    },
    {
      when: 'all is reserved',
      series: {
        [`shapecast_slot_wal_status{${P('replicator')}, source="a"}`]: all(0),
        [`shapecast_slot_safe_wal_size{${P('replicator')}, source="a"}`]: all(9e9),
        ...keep(1e10),
      },
      ...NOT,
    },
  ],
  ShapecastConfirmationStuck: [
    {
      when: 'nothing is confirmed while Postgres writes',
      series: { ...unconfirmed(grows(1e7)), ...wal(grows(1e7)) },
      fires: ['high'],
    },
    {
      when: 'the same WAL is always unconfirmed, as the delay of confirmation has it',
      series: { ...unconfirmed(all(1e8)), ...wal(grows(1e7)) },
      ...NOT,
    },
    { when: 'Postgres writes nothing', series: { ...unconfirmed(all(1e8)), ...wal(all(5)) }, ...NOT },
    {
      when: 'the load has risen, and confirmation follows',
      series: { ...unconfirmed('1e7x20 2e7 4e7 6e7 8e7 8e7x130'), ...wal(grows(1e7)) },
      at: '40m',
      ...NOT,
    },
  ],
  ShapecastSlotCreationBlocked: [
    {
      when: 'a transaction is open',
      series: { [`shapecast_slot_creation_blocked{${P('replicator')}, source="a"}`]: all(1) },
      fires: ['high'],
    },
    {
      when: 'it has just begun',
      series: { [`shapecast_slot_creation_blocked{${P('replicator')}, source="a"}`]: '0x27 1x130' },
      ...NOT,
    },
  ],
  ShapecastPublicationErrors: [
    {
      when: 'Postgres refuses again and again',
      series: counter('shapecast_publication_errors_count', grows(1), ', action="add"'),
      fires: ['warning'],
    },
    {
      when: 'it refused long ago',
      series: counter('shapecast_publication_errors_count', '0x5 3x130', ', action="add"'),
      ...NOT,
    },
  ],
  ShapecastIncarnationChanged: [
    {
      when: 'a new one began',
      series: { [`shapecast_source_incarnation{${P('replicator')}, source="a"}`]: '3x25 4x130' },
      fires: ['high'],
    },
    {
      when: 'the leader changed',
      series: {
        [`shapecast_source_incarnation{${P('replicator')}, source="a"}`]: '3x25 stale',
        [`shapecast_source_incarnation{${P('replicator', '2')}, source="a"}`]: '_x24 3x130',
      },
      ...NOT,
    },
    {
      when: 'the source is new',
      series: { [`shapecast_source_incarnation{${P('replicator')}, source="a"}`]: '_x25 1x130' },
      ...NOT,
    },
  ],
  ShapecastPublishFailing: [
    {
      when: 'publishes are repeated',
      series: { ...counter('shapecast_replicator_publish_retries_count', grows(10), ', reason="timeout"') },
      fires: ['high'],
    },
    {
      when: 'one waits for its acknowledgement',
      series: {
        ...counter('shapecast_replicator_publish_inflight_bytes', all(500)),
        ...counter('shapecast_replicator_published_bytes', all(1_000)),
      },
      fires: ['high'],
    },
    {
      when: 'much is under way',
      series: {
        ...counter('shapecast_replicator_publish_inflight_bytes', all(500)),
        ...counter('shapecast_replicator_published_bytes', grows(1e6)),
      },
      ...NOT,
    },
  ],
  ShapecastBackpressure: [
    {
      when: 'reading stands still most of the time',
      series: counter('shapecast_replicator_paused_duration', grows(50_000), ', cause="window"'),
      fires: ['warning'],
    },
    {
      when: 'it stands still now and then',
      series: counter('shapecast_replicator_paused_duration', grows(5_000), ', cause="window"'),
      ...NOT,
    },
  ],
  ShapecastStreamNearLimit: [
    {
      when: 'it is 80 % full',
      series: { ...counter('shapecast_stream_bytes', all(80)), ...counter('shapecast_stream_max_bytes', all(100)) },
      fires: ['high'],
    },
    {
      when: 'it is 95 % full',
      series: { ...counter('shapecast_stream_bytes', all(95)), ...counter('shapecast_stream_max_bytes', all(100)) },
      fires: ['high', 'critical'],
    },
    {
      when: 'it is half full',
      series: { ...counter('shapecast_stream_bytes', all(50)), ...counter('shapecast_stream_max_bytes', all(100)) },
      ...NOT,
    },
  ],
  ShapecastNatsUnreachable: [
    {
      when: 'a router has no NATS',
      series: { [`shapecast_bus_connected{${P('router')}}`]: late(0).replace('0x20', '1x20') },
      fires: ['high'],
    },
    { when: 'it is there', series: { [`shapecast_bus_connected{${P('router')}}`]: all(1) }, ...NOT },
  ],
  ShapecastRouterLagHigh: [
    {
      when: 'a shard is a minute behind',
      series: {
        ...counter('shapecast_router_lag_seconds', all(60)),
        ...counter('shapecast_stream_max_age', all(86_400)),
      },
      fires: ['warning'],
    },
    {
      when: 'a shard is a third of the age of the stream behind',
      series: {
        ...counter('shapecast_router_lag_seconds', all(28_800)),
        ...counter('shapecast_stream_max_age', all(86_400)),
      },
      fires: ['warning', 'high'],
    },
    {
      when: 'a shard is more than half of it behind',
      series: {
        ...counter('shapecast_router_lag_seconds', all(50_000)),
        ...counter('shapecast_stream_max_age', all(86_400)),
      },
      fires: ['warning', 'high', 'critical'],
    },
    {
      when: 'all are there',
      series: {
        ...counter('shapecast_router_lag_seconds', all(0.2)),
        ...counter('shapecast_stream_max_age', all(86_400)),
      },
      ...NOT,
    },
  ],
  ShapecastPartitionUnowned: [
    {
      when: 'one has no router',
      series: { ...counter('shapecast_router_unowned_shards', all(1)), [shards]: all(7), [leader('1')]: all(1) },
      fires: ['high'],
    },
    { when: 'there is no router at all', series: { [leader('1')]: all(1) }, fires: ['high'] },
    {
      when: 'each has one',
      series: { ...counter('shapecast_router_unowned_shards', all(0)), [shards]: all(8), [leader('1')]: all(1) },
      ...NOT,
    },
    { when: 'the source sleeps', series: { [leader('1')]: all(0), [asleep]: all(1) }, ...NOT },
  ],
  ...happening('ShapecastGapDetected', 'shapecast_router_gap_count', 'critical'),
  ...happening('ShapecastShardStalled', 'electric_flush_tracker_stall_detected_count', 'high'),
  ...happening('ShapecastRecordSkipped', 'shapecast_router_skipped_records_count', 'high'),
  ...happening('ShapecastStoreRegressed', 'shapecast_store_regressions_count', 'high'),
  ShapecastDurableCursorLag: level('shapecast_router_durable_cursor_lag', 90, 10, ['warning']),
  ShapecastMustRefetchStorm: [
    {
      when: 'many end',
      series: {
        ...counter('shapecast_shapes_rotated_count', grows(10), ', reason="gap"'),
        ...counter('electric_shapes_total_shapes_count', all(1_000)),
      },
      fires: ['high'],
    },
    {
      when: 'few of many end',
      series: {
        ...counter('shapecast_shapes_rotated_count', grows(2), ', reason="gap"'),
        ...counter('electric_shapes_total_shapes_count', all(10_000)),
      },
      ...NOT,
    },
    {
      when: 'one of three ends',
      series: {
        ...counter('shapecast_shapes_rotated_count', '0x25 1x130', ', reason="truncate"'),
        ...counter('electric_shapes_total_shapes_count', all(3)),
      },
      ...NOT,
    },
  ],
  ShapecastSnapshotSlow: [
    { when: 'they take a minute', series: snapshots({ 30_000: 0, 60_000: 10, '+Inf': 10 }), fires: ['warning'] },
    { when: 'they take seconds', series: snapshots({ 30_000: 10, 60_000: 10, '+Inf': 10 }), ...NOT },
  ],
  ShapecastSnapshotQueueLong: level('shapecast_snapshot_queue_length', 150, 50, ['warning']),
  ShapecastSnapshotsFailing: [
    {
      when: 'one in four fails',
      series: {
        ...counter('shapecast_snapshot_failures_count', grows(1)),
        ...counter('electric_shape_snapshot_create_snapshot_task_stop_duration_count', grows(4)),
      },
      fires: ['warning'],
    },
    {
      when: 'one in a hundred fails',
      series: {
        ...counter('shapecast_snapshot_failures_count', grows(1)),
        ...counter('electric_shape_snapshot_create_snapshot_task_stop_duration_count', grows(100)),
      },
      ...NOT,
    },
  ],
  ShapecastRedisUnreachable: [
    {
      when: 'an API pod has no Redis',
      series: { [`shapecast_redis_connected{${P('api')}}`]: all(0) },
      fires: ['high'],
    },
    { when: 'it is there', series: { [`shapecast_redis_connected{${P('api')}}`]: all(1) }, ...NOT },
  ],
  ShapecastRedisMemoryHigh: [
    {
      when: 'it is nearly full',
      series: node('shapecast_redis_memory_ratio', all(0.95)),
      fires: ['warning', 'high', 'critical'],
    },
    { when: 'it is 75 % full', series: node('shapecast_redis_memory_ratio', all(0.75)), fires: ['warning'] },
    { when: 'it is half full', series: node('shapecast_redis_memory_ratio', all(0.5)), ...NOT },
  ],
  ShapecastRedisEvicting: [
    { when: 'it deletes', series: node('shapecast_redis_evicted_count', '5x25 9x130'), fires: ['critical'] },
    { when: 'it did so long ago', series: node('shapecast_redis_evicted_count', all(5)), ...NOT },
  ],
  ShapecastRedisMisconfigured: [
    { when: 'a setting is wrong', series: node('shapecast_redis_settings_wrong', all(1)), fires: ['critical'] },
    { when: 'all are right', series: node('shapecast_redis_settings_wrong', all(0)), ...NOT },
  ],
  ShapecastRedisReplicationLag: [
    { when: 'a replica is silent', series: node('shapecast_redis_replication_lag', all(30)), fires: ['warning'] },
    { when: 'it answers', series: node('shapecast_redis_replication_lag', all(1)), ...NOT },
  ],
  ShapecastDeliverySLOBurnRate: [
    {
      when: 'a third is late for an hour',
      series: delivered(600, 900),
      at: '90m',
      fires: ['warning', 'high', 'critical'],
    },
    { when: 'all is in time', series: delivered(900, 900), at: '90m', ...NOT },
    { when: 'little happens', series: delivered(0.2, 0.3), at: '90m', ...NOT },
    {
      when: 'it was late and is not any more: only who has time is told',
      series: {
        [`shapecast_api_delivery_latency_bucket{${S}, le="500"}`]: '0+100x30 3000+900x130',
        [`shapecast_api_delivery_latency_bucket{${S}, le="2000"}`]: '0+100x30 3000+900x130',
        [`shapecast_api_delivery_latency_count{${S}}`]: '0+900x30 27000+900x130',
      },
      at: '65m',
      fires: ['warning'],
    },
  ],
  ShapecastApiErrorBudgetBurn: [
    {
      when: 'one in ten is 5xx',
      series: { ...OK, ...requests('500', 'known_error="false"', grows(100)) },
      at: '90m',
      fires: ['warning', 'high', 'critical'],
    },
    { when: 'none is', series: OK, at: '90m', ...NOT },
    {
      when: 'clients make mistakes',
      series: { ...OK, ...requests('400', 'known_error="true"', grows(1_000)) },
      at: '90m',
      ...NOT,
    },
  ],
  ShapecastApiErrors: [
    { when: 'some are 500', series: { ...OK, ...requests('500', 'known_error="false"', grows(10)) }, fires: ['high'] },
    {
      when: 'too many at a time are 503',
      series: { ...OK, ...requests('503', 'known_error="true"', grows(100)) },
      ...NOT,
    },
  ],
  ShapecastAdmissionRejecting: [
    {
      when: 'readers are refused',
      series: {
        ...OK,
        [`electric_admission_control_reject_count{${P('api')}, source="a", kind="existing"}`]: grows(1),
      },
      fires: ['high'],
    },
    {
      when: 'many new ones are refused',
      series: {
        ...OK,
        [`electric_admission_control_reject_count{${P('api')}, source="a", kind="initial"}`]: grows(100),
      },
      fires: ['warning'],
    },
    {
      when: 'a few new ones are refused',
      series: {
        ...OK,
        [`electric_admission_control_reject_count{${P('api')}, source="a", kind="initial"}`]: grows(1),
        [`electric_admission_control_reject_count{${P('api')}, source="a", kind="existing"}`]: all(0),
      },
      ...NOT,
    },
  ],
  ShapecastPollsNearCapacity: [
    {
      when: 'nearly all connections are taken',
      series: {
        [`shapecast_api_connections{${P('api')}}`]: all(97),
        [`shapecast_api_connections_limit{${P('api')}}`]: all(100),
      },
      fires: ['warning', 'high'],
    },
    {
      when: 'nearly all permits are taken',
      series: {
        [`electric_admission_control_acquire_current{${P('api')}, kind="existing"}`]: all(85),
        [`electric_admission_control_acquire_limit{${P('api')}, kind="existing"}`]: all(100),
      },
      fires: ['warning'],
    },
    {
      when: 'half is free',
      series: {
        [`shapecast_api_connections{${P('api')}}`]: all(50),
        [`shapecast_api_connections_limit{${P('api')}}`]: all(100),
      },
      ...NOT,
    },
  ],
  ShapecastNotificationLoss: [
    {
      when: 'one in ten is found by polling',
      series: {
        [`shapecast_api_poll_recovered_count{${S}}`]: grows(10),
        [`shapecast_api_wakeups_count{${S}, cause="notification"}`]: grows(90),
        [`shapecast_api_wakeups_count{${S}, cause="poll"}`]: grows(10),
      },
      fires: ['warning'],
    },
    {
      when: 'none is',
      series: {
        [`shapecast_api_poll_recovered_count{${S}}`]: all(0),
        [`shapecast_api_wakeups_count{${S}, cause="notification"}`]: grows(90),
        [`shapecast_api_wakeups_count{${S}, cause="timeout"}`]: grows(900),
      },
      ...NOT,
    },
  ],
  ShapecastSourceStale: [
    {
      when: 'a pod says so',
      series: {
        [`shapecast_api_stale_sources{${P('api')}, source="a"}`]: all(1),
        [`shapecast_api_stale_sources{${P('api', '2')}, source="a"}`]: all(0),
      },
      fires: ['high'],
    },
    { when: 'none does', series: { [`shapecast_api_stale_sources{${P('api')}, source="a"}`]: all(0) }, ...NOT },
  ],
  ShapecastNotReady: [
    { when: 'a pod is not', series: { [`shapecast_ready{${P('router')}}`]: all(0) }, fires: ['warning'] },
    { when: 'it starts', series: { [`shapecast_ready{${P('router')}}`]: '_x27 0 0 1x130' }, ...NOT },
  ],
  ShapecastPodRestarting: [
    {
      when: 'it does so again and again',
      series: { [`process_start_timestamp{${P('router')}}`]: '100x5 200x5 300x5 400x5 500x130' },
      fires: ['warning'],
    },
    { when: 'it was rolled', series: { [`process_start_timestamp{${P('router')}}`]: '100x20 200x130' }, ...NOT },
  ],
  ShapecastEventLoopLag: [
    { when: 'it is late', series: { [`nodejs_eventloop_delay_p99{${P('api')}}`]: all(0.5) }, fires: ['warning'] },
    { when: 'it was once', series: { [`nodejs_eventloop_delay_p99{${P('api')}}`]: '0x28 0.5 0x130' }, ...NOT },
  ],
  ShapecastConfigReloadFailed: [
    {
      when: 'an entry was refused',
      series: { [`shapecast_config_last_reload_successful{${P('replicator')}}`]: all(0) },
      fires: ['warning'],
    },
    {
      when: 'it was taken',
      series: { [`shapecast_config_last_reload_successful{${P('replicator')}}`]: all(1) },
      ...NOT,
    },
  ],
  ShapecastClockSkew: [
    // Series of promtool begin at 0, one a minute.
    { when: 'a pod is a minute ahead', series: { [`process_clock{${P('api')}}`]: grows(60, 60) }, fires: ['warning'] },
    { when: 'it is right', series: { [`process_clock{${P('api')}}`]: grows(60, 0.2) }, ...NOT },
  ],
  ShapecastTelemetryDropped: [
    {
      when: 'spans are given up',
      series: { [`shapecast_telemetry_dropped_count{${P('api')}, reason="spans"}`]: grows(1) },
      fires: ['warning'],
    },
    { when: 'none is', series: { [`shapecast_telemetry_dropped_count{${P('api')}, reason="spans"}`]: all(0) }, ...NOT },
  ],
};

function retained(bytes: number): Series {
  return { [`electric_postgres_replication_slot_retained_wal_size{${P('replicator')}, source="a"}`]: all(bytes) };
}

function keep(bytes: number): Series {
  return { [`shapecast_slot_max_keep_size{${P('replicator')}, source="a"}`]: all(bytes) };
}

function unconfirmed(values: string): Series {
  return { [`electric_postgres_replication_slot_confirmed_flush_lsn_lag{${P('replicator')}, source="a"}`]: values };
}

function wal(values: string): Series {
  return { [`electric_postgres_replication_pg_wal_offset{${P('replicator')}, source="a"}`]: values };
}

function node(name: string, values: string): Series {
  return { [`${name}{${P('router')}, name="redis:6379"}`]: values };
}

/** Snapshots a minute by how long they took, cumulative. */
function snapshots(counts: Readonly<Record<string, number>>): Series {
  const name = 'electric_shape_snapshot_create_snapshot_task_stop_duration_bucket';
  return Object.fromEntries(
    Object.entries(counts).map(([le, count]) => [`${name}{${P('router')}, source="a", le="${le}"}`, grows(count)]),
  );
}

/** Of an alert about something that must not happen at all. */
function happening(alert: string, name: string, severity: Severity): Readonly<Record<string, readonly AlertCase[]>> {
  return {
    [alert]: [
      { when: 'it happens once more', series: counter(name, '2x25 3x130'), fires: [severity] },
      {
        when: 'it happens for the first time, and was not counted before',
        series: counter(name, appears(1)),
        at: '25m',
        fires: [severity],
      },
      { when: 'it happened long ago', series: counter(name, all(2)), ...NOT },
    ],
  };
}

/** Of an alert about one gauge of a source. */
function level(name: string, high: number, low: number, fires: readonly Severity[]): readonly AlertCase[] {
  return [
    { when: `it is ${high}`, series: counter(name, all(high)), fires },
    { when: `it is ${low}`, series: counter(name, all(low)), ...NOT },
  ];
}
