import type { SourceUsage } from '@shapecast/messaging';
import type { GaugeName, LabelsOf } from '@shapecast/telemetry';
import type { ShardsSight } from './shards-sight.ts';
import type { SourceMetrics } from './source-metrics.ts';

/** What a router can say of itself at any moment, at next to no cost. Undefined: nothing to say. */
export interface RouterSight {
  shapes(): number;
  unindexedShapes(): number;
  /** Undefined while the source is not known. */
  shards(): ShardsSight | undefined;
  unownedShards(): number | undefined;
  prefetchedBytes(): number;
  snapshots(): { readonly waiting: number; readonly running: number };
  databaseReached(): boolean;
  usage(): SourceUsage;
}

/** Quotas that a router knows of, by the axis they are told under. */
const AXES = [
  'maxShapes',
  'unindexableClauses',
  'snapshotSlots',
  'snapshotBytes',
  'snapshotBytesPerSecond',
  'subsetSlots',
  'logBytes',
  'redisBytes',
] as const;

type SourceGauge = {
  [N in GaugeName]: Readonly<{ source: string }> extends LabelsOf<N> ? N : never;
}[GaugeName];

/** Shows the gauges of a router until the returned function is called. */
export function watchRouter(sight: RouterSight, count: SourceMetrics): () => void {
  const { source } = count;
  const { metrics } = count.telemetry;
  const seconds = (ms: number | undefined) => (ms === undefined ? undefined : ms / 1_000);
  const gauges: readonly (readonly [SourceGauge, () => number | undefined])[] = [
    ['electric.shapes.total_shapes.count', () => sight.shapes()],
    ['electric.shapes.total_shapes.count_unindexed', () => sight.unindexedShapes()],
    ['electric.shapes.total_shapes.count_indexed', () => sight.shapes() - sight.unindexedShapes()],
    ['electric.connection.consumers_ready.duration', () => count.lastLoad?.ms],
    ['electric.connection.consumers_ready.total', () => count.lastLoad?.shapes],
    ['electric.storage.used.bytes', () => sight.shards()?.heldBytes],
    ['shapecast.router.shards', () => sight.shards()?.owned],
    ['shapecast.router.unowned_shards', () => sight.unownedShards()],
    ['shapecast.router.catching_up', () => sight.shards()?.catchingUp],
    ['shapecast.router.lag.bytes', () => sight.shards()?.lagBytes],
    ['shapecast.router.lag.seconds', () => seconds(sight.shards()?.lagMs)],
    ['shapecast.router.durable_cursor_lag', () => seconds(sight.shards()?.durableLagMs)],
    ['shapecast.log.memory', () => sight.prefetchedBytes()],
    ['shapecast.pending_log.bytes', () => sight.shards()?.pendingBytes],
    ['shapecast.snapshot.queue.length', () => sight.snapshots().waiting],
    ['shapecast.snapshot.active', () => sight.snapshots().running],
    ['shapecast.postgres.connected', () => (sight.databaseReached() ? 1 : 0)],
  ];
  const ends = [
    ...gauges.map(([name, read]) => metrics.gauge(name, { source }, read)),
    metrics.gauge('shapecast.e2e.lag', { source, stage: 'apply' }, () => count.applyLagMs),
    ...AXES.flatMap((axis) => {
      const refused = metrics.counter('shapecast.tenant.refused.count', { source, axis });
      const quota = () => {
        const found = sight.usage().quotas?.[axis];
        // Counted where it is refused, in several places; here it is only told.
        if (found) refused.value = Math.max(refused.value, found.refused);
        return found;
      };
      return [
        metrics.gauge('shapecast.tenant.usage', { source, axis }, () => quota()?.used),
        metrics.gauge('shapecast.tenant.limit', { source, axis }, () => quota()?.limit),
      ];
    }),
  ];
  return () => {
    for (const end of ends) end();
  };
}
