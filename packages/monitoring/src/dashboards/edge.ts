import { gauge, mean, maxBy, observations, quantile, rate, sumBy } from '../promql/select.ts';
import { HERE, OF_SOURCES, WINDOW, type Dashboard } from './dashboard.ts';
import { figure, lines, stepsOf } from './panel.ts';

const requests = 'electric.plug.serve_shape.requests.count';
const latency = 'shapecast.api.delivery.latency';
const bySource = OF_SOURCES;

/** What clients get, pod by pod: requests, waits, caches, and how much more fits. */
export const EDGE: Dashboard = {
  file: 'edge',
  title: 'Shapecast / Edge',
  description: 'API pods: requests, statuses, caches, delivery, connections and admission.',
  sources: 'many',
  rows: [
    {
      title: 'Now',
      panels: [
        figure('Requests', 'Per second, all pods.', 'reqps', sumBy([], rate(requests, '5m', bySource))),
        figure(
          '5xx',
          'Share of requests.',
          'percentunit',
          `(${sumBy([], rate(requests, '5m', { ...bySource, status: '=~5..|cut' }))} or vector(0)) / ${sumBy([], rate(requests, '5m', bySource))}`,
          { steps: [{ from: 0.001, colour: 'red' }] },
        ),
        figure(
          '409',
          'Share of requests whose shape was rotated.',
          'percentunit',
          `${sumBy([], rate('shapecast.api.must_refetch.count', '5m', bySource))} / ${sumBy([], rate(requests, '5m', bySource))}`,
        ),
        figure(
          'Waiting',
          'Requests that wait for news, event streams included.',
          'none',
          `${sumBy([], gauge('shapecast.api.waiting_requests', bySource))} + ${sumBy([], gauge('shapecast.api.active_streams', bySource))}`,
        ),
        figure(
          'Fullest pod',
          'Connections as a share of what it takes.',
          'percentunit',
          `max(${sumBy(['pod'], gauge('shapecast.api.connections', HERE))} / (${sumBy(['pod'], gauge('shapecast.api.connections.limit', HERE))} > 0))`,
          { steps: stepsOf('capacity') },
        ),
        figure(
          'Out',
          'Bytes of answers per second.',
          'Bps',
          sumBy([], rate('electric.plug.serve_shape.bytes', '5m', bySource)),
        ),
      ],
    },
    {
      title: 'Requests',
      panels: [
        lines(
          'By status',
          'Requests for shapes.',
          'reqps',
          { '{{status}}': sumBy(['status'], rate(requests, WINDOW, bySource)) },
          { stacked: true },
        ),
        lines(
          'Live and not',
          'Live requests wait for news; empty ones were answered without.',
          'reqps',
          { 'live {{live}}, empty {{empty}}': sumBy(['live', 'empty'], rate(requests, WINDOW, bySource)) },
          { stacked: true },
        ),
        lines('Errors', 'Answers 4xx and 5xx; known ones have a code of ours.', 'reqps', {
          '{{status}}, known {{known_error}}': sumBy(
            ['status', 'known_error'],
            rate(requests, WINDOW, { ...bySource, status: '=~[45]..' }),
          ),
        }),
        lines(
          'How long',
          'Requests that are not live, from their head to the last byte.',
          'ms',
          {
            'half below': quantile(0.5, 'electric.plug.serve_shape.duration', WINDOW, [], bySource),
            '95 of 100 below': quantile(0.95, 'electric.plug.serve_shape.duration', WINDOW, [], bySource),
            '99 of 100 below': quantile(0.99, 'electric.plug.serve_shape.duration', WINDOW, [], bySource),
          },
          { steps: [{ from: 200, colour: 'yellow' }] },
        ),
        lines('Size of answers', '95 of 100 below.', 'bytes', {
          'live {{live}}': quantile(0.95, 'electric.shape.response_size.bytes', WINDOW, ['live'], bySource),
        }),
        lines(
          'By pod',
          'Requests that were answered.',
          'reqps',
          { '{{pod}}': sumBy(['pod'], rate('electric.plug.serve_shape.count', WINDOW, bySource)) },
          { stacked: true },
        ),
      ],
    },
    {
      title: 'Delivery',
      panels: [
        lines(
          'From commit to client',
          'Until the answer to a waiting client was written.',
          'ms',
          {
            'half below': quantile(0.5, latency, WINDOW, [], bySource),
            '95 of 100 below': quantile(0.95, latency, WINDOW, [], bySource),
            '99 of 100 below': quantile(0.99, latency, WINDOW, [], bySource),
          },
          {
            steps: [
              { from: 500, colour: 'yellow' },
              { from: 2_000, colour: 'red' },
            ],
          },
        ),
        lines('From news to answer', 'From the hint that there is an entry until the answer was written.', 'ms', {
          'half below': quantile(0.5, 'shapecast.api.notify_to_response', WINDOW, [], bySource),
          '99 of 100 below': quantile(0.99, 'shapecast.api.notify_to_response', WINDOW, [], bySource),
        }),
        lines(
          'Deliveries',
          'Changes told to waiting clients.',
          'ops',
          { '{{pod}}': sumBy(['pod'], observations(latency, WINDOW, bySource)) },
          { stacked: true },
        ),
        lines('How long requests wait', 'Mean by how the wait ended: data, timeout, drain or aborted.', 'ms', {
          '{{outcome}}': mean('shapecast.api.poll.duration', WINDOW, ['outcome'], bySource),
        }),
        lines('Ends of waits', 'By cause; poll is news whose hint was lost.', 'cps', {
          '{{cause}}': sumBy(['cause'], rate('shapecast.api.wakeups.count', WINDOW, bySource)),
        }),
        lines(
          'Lost hints',
          'Share of news that only polling found.',
          'percentunit',
          {
            share: `${sumBy([], rate('shapecast.api.poll_recovered.count', WINDOW, bySource))} / (${sumBy([], rate('shapecast.api.wakeups.count', WINDOW, { ...bySource, cause: '!=timeout' }))} > 0)`,
          },
          { steps: stepsOf('notificationLoss') },
        ),
      ],
    },
    {
      title: 'Caches',
      panels: [
        lines('Shared work', 'Requests that shared the work of another one that asked for the same.', 'reqps', {
          shared: sumBy([], rate('shapecast.api.coalesced.count', WINDOW, bySource)),
        }),
        lines(
          'Cache of chunks',
          'Share of looks that found the chunk.',
          'percentunit',
          {
            '{{pod}}': `${sumBy(['pod'], rate('shapecast.api.chunk_cache.count', WINDOW, { ...HERE, outcome: '=hit' }))} / (${sumBy(['pod'], rate('shapecast.api.chunk_cache.count', WINDOW, HERE))} > 0)`,
          },
          { max: 1 },
        ),
        lines('Size of the cache', 'Bytes of chunks.', 'bytes', {
          '{{pod}}': maxBy(['pod'], gauge('shapecast.api.chunk_cache.bytes', HERE)),
        }),
      ],
    },
    {
      title: 'Room',
      panels: [
        lines('Connections', 'Of clients, by pod, and what one pod takes.', 'none', {
          '{{pod}}': sumBy(['pod'], gauge('shapecast.api.connections', HERE)),
          'one pod at most': `min(${gauge('shapecast.api.connections.limit', HERE)})`,
        }),
        lines(
          'Requests in progress',
          'As a share of what a pod takes at a time: those that begin a shape (initial), those that read on (existing).',
          'percentunit',
          {
            '{{kind}}, {{pod}}': `${sumBy(['pod', 'kind'], gauge('electric.admission_control.acquire.current', HERE))} / (${sumBy(['pod', 'kind'], gauge('electric.admission_control.acquire.limit', HERE))} > 0)`,
          },
          { steps: stepsOf('capacity'), max: 1 },
        ),
        lines('Refused as too many', 'Answered 503 with Retry-After, and the limit that they met.', 'reqps', {
          '{{kind}}': sumBy(['kind'], rate('electric.admission_control.reject.count', WINDOW, bySource)),
          'limit of {{kind}}': maxBy(['kind'], gauge('electric.admission_control.reject.limit', HERE)),
        }),
        lines('Not let in', 'By reason: wrong secret, token or grant.', 'reqps', {
          '{{reason}}': sumBy(['reason'], rate('shapecast.api.denied.count', WINDOW, bySource)),
        }),
        lines('Quotas', 'Requests refused because of a limit of the source, by axis.', 'reqps', {
          '{{source}}: {{axis}}': `topk(10, ${sumBy(['source', 'axis'], rate('shapecast.tenant.refused.count', WINDOW, bySource))})`,
        }),
        lines(
          'Event loop',
          'Delay in the last ten seconds; 99 of 100 were shorter.',
          's',
          { '{{pod}}': maxBy(['pod'], gauge('nodejs.eventloop.delay.p99', { ...HERE, job: '=~.*api.*' })) },
          { steps: stepsOf('eventLoopDelay') },
        ),
      ],
    },
  ],
};
