import type { MetricName } from '@shapecast/telemetry';

/** Metrics that a healthy cluster with one source and one reader does not show, and why. */
export const NOT_ALWAYS: Partial<Readonly<Record<MetricName, string>>> = {
  'shapecast.source.problem': 'there while there is a problem',
  'shapecast.publication.errors.count': 'counted when Postgres refuses',
  'electric.flush_tracker.writer_down.count': 'counted when a router loses shards',
  'shapecast.api.denied.count': 'counted when somebody is turned away',
  'shapecast.config.last_reload.successful': 'of replicators with a file of sources',
  'shapecast.config.last_reload.success_timestamp': 'of replicators with a file of sources',
  'electric.admission_control.reject.limit': 'there once a request was refused',
  'shapecast.e2e.lag': 'of the last ten seconds, if there was a change',
  'shapecast.redis.memory_ratio': 'of a Redis with maxmemory',
  'shapecast.redis.replication_lag': 'of a Redis with a replica',
  'shapecast.shapes.removed.count': 'counted when a shape is ended by plan',
};
