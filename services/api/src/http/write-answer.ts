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
import type { Clock } from '@shapecast/service-kit';
import type { Answer, Failure, ShapeTarget } from '../answers.ts';
import { answerBody } from '../live/log-answer.ts';
import type { Exchange } from './exchange.ts';

const JSON_TYPE: HeaderList = ['content-type', 'application/json; charset=utf-8'];
const REFETCH_BODY = Buffer.from(`[${MUST_REFETCH_MESSAGE}]`);

export interface WriteOptions extends CacheOptions {
  readonly longPollTimeoutMs: number;
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
        ...shapeHeaders(exchange, request, answer.target, formatOffset(answer.end), options),
        ...etag(answer.etag),
        ...hasData(true),
        ...upToDate(answer.upToDate),
      ];
      return exchange.reply(304, headers);
    }
    case 'log': {
      const headers = [
        ...JSON_TYPE,
        ...shapeHeaders(exchange, request, answer.target, formatOffset(answer.answer.end), options),
        ...description(request, answer.target),
        ...etag(answer.etag),
        ...hasData(answer.hasData),
        ...upToDate(answer.answer.upToDate),
      ];
      return exchange.reply(200, headers, answerBody(answer.answer));
    }
    case 'snapshot': {
      const headers = [
        ...JSON_TYPE,
        ...shapeHeaders(exchange, request, answer.target, formatOffset(answer.end), options),
        ...description(request, answer.target),
        ...etag(answer.etag),
        ...hasData(true),
      ];
      return writePieces(exchange, headers, answer.pieces);
    }
  }
}

/** Headers of every 200 and 304 that belongs to a shape (RH-2, RH-3). */
export function shapeHeaders(
  exchange: Exchange,
  request: ShapeRequest,
  target: ShapeTarget,
  offset: string,
  options: WriteOptions,
): HeaderList {
  const headers = ['electric-handle', target.handle, 'electric-offset', offset];
  headers.push('cache-control', cache(exchange, cacheKind(request), options));
  if (request.live) {
    const { clock, longPollTimeoutMs } = options;
    headers.push('electric-cursor', nextCursor(clock.now(), longPollTimeoutMs, request.cursor, clock.random()));
  }
  return headers;
}

export function writeFailure(exchange: Exchange, failure: Failure): Promise<void> {
  const reading = exchange.method === 'GET' || exchange.method === 'HEAD';
  const headers = [
    ...JSON_TYPE,
    // Caches that serialise requests must not queue them behind an error; nginx reads this one only if it comes first.
    ...(reading ? ['x-accel-expires', '1'] : []),
    'cache-control',
    reading ? 'no-store' : 'no-cache',
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

async function writePieces(
  exchange: Exchange,
  headers: HeaderList,
  pieces: AsyncIterable<Uint8Array> | readonly Uint8Array[],
): Promise<void> {
  if (Array.isArray(pieces)) return exchange.reply(200, headers, Buffer.concat(bracketed(pieces)));
  exchange.open(200, headers);
  if (exchange.method === 'HEAD') return exchange.end();
  let opening = '[';
  for await (const piece of pieces) {
    await exchange.write(opening);
    await exchange.write(piece);
    opening = ',';
  }
  await exchange.write(opening === '[' ? '[]' : ']');
  exchange.end();
}

function bracketed(pieces: readonly Uint8Array[]): Uint8Array[] {
  const comma = Buffer.from(',');
  const parts: Uint8Array[] = [Buffer.from('[')];
  for (const [index, piece] of pieces.entries()) {
    if (index > 0) parts.push(comma);
    parts.push(piece);
  }
  parts.push(Buffer.from(']'));
  return parts;
}

function cacheKind(request: ShapeRequest): CacheKind {
  if (request.live) return request.sse ? 'sse' : 'live';
  return request.offset !== 'now' && request.offset.tx === -1n ? 'initial' : 'catch-up';
}

function cache(exchange: Exchange, kind: CacheKind, options: CacheOptions): string {
  return exchange.method === 'POST' ? 'no-cache' : cacheControl(kind, options);
}

/** What the shape is; clients that follow it know that already. */
function description(request: ShapeRequest, { shape }: ShapeTarget): HeaderList {
  if (request.live) return [];
  const { schema, whereIndex } = shape;
  return ['electric-schema', schema, ...(whereIndex === undefined ? [] : ['electric-where-index', whereIndex])];
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
