import { counter, gauge, highest, histogram, type MetricDefinition } from '../definition.ts';

const R = ['api'] as const;

/** What API pods have: requests, and what they wait for. */
export const API_METRICS = {
  'electric.plug.serve_shape.duration': histogram(
    R,
    'ms',
    ['source'],
    'Answering a request that is not live, from its arrival until its last byte was taken',
  ),
  'electric.plug.serve_shape.count': counter(
    R,
    '{request}',
    ['source'],
    'Requests for shapes that were answered, well or not',
  ),
  'electric.plug.serve_shape.bytes': counter(
    R,
    'By',
    ['source'],
    'Bytes of answers to requests for shapes, without their heads',
  ),
  'electric.plug.serve_shape.requests.count': counter(
    R,
    '{request}',
    ['source', 'status', 'known_error', 'live', 'empty'],
    'Requests for shapes by how they were answered; status is aborted when the client left before, cut when an answer broke off on our side',
  ),
  'electric.shape.response_size.bytes': histogram(
    R,
    'bytes',
    ['source', 'live'],
    'Bytes of an answer, without its head',
  ),
  'electric.shapes.active_shapes.count': gauge(
    R,
    '{shape}',
    ['source'],
    'Shapes that somebody waits for, or read within the last minute, in this pod',
  ),
  'electric.admission_control.acquire.current': gauge(
    R,
    '{request}',
    ['kind'],
    'Requests in progress: initial or existing',
  ),
  'electric.admission_control.acquire.limit': gauge(R, '{request}', ['kind'], 'Requests that may be in progress'),
  'electric.admission_control.reject.count': counter(
    R,
    '{request}',
    ['source', 'kind'],
    'Requests answered 503 because too many were in progress',
  ),
  'electric.admission_control.reject.limit': gauge(R, '{request}', ['kind'], 'Limit that the refused requests met'),
  'shapecast.api.waiting_requests': gauge(R, '{request}', ['source'], 'Requests that wait for news'),
  'shapecast.api.active_streams': gauge(R, '{request}', ['source'], 'Event streams (SSE) that are open'),
  'shapecast.api.connections': gauge(R, '{connection}', [], 'Connections of clients'),
  'shapecast.api.connections.limit': gauge(R, '{connection}', [], 'Connections that the pod takes'),
  'shapecast.api.coalesced.count': counter(
    R,
    '{request}',
    ['source'],
    'Requests that were answered from the read of another one that asked for the same',
  ),
  'shapecast.api.notify_to_response': histogram(
    R,
    'ms',
    ['source'],
    'From the news of an entry until the answer to a request that waited for it was written',
  ),
  'shapecast.api.wakeups.count': counter(
    R,
    '1',
    ['source', 'cause'],
    'Requests that waited, by what woke them: notification, poll (news that only polling found) or timeout',
  ),
  'shapecast.api.poll_recovered.count': counter(
    R,
    '1',
    ['source'],
    'News that only polling found, because their notification was lost',
  ),
  'shapecast.api.poll.duration': histogram(
    R,
    'ms',
    ['source', 'outcome'],
    'How long a live request was held, by how that ended: data, timeout, drain, aborted, or ended with its shape or source; a stream is held anew after each batch',
  ),
  'shapecast.api.must_refetch.count': counter(
    R,
    '{request}',
    ['source'],
    'Requests answered 409: their shape was rotated',
  ),
  'shapecast.api.denied.count': counter(
    R,
    '{request}',
    ['source', 'reason'],
    'Requests refused because of their secret, token, grant, or keys that could not be loaded',
  ),
  'shapecast.api.chunk_cache.count': counter(R, '1', ['outcome'], 'Looks into the cache of chunks: hit or miss'),
  'shapecast.api.chunk_cache.bytes': gauge(R, 'By', [], 'Bytes in the cache of chunks'),
  'shapecast.api.stale_sources': gauge(
    R,
    '1',
    ['source'],
    '1 while answers may be stale because nothing is heard of the source',
  ),
  'shapecast.e2e.commit_to_visible': histogram(
    R,
    'ms',
    ['source'],
    'From a commit in Postgres until an API pod with readers that wait for it could serve it',
  ),
  'shapecast.api.delivery.latency': histogram(
    R,
    'ms',
    ['source'],
    'From a commit in Postgres until a client that waited for it was told; the time in which a client was away does not count',
  ),
  'shapecast.e2e.stage': histogram(
    ['replicator', 'router', 'api'],
    'ms',
    ['source', 'stage'],
    'Part of the delivery latency: publish (until in the tx stream), apply (until visible in the store), serve (until answered)',
  ),
  'shapecast.e2e.lag': highest(
    ['replicator', 'router', 'api'],
    'ms',
    ['source', 'stage'],
    'Highest of the last ten seconds, by stage: publish, apply, serve, and total',
  ),
} as const satisfies Readonly<Record<string, MetricDefinition>>;
