import { gauge, gaugeOver, happened, maxBy, minBy } from '../promql/select.ts';
import { BY_PROCESS, BY_SOURCE, OF_PROCESS, OF_SOURCE, type AlertGroup } from './alert.ts';
import { threshold } from './thresholds.ts';

const BY_NODE = ['namespace', 'name'] as const;
const OF_NODE = 'Redis {{ $labels.name }} of {{ $labels.namespace }}';

/** Redis, or Valkey. */
export const STORE_ALERTS: AlertGroup = {
  name: 'shapecast-store',
  alerts: [
    {
      name: 'ShapecastRedisUnreachable',
      summary: `No Redis for ${OF_PROCESS}`,
      description: 'A router applies nothing, and an API pod answers 503 to what it has not in its own memory.',
      stages: [{ severity: 'high', for: '2m', expr: `${minBy(BY_PROCESS, gauge('shapecast.redis.connected'))} == 0` }],
    },
    {
      name: 'ShapecastRedisMemoryHigh',
      summary: `${OF_NODE} uses {{ $value | humanizePercentage }} of its memory`,
      description:
        'From the mark on (80 % unless set) new shapes are answered 503 and those that were not read for the longest time end.',
      stages: (['warning', 'high', 'critical'] as const).map((severity) => ({
        severity,
        for: '5m',
        expr: `${maxBy(BY_NODE, gauge('shapecast.redis.memory_ratio'))} > ${threshold('redisMemory', severity)}`,
      })),
    },
    {
      name: 'ShapecastRedisEvicting',
      summary: `${OF_NODE} deletes keys on its own`,
      description: 'Shapes that lack something end. Redis must have maxmemory-policy noeviction.',
      stages: [
        {
          severity: 'critical',
          for: '0m',
          expr: `${maxBy(BY_NODE, `delta(${gaugeOver('shapecast.redis.evicted.count', '10m')})`)} > 0`,
        },
      ],
    },
    {
      name: 'ShapecastRedisMisconfigured',
      summary: `${OF_NODE} may lose data: its eviction policy or persistence is wrong`,
      description:
        'With an eviction policy other than noeviction no new shape is made. Without an append-only file or a replica a crash of Redis loses shapes.',
      stages: [
        { severity: 'critical', for: '2m', expr: `${maxBy(BY_NODE, gauge('shapecast.redis.settings_wrong'))} > 0` },
      ],
    },
    {
      name: 'ShapecastRedisReplicationLag',
      summary: `A replica of ${OF_NODE} has not answered for {{ $value | humanizeDuration }}`,
      description: 'A failover to it would lose what it lacks, which is then applied again from the tx stream.',
      stages: [
        {
          severity: 'warning',
          for: '5m',
          expr: `${maxBy(BY_NODE, gauge('shapecast.redis.replication_lag'))} > ${threshold('redisReplicationLag', 'warning')}`,
        },
      ],
    },
    {
      name: 'ShapecastStoreRegressed',
      summary: `Redis lost data of ${OF_SOURCE}`,
      description:
        'A shard was found behind what it had been, or empty. What is missing is applied again from the tx stream as far as that reaches back; a shard that was lost begins anew, and its shapes end.',
      stages: [
        {
          severity: 'high',
          for: '0m',
          expr: `${happened('shapecast.store.regressions.count', '10m', BY_SOURCE)} or ${happened('shapecast.store.lost.count', '10m', BY_SOURCE)}`,
        },
      ],
    },
  ],
};
