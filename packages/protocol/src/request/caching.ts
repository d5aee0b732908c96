import { formatOffset, type LogOffset } from '@shapecast/log';

/** What an answer is, as far as caches are concerned (spec H 20.1). */
export type CacheKind = 'initial' | 'catch-up' | 'live' | 'drained' | 'sse' | 'redirect' | 'gone' | 'error';

export interface CacheOptions {
  /** Seconds: `ELECTRIC_CACHE_MAX_AGE`. */
  readonly maxAge: number;
  /** Seconds: `ELECTRIC_CACHE_STALE_AGE`. */
  readonly staleAge: number;
  /** Lifetime of an event stream in milliseconds. */
  readonly sseTimeoutMs: number;
}

/** The `cache-control` of an answer to GET or HEAD; POST and DELETE always have `no-cache`. */
export function cacheControl(kind: CacheKind, options: CacheOptions): string {
  switch (kind) {
    case 'initial':
      return 'public, max-age=604800, s-maxage=3600, stale-while-revalidate=2629746';
    case 'catch-up':
      return `public, max-age=${options.maxAge}, stale-while-revalidate=${options.staleAge}`;
    case 'live':
      return 'public, max-age=5, stale-while-revalidate=5';
    // A live request that was answered early because the pod stops: a cache lets it go by soon, and still collapses the crowd.
    case 'drained':
      return 'public, max-age=1';
    case 'sse':
      return `public, max-age=${Math.max(1, Math.floor(options.sseTimeoutMs / 1000) - 1)}`;
    case 'redirect':
      return 'public, max-age=60, must-revalidate';
    case 'gone':
      return 'public, max-age=1, must-revalidate';
    case 'error':
      return 'no-store';
  }
}

/**
 * The strong tag of a log answer (CA-1). `unique` is a fourth part for answers without news, which must never be
 * revalidated into an endless loop (CA-3).
 */
export function entityTag(handle: string, requested: LogOffset | 'now', end: LogOffset, unique?: string): string {
  const from = requested === 'now' ? 'now' : formatOffset(requested);
  const tag = `${handle}:${from}:${formatOffset(end)}`;
  return unique === undefined ? `"${tag}"` : `"${tag}:${unique}"`;
}

/** Whether an `if-none-match` list names the tag (CA-2). */
export function matchesTag(ifNoneMatch: string | undefined, tag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  const bare = tag.slice(1, -1);
  return ifNoneMatch.split(',').some((candidate) => candidate.trim().replace(/^"|"$/g, '') === bare);
}

/** 2024-10-09T00:00:00Z in seconds: the protocol counts cursors from here. */
const CURSOR_EPOCH_S = 1_728_432_000;

/**
 * The next `electric-cursor` (CA-5): the end of the current long-poll interval, or the request's own cursor plus 1 to
 * 3,600 when that is not smaller. `random` is in [0, 1).
 */
export function nextCursor(nowMs: number, longPollTimeoutMs: number, cursor: string, random: number): string {
  const interval = Math.floor(longPollTimeoutMs / 1000);
  if (interval === 0) return '0';
  const elapsed = nowMs / 1000 - CURSOR_EPOCH_S;
  const next = BigInt(Math.max(0, Math.ceil(elapsed / interval) * interval));
  const known = /^\d{1,64}$/.test(cursor) ? BigInt(cursor) : 0n;
  return String(next > known ? next : known + 1n + BigInt(Math.floor(random * 3600)));
}
