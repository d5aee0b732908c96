import { gauge, groupBy, happened, increase, maxBy, observations, quantile, rate, sumBy } from '../promql/select.ts';
import { BY_SOURCE, OF_SOURCE, type AlertGroup } from './alert.ts';
import { threshold } from './thresholds.ts';

const lag = maxBy(BY_SOURCE, gauge('shapecast.router.lag.seconds'));
const lagShare = `${lag} / (${maxBy(BY_SOURCE, gauge('shapecast.stream.max_age'))} > 0)`;
const rotated = sumBy(BY_SOURCE, increase('shapecast.shapes.rotated.count', '10m', { reason: '!=operator' }));
const owned = `${groupBy(BY_SOURCE, `${gauge('shapecast.router.shards')} > 0`)}`;

/** Applying transactions to shapes, and making new ones. */
export const ROUTER_ALERTS: AlertGroup = {
  name: 'shapecast-router',
  alerts: [
    {
      name: 'ShapecastRouterLagHigh',
      summary: `A shard of ${OF_SOURCE} is behind the tx stream`,
      description:
        'Its shapes are served as of some time ago. Once it is further behind than the stream reaches back, they end.',
      stages: [
        {
          severity: 'warning',
          for: '2m',
          expr: `${lag} > ${threshold('routerLagSeconds', 'warning')} or ${lagShare} > ${threshold('routerLagShare', 'warning')}`,
        },
        ...(['high', 'critical'] as const).map((severity) => ({
          severity,
          for: '2m',
          expr: `${lagShare} > ${threshold('routerLagShare', severity)}`,
        })),
      ],
    },
    {
      name: 'ShapecastPartitionUnowned',
      summary: `Shards of ${OF_SOURCE} have no router`,
      description:
        'Their shapes get no changes, and new ones in them cannot be made. Shapes that exist are served as they are.',
      stages: [
        {
          severity: 'high',
          for: '30s',
          expr: `${maxBy(BY_SOURCE, gauge('shapecast.router.unowned_shards'))} > 0 or (${sumBy(BY_SOURCE, gauge('shapecast.replicator.leader'))} > 0 unless on (namespace, source) ${owned})`,
        },
      ],
    },
    {
      name: 'ShapecastGapDetected',
      summary: `The tx stream of ${OF_SOURCE} had a gap`,
      description:
        'Records that a shard still needed are not in the stream any more. The shapes of that shard ended and are made anew; no client has wrong data.',
      stages: [
        { severity: 'critical', for: '0m', expr: `${happened('shapecast.router.gap.count', '10m', BY_SOURCE)}` },
      ],
    },
    {
      name: 'ShapecastShardStalled',
      summary: `A shard of ${OF_SOURCE} made no progress although there was work`,
      description: 'Its worker was replaced; if that does not help, the shapes that the transaction concerns end.',
      stages: [
        {
          severity: 'high',
          for: '0m',
          expr: `${happened('electric.flush_tracker.stall_detected.count', '10m', BY_SOURCE)}`,
        },
      ],
    },
    {
      name: 'ShapecastRecordSkipped',
      summary: `Routers died of a record of ${OF_SOURCE}, and it was left out`,
      description:
        'Several routers ended while they applied the same record. The shapes of its tables ended and are made anew.',
      stages: [
        {
          severity: 'high',
          for: '0m',
          expr: `${happened('shapecast.router.skipped_records.count', '10m', BY_SOURCE)}`,
        },
      ],
    },
    {
      name: 'ShapecastDurableCursorLag',
      summary: `What Redis has stored for certain of ${OF_SOURCE} is {{ $value | humanizeDuration }} behind`,
      description:
        'Redis does not say that its data is on disk and on a replica. The tx stream is not trimmed meanwhile, and a crash of Redis would be healed from further back.',
      stages: [
        {
          severity: 'warning',
          for: '5m',
          expr: `${maxBy(BY_SOURCE, gauge('shapecast.router.durable_cursor_lag'))} > ${threshold('durableLag', 'warning')}`,
        },
      ],
    },
    {
      name: 'ShapecastMustRefetchStorm',
      summary: `Many shapes of ${OF_SOURCE} end: {{ $value | humanizePercentage }} in ten minutes`,
      description:
        'Their readers get 409 and load them anew, which costs snapshots. The log names the reasons, and so does the label of the metric.',
      stages: [
        {
          severity: 'high',
          for: '0m',
          expr: `${rotated} / (${sumBy(BY_SOURCE, gauge('electric.shapes.total_shapes.count'))} > 0) > ${threshold('rotations', 'high')} and ${rotated} > ${threshold('rotationsAtLeast', 'high')}`,
        },
      ],
    },
    {
      name: 'ShapecastSnapshotSlow',
      summary: `Snapshots of ${OF_SOURCE} take long: 5 of 100 more than {{ $value | humanizeDuration }}`,
      description:
        'New shapes are there late. They hold connections to the database meanwhile, so others wait for their turn.',
      stages: [
        {
          severity: 'warning',
          for: '10m',
          expr: `${quantile(0.95, 'electric.shape_snapshot.create_snapshot_task.stop.duration', '10m', BY_SOURCE)} / 1000 > ${threshold('snapshotSeconds', 'warning')}`,
        },
      ],
    },
    {
      name: 'ShapecastSnapshotQueueLong',
      summary: `{{ $value }} snapshots of ${OF_SOURCE} wait for their turn`,
      description: 'More new shapes are asked for than can be made at a time. Shapes that exist are not concerned.',
      stages: [
        {
          severity: 'warning',
          for: '5m',
          expr: `${sumBy(BY_SOURCE, gauge('shapecast.snapshot.queue.length'))} > ${threshold('snapshotQueue', 'warning')}`,
        },
      ],
    },
    {
      name: 'ShapecastSnapshotsFailing',
      summary: `{{ $value | humanizePercentage }} of the snapshots of ${OF_SOURCE} fail`,
      description: 'Requests for new shapes are answered 503 or 400 with the reason.',
      stages: [
        {
          severity: 'warning',
          for: '5m',
          expr: `${sumBy(BY_SOURCE, rate('shapecast.snapshot.failures.count', '10m'))} / (${sumBy(BY_SOURCE, observations('electric.shape_snapshot.create_snapshot_task.stop.duration', '10m'))} > 0) > ${threshold('snapshotFailures', 'warning')}`,
        },
      ],
    },
  ],
};
