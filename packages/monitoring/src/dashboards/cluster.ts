import { gauge, maxBy, observations, observationsUpTo, quantile, rate, sumBy } from '../promql/select.ts';
import { badShare, recordedWal } from '../recording.ts';
import { PROCESS_ROWS } from './cluster-processes.ts';
import { SERVER_ROWS } from './cluster-servers.ts';
import { OF_SOURCES, WINDOW, type Dashboard } from './dashboard.ts';
import { ANY_IS_BAD, figure, lines, stepsOf, table, top, type Step } from './panel.ts';

const here = '{namespace=~"$namespace", source=~"$source"}';
const promised = (least: number): { readonly base: 'red'; readonly steps: readonly Step[] } => ({
  base: 'red',
  steps: [{ from: least, colour: 'green' }],
});
const leaders = sumBy(['namespace', 'source'], gauge('shapecast.replicator.leader', OF_SOURCES));
const asleep = maxBy(['namespace', 'source'], gauge('shapecast.replicator.asleep', OF_SOURCES));
const latency = 'shapecast.api.delivery.latency';
const requests = 'electric.plug.serve_shape.requests.count';

/** Everything at a glance, many sources together: what is promised, who is worst, and whether processes and servers are well. */
export const CLUSTER: Dashboard = {
  file: 'cluster',
  title: 'Shapecast / Cluster',
  description: 'What is promised to clients, the sources that stand out, processes, Redis and NATS.',
  sources: 'many',
  rows: [
    {
      title: 'What is promised',
      panels: [
        figure(
          'Delivered within 500 ms',
          'Changes that a waiting client had 500 ms after their commit, over three days. Promised are 99 %.',
          'percentunit',
          `1 - avg(${badShare('delivery_fast', '3d')}${here})`,
          promised(0.99),
        ),
        figure(
          'Delivered within 2 s',
          'The same with 2 s. Promised are 99.9 %.',
          'percentunit',
          `1 - avg(${badShare('delivery_slow', '3d')}${here})`,
          promised(0.999),
        ),
        figure(
          'Requests without 5xx',
          'Requests for shapes that were not answered 5xx, over three days. Promised are 99.9 %.',
          'percentunit',
          `1 - avg(${badShare('requests', '3d')}${here})`,
          promised(0.999),
        ),
        figure(
          'Answered within 200 ms',
          'Requests that are not live whose answer was complete after 200 ms, in the last hour. Intended are 95 %; new shapes take as long as their snapshot.',
          'percentunit',
          `${sumBy([], observationsUpTo('electric.plug.serve_shape.duration', 200, '1h', OF_SOURCES))} / ${sumBy([], observations('electric.plug.serve_shape.duration', '1h', OF_SOURCES))}`,
          promised(0.95),
        ),
        figure(
          'Sources without leader',
          'Sources that neither are led nor sleep.',
          'none',
          `count(${leaders} == 0 unless on (namespace, source) ${asleep} > 0) or vector(0)`,
          { steps: ANY_IS_BAD },
        ),
        figure(
          'Sources with a problem',
          'Sources that cannot be replicated, or whose answers may be out of date.',
          'none',
          `count(${maxBy(['namespace', 'source'], gauge('shapecast.source.problem', OF_SOURCES))} > 0 or ${maxBy(['namespace', 'source'], gauge('shapecast.api.stale_sources', OF_SOURCES))} > 0) or vector(0)`,
          { steps: ANY_IS_BAD },
        ),
        lines(
          'Error budgets burn',
          'How many times faster than allowed, over an hour. Above 14.4 for an hour somebody is called.',
          'none',
          {
            'within 500 ms, {{source}}': top(`${badShare('delivery_fast', '1h')}${here} / <deliveryFast.critical>`),
            'within 2 s, {{source}}': top(`${badShare('delivery_slow', '1h')}${here} / <deliverySlow.critical>`),
            'no 5xx, {{source}}': top(`${badShare('requests', '1h')}${here} / <requestErrors.critical>`),
          },
          { steps: stepsOf('burnRate') },
        ),
        lines(
          'Delivery latency',
          'From a commit until the answer to a waiting client was written, all sources together.',
          'ms',
          {
            'half below': quantile(0.5, latency, WINDOW, [], OF_SOURCES),
            '95 of 100 below': quantile(0.95, latency, WINDOW, [], OF_SOURCES),
            '99 of 100 below': quantile(0.99, latency, WINDOW, [], OF_SOURCES),
          },
        ),
        lines(
          'Requests',
          'Requests for shapes, by status.',
          'reqps',
          { '{{status}}': sumBy(['status'], rate(requests, WINDOW, OF_SOURCES)) },
          { stacked: true },
        ),
      ],
    },
    {
      title: 'Sources',
      panels: [
        table(
          'Sources',
          'One line for each. The dashboard of a source says more.',
          ['namespace', 'source'],
          [
            { title: 'leaders', unit: 'none', expr: leaders },
            {
              title: 'changes',
              unit: 'ops',
              expr: sumBy(['namespace', 'source'], rate('shapecast.replicator.changes.count', '5m', OF_SOURCES)),
            },
            {
              title: 'requests',
              unit: 'reqps',
              expr: sumBy(['namespace', 'source'], rate(requests, '5m', OF_SOURCES)),
            },
            {
              title: 'lag',
              unit: 's',
              expr: maxBy(['namespace', 'source'], gauge('shapecast.router.lag.seconds', OF_SOURCES)),
            },
            {
              title: 'shapes',
              unit: 'none',
              expr: sumBy(['namespace', 'source'], gauge('electric.shapes.total_shapes.count', OF_SOURCES)),
            },
            {
              title: 'waiting',
              unit: 'none',
              expr: sumBy(['namespace', 'source'], gauge('shapecast.api.waiting_requests', OF_SOURCES)),
            },
            {
              title: 'WAL kept',
              unit: 'bytes',
              expr: maxBy(
                ['namespace', 'source'],
                gauge('electric.postgres.replication.slot_retained_wal_size', OF_SOURCES),
              ),
            },
            {
              title: 'stream',
              unit: 'bytes',
              expr: maxBy(['namespace', 'source'], gauge('shapecast.stream.bytes', OF_SOURCES)),
            },
            {
              title: 'in Redis',
              unit: 'bytes',
              expr: sumBy(['namespace', 'source'], gauge('electric.storage.used.bytes', OF_SOURCES)),
            },
          ],
        ),
        lines('Most changes', 'Row changes that were read from Postgres.', 'ops', {
          '{{source}}': top(sumBy(['source'], rate('shapecast.replicator.changes.count', WINDOW, OF_SOURCES))),
        }),
        lines(
          'Furthest behind',
          'Age of the oldest transaction that a shard has not applied.',
          's',
          { '{{source}}': top(maxBy(['source'], gauge('shapecast.router.lag.seconds', OF_SOURCES))) },
          { steps: stepsOf('routerLagSeconds') },
        ),
        lines(
          'Most WAL kept',
          'As a share of what Postgres keeps at most.',
          'percentunit',
          { '{{source}}': top(`${recordedWal()}${here}`) },
          { steps: stepsOf('walRetained') },
        ),
        lines('Most requests', 'Requests for shapes.', 'reqps', {
          '{{source}}': top(sumBy(['source'], rate(requests, WINDOW, OF_SOURCES))),
        }),
        lines('Most readers', 'Requests that wait for news, event streams included.', 'none', {
          '{{source}}': top(
            `${sumBy(['source'], gauge('shapecast.api.waiting_requests', OF_SOURCES))} + ${sumBy(['source'], gauge('shapecast.api.active_streams', OF_SOURCES))}`,
          ),
        }),
        lines('Shapes that end', 'Without being asked to, by reason. Their readers start over.', 'cps', {
          '{{source}}: {{reason}}': top(
            sumBy(['source', 'reason'], rate('shapecast.shapes.rotated.count', WINDOW, OF_SOURCES)),
          ),
        }),
      ],
    },
    ...PROCESS_ROWS,
    ...SERVER_ROWS,
  ],
};
