import { gauge, increase, maxBy, minBy, rate, sumBy } from '../promql/select.ts';
import { BY_PROCESS, BY_SOURCE, OF_PROCESS, OF_SOURCE, type AlertGroup } from './alert.ts';
import { threshold } from './thresholds.ts';

/** From the replicator into JetStream. */
export const STREAM_ALERTS: AlertGroup = {
  name: 'shapecast-stream',
  alerts: [
    {
      name: 'ShapecastPublishFailing',
      summary: `JetStream does not take the transactions of ${OF_SOURCE}`,
      description:
        'Publishes are repeated again and again, or one has been waiting for its acknowledgement for minutes. Nothing is lost: Postgres keeps the WAL meanwhile.',
      stages: [
        {
          severity: 'high',
          for: '2m',
          expr: `${sumBy(BY_SOURCE, increase('shapecast.replicator.publish.retries.count', '5m'))} > ${threshold('publishRetries', 'high')} or (${sumBy(BY_SOURCE, gauge('shapecast.replicator.publish.inflight_bytes'))} > 0 and ${sumBy(BY_SOURCE, rate('shapecast.replicator.published.bytes', '2m'))} == 0)`,
        },
      ],
    },
    {
      name: 'ShapecastBackpressure',
      summary: `Reading from Postgres stands still {{ $value | humanizePercentage }} of the time for ${OF_SOURCE} ({{ $labels.cause }})`,
      description:
        'What comes after the replicator takes less than Postgres writes, or a quota of the source holds it back. Postgres keeps the WAL.',
      stages: [
        {
          severity: 'warning',
          for: '10m',
          expr: `${sumBy([...BY_SOURCE, 'cause'], rate('shapecast.replicator.paused.duration', '5m'))} / 1000 > ${threshold('paused', 'warning')}`,
        },
      ],
    },
    {
      name: 'ShapecastStreamNearLimit',
      summary: `The tx stream of ${OF_SOURCE} is {{ $value | humanizePercentage }} full`,
      description:
        'A full stream takes no more transactions. It is trimmed up to what all shards have stored for certain: mostly one of them is behind.',
      stages: (['high', 'critical'] as const).map((severity) => ({
        severity,
        for: '5m',
        expr: `${maxBy(BY_SOURCE, gauge('shapecast.stream.bytes'))} / (${maxBy(BY_SOURCE, gauge('shapecast.stream.max_bytes'))} > 0) > ${threshold('streamFill', severity)}`,
      })),
    },
    {
      name: 'ShapecastNatsUnreachable',
      summary: `No NATS for ${OF_PROCESS}`,
      description:
        'A replicator stores nothing, a router applies nothing and an API pod hears of nothing meanwhile. Stored data is served.',
      stages: [{ severity: 'high', for: '2m', expr: `${minBy(BY_PROCESS, gauge('shapecast.bus.connected'))} == 0` }],
    },
  ],
};
