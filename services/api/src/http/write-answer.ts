import { formatOffset } from '@shapecast/log';
import {
  MUST_REFETCH_MESSAGE,
  cacheControl,
  nextCursor,
  type CacheKind,
  type CacheOptions,
  type HeaderList,
  type ShapeRequest,
} from '@shapecast/protocol';
import { wallTime, type Clock } from '@shapecast/service-kit';
import type { Answer, Failure, ShapeTarget } from '../answers.ts';
import type { Body } from '../shapes/body.ts';
import { lagOf, serverTiming, type News } from '../telemetry/news.ts';
import type { Exchange } from './exchange.ts';

const JSON_TYPE: HeaderList = ['content-type', 'application/json; charset=utf-8'];
const COMMA = Buffer.from(',');
const REFETCH_BODY = [Buffer.from(`[${MUST_REFETCH_MESSAGE}]`)];

export interface WriteOptions extends CacheOptions {
  readonly longPollTimeoutMs: number;
  /** Live answers with news say how old these are (`server-timing`). */
  readonly lagHeader: boolean;
  readonly clock: Clock;
}

/** Writes an answer with the headers of its status (spec H 19 to 21). Event streams are written elsewhere. */
export async function writeAnswer(
  exchange: Exchange,
  request: ShapeRequest,
  answer: Exclude<Answer, { kind: 'events' }>,
  options: WriteOptions,
): Promise<void> {
  switch (answer.kind) {
    case 'failure':
      return writeFailure(exchange, answer);
    case 'refetch':
      return writeRefetch(exchange, answer.handle, options);
    case 'not-modified': {
      const headers = [
        ...JSON_TYPE,
        ...shapeHeaders(exchange, request, answer.target, formatOffset(answer.end), options),
        ...etag(answer.etag),
        ...hasData(true),
        ...upToDate(answer.upToDate),
      ];
      return exchange.reply(304, headers);
    }
    case 'log': {
      exchange.empty = !answer.hasData;
      const headers = [
        ...JSON_TYPE,
        ...shapeHeaders(
          exchange,
          request,
          answer.target,
          formatOffset(answer.end),
          options,
          logCacheKind(exchange, request, answer),
        ),
        ...description(request, answer.target),
        ...etag(answer.etag),
        ...hasData(answer.hasData),
        ...upToDate(answer.upToDate),
      ];
      return answer.news === undefined
        ? writeBody(exchange, headers, answer.body)
        : writeNews(exchange, headers, answer.body, answer.news, options);
    }
    case 'snapshot': {
      const headers = [
        ...JSON_TYPE,
        ...shapeHeaders(exchange, request, answer.target, formatOffset(answer.end), options),
        ...description(request, answer.target),
        ...etag(answer.etag),
        ...hasData(true),
      ];
      return writeBody(exchange, headers, answer.body);
    }
    case 'subset':
      return writeSubset(exchange, request, answer);
  }
}

/** Headers of every 200 and 304 that belongs to a shape (RH-2, RH-3). */
export function shapeHeaders(
  exchange: Exchange,
  request: ShapeRequest,
  target: ShapeTarget,
  offset: string,
  options: WriteOptions,
  kind = cacheKind(request),
): HeaderList {
  const headers = ['electric-handle', target.handle, 'electric-offset', offset];
  headers.push('cache-control', cache(exchange, kind, options));
  if (request.live) {
    const { clock, longPollTimeoutMs } = options;
    headers.push('electric-cursor', nextCursor(wallTime(clock), longPollTimeoutMs, request.cursor, clock.random()));
  }
  return headers;
}

/** `whenPosted` is the `cache-control` of an answer to POST and DELETE: QP-11 has one exception. */
export function writeFailure(
  exchange: Exchange,
  failure: Failure,
  whenPosted: 'no-cache' | 'no-store' = 'no-cache',
): Promise<void> {
  exchange.knownError = failure.known === true;
  const reading = exchange.method === 'GET' || exchange.method === 'HEAD';
  const headers = [
    ...JSON_TYPE,
    // Caches that serialise requests must not queue them behind an error; nginx reads this one only if it comes first.
    ...(reading ? ['x-accel-expires', '1'] : []),
    'cache-control',
    reading ? 'no-store' : whenPosted,
    ...(reading ? ['surrogate-control', 'no-store'] : []),
    ...(failure.retryAfter === undefined ? [] : ['retry-after', String(failure.retryAfter)]),
    ...(failure.known === true ? ['electric-internal-known-error', 'true'] : []),
  ];
  return exchange.reply(failure.status, headers, failure.body);
}

function writeRefetch(exchange: Exchange, handle: string | undefined, options: WriteOptions): Promise<void> {
  const named = handle === undefined ? [] : ['electric-handle', handle, ...etag(`"${handle}::"`)];
  const kind = handle === undefined ? 'gone' : 'redirect';
  return exchange.reply(409, [...JSON_TYPE, ...named, 'cache-control', cache(exchange, kind, options)], REFETCH_BODY);
}

/** What is there goes out as it is, with its length; the rest as it comes, no faster than the client takes it (RT-8). */
async function writeBody(exchange: Exchange, headers: HeaderList, body: Body): Promise<void> {
  try {
    if (body.whole !== undefined) return await exchange.reply(200, headers, body.whole);
    exchange.open(200, headers);
    if (exchange.method === 'HEAD') return exchange.end();
    for await (const piece of body.pieces()) await exchange.write(piece);
    exchange.end();
  } finally {
    body.release();
  }
}

/** To a live request. What is in one piece is as good as written when it begins; otherwise the end of it counts. */
async function writeNews(
  exchange: Exchange,
  headers: HeaderList,
  body: Body,
  news: News,
  { lagHeader, clock }: WriteOptions,
): Promise<void> {
  const now = clock.now();
  const begun = lagOf(news, now, wallTime(clock), exchange.began);
  const timed = lagHeader && begun !== undefined ? [...headers, 'server-timing', serverTiming(begun)] : headers;
  if (body.whole !== undefined) {
    exchange.telemetry?.told(news, begun, now);
    return writeBody(exchange, timed, body);
  }
  await writeBody(exchange, timed, body);
  const over = clock.now();
  exchange.telemetry?.told(news, lagOf(news, over, wallTime(clock), exchange.began), over);
}

/** An object of metadata and rows, as they arrive. No cache may keep it, and it says nothing about the log's end (SU-9). */
async function writeSubset(
  exchange: Exchange,
  request: ShapeRequest,
  { target, offset, subset }: Extract<Answer, { kind: 'subset' }>,
): Promise<void> {
  try {
    exchange.open(200, [
      ...JSON_TYPE,
      'electric-snapshot',
      'true',
      'electric-handle',
      target.handle,
      'electric-offset',
      formatOffset(offset),
      ...description(request, target),
      'cache-control',
      'no-cache',
    ]);
    if (exchange.method === 'HEAD') return exchange.end();
    let before = Buffer.concat([Buffer.from('{"metadata":'), subset.metadata, Buffer.from(',"data":[')]);
    for await (const rows of subset.rows) {
      await exchange.write(before);
      await exchange.write(rows);
      before = COMMA;
    }
    await exchange.write(before === COMMA ? ']}' : Buffer.concat([before, Buffer.from(']}')]));
    exchange.end();
  } finally {
    await subset.close();
  }
}

function cacheKind(request: ShapeRequest): CacheKind {
  if (request.live) return request.sse ? 'sse' : 'live';
  return request.offset !== 'now' && request.offset.tx === -1n ? 'initial' : 'catch-up';
}

/** No news from a pod that stops may have come early (deployment H30). */
function logCacheKind(
  exchange: Exchange,
  request: ShapeRequest,
  { hasData }: { readonly hasData: boolean },
): CacheKind {
  return request.live && !hasData && exchange.closing ? 'drained' : cacheKind(request);
}

function cache(exchange: Exchange, kind: CacheKind, options: CacheOptions): string {
  return exchange.method === 'POST' ? 'no-cache' : cacheControl(kind, options);
}

/** What the shape is; clients that follow it know that already. */
function description(request: ShapeRequest, { shape, schema }: ShapeTarget): HeaderList {
  if (request.live) return [];
  const { whereIndex } = shape;
  return [
    'electric-schema',
    schema ?? shape.schema,
    ...(whereIndex === undefined ? [] : ['electric-where-index', whereIndex]),
  ];
}

function etag(tag: string): HeaderList {
  return ['etag', tag];
}

function hasData(value: boolean): HeaderList {
  return ['electric-has-data', String(value)];
}

function upToDate(value: boolean): HeaderList {
  return value ? ['electric-up-to-date', ''] : [];
}
