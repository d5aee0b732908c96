import type { SlotReport } from '@shapecast/change-source';
import type { SourceUsage } from '@shapecast/messaging';
import type { GaugeName, LabelsOf } from '@shapecast/telemetry';
import type { ReplicatorStatus } from '../status.ts';
import type { ReplicatorMetrics } from './replicator-metrics.ts';

/** Half of all positions: a signed number of 64 bits holds what is left (spec O 6.2). */
const LSN_MIDDLE = 2n ** 63n;
const WAL_STATUS = { reserved: 0, extended: 1, unreserved: 2 } as const satisfies Record<
  SlotReport['walStatus'],
  number
>;

/** Names of metrics that have no label but the source. */
type OfSource = {
  [N in GaugeName]: keyof LabelsOf<N> extends 'source' ? ('source' extends keyof LabelsOf<N> ? N : never) : never;
}[GaugeName];
type Reading = Readonly<Partial<Record<OfSource, () => number | undefined>>>;

/** From now on what is true of a replicator is read from its status when somebody looks. The returned function ends that. */
export function watchReplicator(metrics: ReplicatorMetrics, status: ReplicatorStatus): () => void {
  const leading = <T>(value: () => T) => (status.phase === 'active' ? value() : undefined);
  const stream = () => leading(() => status.trimmer?.report);
  const ends = watch(metrics, {
    'shapecast.replicator.leader': () => Number(status.phase === 'active'),
    'shapecast.replicator.asleep': () => Number(status.phase === 'asleep'),
    'shapecast.replicator.epoch': () => leading(() => status.epoch),
    'shapecast.source.incarnation': () => leading(() => status.incarnation),
    // While it sleeps nobody asks.
    'shapecast.postgres.connected': () => (status.phase === 'asleep' ? undefined : Number(status.connected)),
    'electric.postgres.info_looked_up.pg_version': () => status.serverVersion,
    'shapecast.slot.creation_blocked': () => Number(status.slotBlocked),
    'shapecast.replicator.publish.inflight_bytes': () => leading(() => status.outbox?.inFlightBytes),
    'shapecast.stream.bytes': () => stream()?.bytes,
    'shapecast.stream.max_bytes': () => stream()?.maxBytes,
    'shapecast.stream.messages': () => stream()?.messages,
    'shapecast.stream.oldest_age': () => seconds(stream()?.oldestAgeMs),
    'shapecast.stream.max_age': () => seconds(stream()?.maxAgeMs),
    'shapecast.stream.durable_lsn_lag': () => stream()?.behindBytes,
  });
  const { source } = metrics;
  const gauges = metrics.telemetry.metrics;
  const problem = (reason: string, is: () => boolean) =>
    gauges.gauge('shapecast.source.problem', { source, reason }, () => (is() ? 1 : undefined));
  ends.push(
    gauges.gauge('shapecast.e2e.lag', { source, stage: 'publish' }, () => metrics.publishLagMs),
    problem('stream_unavailable', () => status.phase === 'active' && status.outbox?.state.stalled === true),
    problem('publication', () => status.phase === 'active' && status.keeper?.problem !== undefined),
  );
  return () => ends.forEach((end) => end());
}

/** The same for the slot of a source, as it was when it was looked at last. */
export function watchSlot(metrics: ReplicatorMetrics, report: () => SlotReport | undefined): () => void {
  const read = (value: (report: SlotReport) => number | undefined) => () => {
    const found = report();
    return found && value(found);
  };
  const ends = watch(metrics, {
    'electric.postgres.replication.pg_wal_offset': read(({ walLsn }) => Number(walLsn - LSN_MIDDLE)),
    'electric.postgres.replication.slot_retained_wal_size': read((slot) => bytes(slot.walLsn - slot.restartLsn)),
    'electric.postgres.replication.slot_confirmed_flush_lsn_lag': read((slot) =>
      bytes(slot.walLsn - slot.confirmedLsn),
    ),
    'shapecast.slot.safe_wal_size': read(({ safeBytes }) => (safeBytes === undefined ? undefined : Number(safeBytes))),
    'shapecast.slot.max_keep_size': read(({ keepBytes }) => (keepBytes === undefined ? undefined : Number(keepBytes))),
    'shapecast.slot.wal_status': read(({ walStatus }) => WAL_STATUS[walStatus]),
  });
  return () => ends.forEach((end) => end());
}

/** Also of limits that a source has only for a while. */
export function watchLimits(
  metrics: ReplicatorMetrics,
  axes: readonly string[],
  quotas: () => SourceUsage['quotas'],
): () => void {
  const { source, telemetry } = metrics;
  const ends = axes.flatMap((axis) => [
    telemetry.metrics.gauge('shapecast.tenant.usage', { source, axis }, () => quotas()?.[axis]?.used),
    telemetry.metrics.gauge('shapecast.tenant.limit', { source, axis }, () => quotas()?.[axis]?.limit),
  ]);
  return () => ends.forEach((end) => end());
}

function watch({ telemetry, source }: ReplicatorMetrics, readings: Reading): (() => void)[] {
  return Object.entries(readings).map(([name, read]) => telemetry.metrics.gauge(name as OfSource, { source }, read));
}

function bytes(distance: bigint): number {
  return Math.max(0, Number(distance));
}

function seconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1_000;
}
