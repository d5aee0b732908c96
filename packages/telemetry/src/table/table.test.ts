import { expect, test } from 'vitest';
import type { MetricDefinition } from '../definition.ts';
import { METRICS, type MetricName } from './index.ts';

/** Of the reference, kept or with their closest equivalent (spec O 6.2); those of its own virtual machine apart. */
const KEPT = `electric.plug.serve_shape.duration electric.plug.serve_shape.count electric.plug.serve_shape.bytes
  electric.plug.serve_shape.requests.count electric.shape.response_size.bytes
  electric.shape_snapshot.create_snapshot_task.stop.duration electric.storage.make_new_snapshot.stop.duration
  electric.postgres.replication.transaction_received.receive_lag electric.postgres.replication.transaction_received.operations
  electric.postgres.replication.transaction_received.count electric.postgres.replication.transaction_received.bytes
  electric.storage.transaction_stored.replication_lag electric.storage.transaction_stored.bytes
  electric.storage.transaction_stored.count electric.storage.transaction_stored.operations
  electric.storage.snapshot_stored.bytes electric.storage.snapshot_stored.count electric.storage.snapshot_stored.operations
  electric.storage.used.bytes electric.storage.used.measurement_duration electric.subqueries.subset_result.bytes
  electric.subqueries.subset_result.rows electric.subqueries.subset_result.count
  electric.postgres.info_looked_up.pg_version electric.shape_db.pool.checkout.queue_time
  electric.connection.consumers_ready.duration electric.connection.consumers_ready.total
  electric.admission_control.acquire.current electric.admission_control.acquire.limit
  electric.admission_control.reject.count electric.admission_control.reject.limit
  electric.shape_log_collector.transaction.affected_shape_count electric.flush_tracker.writer_down.count
  electric.flush_tracker.stall_detected.count electric.shapes.total_shapes.count
  electric.shapes.total_shapes.count_indexed electric.shapes.total_shapes.count_unindexed
  electric.shapes.active_shapes.count electric.postgres.replication.pg_wal_offset
  electric.postgres.replication.slot_retained_wal_size electric.postgres.replication.slot_confirmed_flush_lsn_lag
  process.memory.total vm.uptime.total system.cpu.core_count system.cpu.utilization.total system.load_percent.avg1
  system.load_percent.avg5 system.load_percent.avg15 system.memory_percent.free_memory
  system.memory_percent.available_memory system.memory_percent.used_memory`;
/** Spec O 6.3. `move_in_triggered` of 6.2 comes with subqueries. */
const NEW = `replicator.leader replicator.epoch source.incarnation replicator.takeover.duration replicator.fenced.count
  replicator.publish.latency replicator.publish.inflight_bytes replicator.paused.duration replicator.resent_dropped.count
  replicator.oversize_rows.count replicator.unusable_changes.count stream.bytes stream.messages stream.oldest_age
  stream.durable_lsn_lag slot.safe_wal_size slot.wal_status router.lag.bytes router.lag.seconds router.apply.duration
  router.match.duration router.cas_conflicts.count router.rebalances.count router.unowned_shards router.gap.count
  store.regressions.count router.durable_cursor_lag shapes.created.count shapes.rotated.count snapshot.queue.length
  snapshot.active snapshot.safety_retries.count snapshot.publication_gap_wait pending_log.bytes redis.memory_ratio
  redis.call.duration redis.replication_lag api.waiting_requests api.coalesced.count api.notify_to_response
  api.poll_recovered.count e2e.commit_to_visible publication.actions.count publication.errors.count tenant.usage
  log.dropped.count telemetry.dropped.count`;

const names = Object.keys(METRICS) as MetricName[];
const words = (text: string): readonly string[] => text.split(/\s+/);

test('O 6.2 O 6.3 every metric that has to be there is there', () => {
  const wanted = [...words(KEPT), ...words(NEW).map((name) => `shapecast.${name}`)];
  expect(wanted.filter((name) => !Object.hasOwn(METRICS, name))).toEqual([]);
});

test('every metric has a unit, a sentence, and a role', () => {
  for (const name of names) {
    const { unit, description, roles, labels }: MetricDefinition = METRICS[name];
    expect(name).toMatch(/^[a-z][a-z0-9_]*(\.[a-z0-9_]+)+$/);
    expect(unit, name).toMatch(/^(1|ms|s|By|%|\{[a-z]+\})$/);
    expect(description, name).toMatch(/^[A-Z1].{10,}[^.]$/s);
    expect(roles.length, name).toBeGreaterThan(0);
    expect(new Set(labels).size, name).toBe(labels.length);
  }
});

test('buckets grow', () => {
  for (const name of names) {
    const definition: MetricDefinition = METRICS[name];
    if (definition.type !== 'histogram') continue;
    expect([...definition.buckets].sort((a, b) => a - b)).toEqual(definition.buckets);
  }
});
