import { gauge, maxBy, quantile, rate, sumBy } from '../promql/select.ts';
import { badShare, recordedWal } from '../recording.ts';
import { OF_SOURCES, WINDOW, type Dashboard } from './dashboard.ts';
import { ANY_IS_BAD, figure, lines, NONE_IS_BAD, stepsOf } from './panel.ts';
import { REPLICATION_ROWS } from './source-replication.ts';
import { ROUTER_ROWS } from './source-routers.ts';
import { spread } from './spread.ts';

const here = '{namespace=~"$namespace", source=~"$source"}';

/** One source from Postgres to its clients, in the order that a change takes. */
export const SOURCE: Dashboard = {
  file: 'source',
  title: 'Shapecast / Source',
  description: 'One source: its state, where time goes between a commit and a client, and every stage by itself.',
  sources: 'one',
  rows: [
    {
      title: 'State',
      panels: [
        figure(
          'Leader',
          'Replicators that lead the source. One is right; none while it sleeps.',
          'none',
          sumBy([], gauge('shapecast.replicator.leader', OF_SOURCES)),
          {
            base: 'red',
            steps: [
              { from: 1, colour: 'green' },
              { from: 2, colour: 'red' },
            ],
          },
        ),
        figure(
          'Sleeps',
          'Whether it has let go of its database because nobody reads.',
          'none',
          maxBy([], gauge('shapecast.replicator.asleep', OF_SOURCES)),
          { words: { 0: 'no', 1: 'yes' } },
        ),
        figure(
          'Incarnation',
          'Grows when continuity could not be proven: every shape starts over then.',
          'none',
          maxBy([], gauge('shapecast.source.incarnation', OF_SOURCES)),
        ),
        figure(
          'Epoch',
          'Grows with every change of leader.',
          'none',
          maxBy([], gauge('shapecast.replicator.epoch', OF_SOURCES)),
        ),
        figure(
          'Postgres',
          'Version as a number, 180001 for 18.1.',
          'none',
          maxBy([], gauge('electric.postgres.info_looked_up.pg_version', OF_SOURCES)),
        ),
        figure(
          'Postgres reached',
          '1 while every process that needs it reaches it.',
          'none',
          `min(${gauge('shapecast.postgres.connected', OF_SOURCES)})`,
          NONE_IS_BAD,
        ),
        figure('Shapes', 'In all shards.', 'none', sumBy([], gauge('electric.shapes.total_shapes.count', OF_SOURCES))),
        figure(
          'Shapes with readers',
          'That somebody waits for, or read within the last minute; counted in every pod that has such a reader.',
          'none',
          sumBy([], gauge('electric.shapes.active_shapes.count', OF_SOURCES)),
        ),
        figure(
          'Waiting',
          'Requests that wait for news.',
          'none',
          sumBy([], gauge('shapecast.api.waiting_requests', OF_SOURCES)),
        ),
        figure(
          'WAL kept',
          'As a share of what Postgres keeps at most.',
          'percentunit',
          `max(${recordedWal()}${here})`,
          { steps: stepsOf('walRetained') },
        ),
        figure(
          'In Redis',
          'Bytes of shape logs and snapshots.',
          'bytes',
          sumBy([], gauge('electric.storage.used.bytes', OF_SOURCES)),
        ),
        figure(
          'Stale',
          '1 while answers may be out of date.',
          'none',
          maxBy([], gauge('shapecast.api.stale_sources', OF_SOURCES)),
          { steps: ANY_IS_BAD },
        ),
        lines(
          'Problems',
          'What keeps the source from being replicated, while it does.',
          'none',
          { '{{reason}}': maxBy(['reason'], gauge('shapecast.source.problem', OF_SOURCES)) },
          { steps: ANY_IS_BAD, width: 12 },
        ),
        lines(
          'Promises',
          'Share of changes that came later than promised, and of requests answered 5xx, over an hour.',
          'percentunit',
          {
            'later than 500 ms': `max(${badShare('delivery_fast', '1h')}${here})`,
            'later than 2 s': `max(${badShare('delivery_slow', '1h')}${here})`,
            '5xx': `max(${badShare('requests', '1h')}${here})`,
          },
          { width: 12 },
        ),
      ],
    },
    {
      title: 'From a commit to a client',
      panels: [
        lines(
          'Where time goes',
          '99 of 100 changes below: until in the tx stream, from there until visible in the store, from there until answered.',
          'ms',
          { '{{stage}}': quantile(0.99, 'shapecast.e2e.stage', WINDOW, ['stage'], OF_SOURCES) },
          { stacked: true },
        ),
        lines('Longest of ten seconds', 'By stage, as API pods see it.', 'ms', {
          '{{stage}}': maxBy(['stage'], gauge('shapecast.e2e.lag', OF_SOURCES)),
        }),
        lines(
          'Delivery',
          'From a commit until the answer to a waiting client was written.',
          'ms',
          spread('shapecast.api.delivery.latency'),
        ),
        lines(
          'Visible',
          'From a commit until an API pod could serve it.',
          'ms',
          spread('shapecast.e2e.commit_to_visible'),
        ),
        lines(
          'Received',
          'From a commit until the replicator had the transaction.',
          'ms',
          spread('electric.postgres.replication.transaction_received.receive_lag'),
        ),
        lines(
          'Stored',
          'From a commit until it was visible in the store, as routers see it.',
          'ms',
          spread('electric.storage.transaction_stored.replication_lag'),
        ),
      ],
    },
    ...REPLICATION_ROWS,
    ...ROUTER_ROWS,
    {
      title: 'Requests',
      panels: [
        lines(
          'By status',
          'Requests for shapes.',
          'reqps',
          { '{{status}}': sumBy(['status'], rate('electric.plug.serve_shape.requests.count', WINDOW, OF_SOURCES)) },
          { stacked: true },
        ),
        lines(
          'How long',
          'Requests that are not live, from their head to the last byte.',
          'ms',
          spread('electric.plug.serve_shape.duration'),
        ),
        lines('Bytes', 'Of answers.', 'Bps', {
          bytes: sumBy([], rate('electric.plug.serve_shape.bytes', WINDOW, OF_SOURCES)),
        }),
        lines('Waiting', 'Long polls, and event streams.', 'none', {
          'long polls': sumBy([], gauge('shapecast.api.waiting_requests', OF_SOURCES)),
          'event streams': sumBy([], gauge('shapecast.api.active_streams', OF_SOURCES)),
        }),
        lines('Ends of waits', 'By cause; poll is news whose hint was lost.', 'cps', {
          '{{cause}}': sumBy(['cause'], rate('shapecast.api.wakeups.count', WINDOW, OF_SOURCES)),
        }),
        lines('Refused', 'Started over (409), not let in, too many at a time.', 'reqps', {
          'must refetch': sumBy([], rate('shapecast.api.must_refetch.count', WINDOW, OF_SOURCES)),
          'denied: {{reason}}': sumBy(['reason'], rate('shapecast.api.denied.count', WINDOW, OF_SOURCES)),
          'too many: {{kind}}': sumBy(['kind'], rate('electric.admission_control.reject.count', WINDOW, OF_SOURCES)),
        }),
      ],
    },
    {
      title: 'Quotas',
      panels: [
        lines(
          'Use',
          'Of each axis with a limit, as a share of it.',
          'percentunit',
          {
            '{{axis}}': `${sumBy(['axis'], gauge('shapecast.tenant.usage', OF_SOURCES))} / (${sumBy(['axis'], gauge('shapecast.tenant.limit', OF_SOURCES))} > 0)`,
          },
          { width: 12 },
        ),
        lines(
          'Refused',
          'Requests or pieces of work, by axis.',
          'cps',
          { '{{axis}}': sumBy(['axis'], rate('shapecast.tenant.refused.count', WINDOW, OF_SOURCES)) },
          { width: 12 },
        ),
      ],
    },
  ],
};
