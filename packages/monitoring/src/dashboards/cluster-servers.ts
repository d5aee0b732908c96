import { BY_PROCESS } from '../alerts/alert.ts';
import { gauge, gaugeOver, increase, maxBy, mean, minBy, quantile, rate, sumBy } from '../promql/select.ts';
import { HERE, OF_SOURCES, WINDOW, type Row } from './dashboard.ts';
import { ANY_IS_BAD, figure, lines, NONE_IS_BAD, stepsOf, top } from './panel.ts';

/** What processes depend on, and how they share the work. */
export const SERVER_ROWS: readonly Row[] = [
  {
    title: 'NATS',
    panels: [
      lines(
        'Processes without NATS',
        'Nothing is stored or applied by them meanwhile; stored data is served.',
        'none',
        { '{{job}}': `count by (job) (${minBy(BY_PROCESS, gauge('shapecast.bus.connected', HERE))} == 0)` },
        { steps: ANY_IS_BAD },
      ),
      lines('Publishes', 'From a publish to JetStream until its acknowledgement.', 'ms', {
        'half below': quantile(0.5, 'shapecast.replicator.publish.latency', WINDOW, [], HERE),
        '99 of 100 below': quantile(0.99, 'shapecast.replicator.publish.latency', WINDOW, [], HERE),
      }),
      lines('Repeated publishes', 'Because the first got no usable answer, by reason.', 'cps', {
        '{{reason}}': sumBy(['reason'], rate('shapecast.replicator.publish.retries.count', WINDOW, OF_SOURCES)),
      }),
      lines(
        'Fullest tx streams',
        'Bytes as a share of what they may hold.',
        'percentunit',
        {
          '{{source}}': top(
            `${maxBy(['source'], gauge('shapecast.stream.bytes', OF_SOURCES))} / (${maxBy(['source'], gauge('shapecast.stream.max_bytes', OF_SOURCES))} > 0)`,
          ),
        },
        { steps: stepsOf('streamFill') },
      ),
      lines('Unacknowledged', 'Bytes published and not yet acknowledged.', 'bytes', {
        '{{source}}': top(sumBy(['source'], gauge('shapecast.replicator.publish.inflight_bytes', OF_SOURCES))),
      }),
      lines('Reconnects', 'Connections that were made again, by server.', 'cps', {
        '{{server}}': sumBy(['server'], rate('shapecast.replicator.reconnects.count', WINDOW, OF_SOURCES)),
      }),
    ],
  },
  {
    title: 'Redis',
    panels: [
      lines(
        'Processes without Redis',
        'Routers apply nothing meanwhile; API pods answer 503 to what they do not hold themselves.',
        'none',
        { '{{job}}': `count by (job) (${minBy(BY_PROCESS, gauge('shapecast.redis.connected', HERE))} == 0)` },
        { steps: ANY_IS_BAD },
      ),
      lines(
        'Memory',
        'In use by what a node may use.',
        'percentunit',
        { '{{name}}': maxBy(['name'], gauge('shapecast.redis.memory_ratio', HERE)) },
        { steps: stepsOf('redisMemory'), max: 1 },
      ),
      lines('Calls', 'From sending to the answer, by component.', 'ms', {
        '99 of 100 below, {{job}}': quantile(0.99, 'shapecast.redis.call.duration', WINDOW, ['job'], HERE),
        'mean, {{job}}': mean('shapecast.redis.call.duration', WINDOW, ['job'], HERE),
      }),
      lines('Waiting to be sent', 'How long calls waited before they were sent.', 'ms', {
        '99 of 100 below': quantile(0.99, 'electric.shape_db.pool.checkout.queue_time', WINDOW, [], HERE),
      }),
      lines(
        'Slowest replica',
        'How long ago it answered.',
        's',
        { '{{name}}': maxBy(['name'], gauge('shapecast.redis.replication_lag', HERE)) },
        { steps: stepsOf('redisReplicationLag') },
      ),
      lines(
        'Lost data',
        'Keys that a node deleted on its own, shards found behind, shards found empty, in ten minutes. Nodes with wrong settings.',
        'none',
        {
          'evicted, {{name}}': maxBy(['name'], `delta(${gaugeOver('shapecast.redis.evicted.count', '10m', HERE)})`),
          'behind, {{source}}': `${sumBy(['source'], increase('shapecast.store.regressions.count', '10m', OF_SOURCES))} > 0`,
          'empty, {{source}}': `${sumBy(['source'], increase('shapecast.store.lost.count', '10m', OF_SOURCES))} > 0`,
          'settings, {{name}}': maxBy(['name'], gauge('shapecast.redis.settings_wrong', HERE)),
        },
        { steps: ANY_IS_BAD },
      ),
    ],
  },
  {
    title: 'Who does what',
    panels: [
      lines(
        'Leaderships',
        'Sources that each replicator leads.',
        'none',
        { '{{pod}}': sumBy(['pod'], gauge('shapecast.replicator.leader', OF_SOURCES)) },
        { stacked: true },
      ),
      lines(
        'Shards',
        'That each router owns.',
        'none',
        { '{{pod}}': sumBy(['pod'], gauge('shapecast.router.shards', OF_SOURCES)) },
        { stacked: true },
      ),
      lines(
        'Shards without router',
        'As routers see it.',
        'none',
        { '{{source}}': top(maxBy(['source'], gauge('shapecast.router.unowned_shards', OF_SOURCES))) },
        { steps: ANY_IS_BAD },
      ),
      lines('Take-overs', 'How long they took, by reason.', 'ms', {
        '99 of 100 below, {{reason}}': quantile(
          0.99,
          'shapecast.replicator.takeover.duration',
          WINDOW,
          ['reason'],
          HERE,
        ),
      }),
      lines(
        'Rebalances',
        'Shards acquired or released because the routers changed; and shards that were lost, by reason.',
        'cps',
        {
          '{{reason}}': sumBy(['reason'], rate('shapecast.router.rebalances.count', WINDOW, HERE)),
          'lost: {{reason}}': sumBy(['reason'], rate('electric.flush_tracker.writer_down.count', WINDOW, OF_SOURCES)),
        },
      ),
      lines(
        'Refused writes',
        'Writes of a shard that stood elsewhere, by what differed; and leaders that were fenced off.',
        'cps',
        {
          '{{kind}}': sumBy(['kind'], rate('shapecast.router.cas_conflicts.count', WINDOW, HERE)),
          'fenced, {{source}}': top(sumBy(['source'], rate('shapecast.replicator.fenced.count', WINDOW, OF_SOURCES))),
        },
      ),
      figure(
        'Files of sources refused',
        'Replicators whose file of sources has a mistake: the last good version counts.',
        'none',
        `count(${gauge('shapecast.config.last_reload.successful', HERE)} == 0) or vector(0)`,
        { steps: ANY_IS_BAD },
      ),
      figure(
        'File of sources taken',
        'When that was, by the replicator that did it last.',
        'dateTimeFromNow',
        `${maxBy([], gauge('shapecast.config.last_reload.success_timestamp', HERE))} * 1000`,
      ),
      figure(
        'NATS everywhere',
        '1 while every process reaches NATS.',
        'none',
        minBy([], gauge('shapecast.bus.connected', HERE)),
        NONE_IS_BAD,
      ),
    ],
  },
];
