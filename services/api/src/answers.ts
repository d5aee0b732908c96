import { ERRORS, isShapecastError, type ErrorCode } from '@shapecast/errors';
import type { LogOffset } from '@shapecast/log';
import { RESTRICTED, invalidRequestBody, type FieldErrors } from '@shapecast/protocol';
import type { ShapeFailure, ShardId } from '@shapecast/shape-store';
import type { Body } from './shapes/body.ts';
import type { RequestedShape } from './shapes/definitions.ts';
import type { OpenSubset } from './subset/subset-source.ts';
import type { News } from './telemetry/news.ts';

/** One handle of one shape, and where it is stored. */
export interface ShapeTarget {
  readonly shape: RequestedShape;
  readonly shard: ShardId;
  readonly handle: string;
  /** Value of `electric-schema`, where it is another one than the shape's. */
  readonly schema?: string;
}

/** What a request to read a shape comes to. The HTTP layer writes it; nothing here knows of sockets. */
export type Answer =
  | Failure
  /** 409: the named handle, or none when no successor is known (HD-6, HD-7). */
  | { readonly kind: 'refetch'; readonly handle?: string }
  | {
      readonly kind: 'log';
      readonly target: ShapeTarget;
      /** `electric-offset`. */
      readonly end: LogOffset;
      readonly upToDate: boolean;
      readonly etag: string;
      /** JSON. Whoever writes it releases it. */
      readonly body: Body;
      /** `electric-has-data` (RH-5). */
      readonly hasData: boolean;
      /** Of an answer to a live request: what is measured of its entries. */
      readonly news?: News | undefined;
    }
  | {
      readonly kind: 'snapshot';
      readonly target: ShapeTarget;
      readonly end: LogOffset;
      readonly etag: string;
      /** JSON of the chunk. Whoever writes it releases it. */
      readonly body: Body;
    }
  | {
      readonly kind: 'not-modified';
      readonly target: ShapeTarget;
      readonly end: LogOffset;
      readonly upToDate: boolean;
      readonly etag: string;
    }
  /** A subset snapshot (spec H 13); whoever writes it closes it. */
  | { readonly kind: 'subset'; readonly target: ShapeTarget; readonly offset: LogOffset; readonly subset: OpenSubset }
  /** An event stream that starts at `offset`. */
  | { readonly kind: 'events'; readonly target: ShapeTarget; readonly offset: LogOffset; readonly upToDate: boolean };

export interface Failure {
  readonly kind: 'failure';
  readonly status: number;
  readonly body: string;
  /** Seconds. */
  readonly retryAfter?: number;
  /** `electric-internal-known-error`. */
  readonly known?: boolean;
}

export function invalid(errors: FieldErrors): Failure {
  const restricted = errors[RESTRICTED];
  if (Array.isArray(restricted)) return forbidden(restricted.join(' '));
  return { kind: 'failure', status: 400, body: invalidRequestBody(errors) };
}

/** The client's token is good, but not for this. */
export function forbidden(reason: string): Failure {
  return { kind: 'failure', status: 403, body: JSON.stringify({ code: 'forbidden', message: forbiddenText(reason) }) };
}

export function forbiddenText(reason: string): string {
  return `Forbidden - ${reason}`;
}

/** `code` is for programs. */
export function unavailable(message: string, retryAfter: number, known = false, code?: string): Failure {
  return { kind: 'failure', status: 503, body: JSON.stringify({ code, message }), retryAfter, known };
}

/** Nobody who may ask. */
export function rejected(status: 401, message: string): Failure {
  return { kind: 'failure', status, body: JSON.stringify({ message }) };
}

export const INTERNAL_ERROR: Failure = {
  kind: 'failure',
  status: 500,
  body: JSON.stringify({ error: 'Internal server error' }),
};

/** The catalog cannot be asked (spec H 21.2). */
export function catalogFailure(cause: unknown): Failure {
  if (isShapecastError(cause, 'SOURCE_MISCONFIGURED')) return unavailable(cause.message, 10, true);
  return unavailable('Cannot connect to the database to verify the shape. Please try again later.', 1);
}

/** Nothing changes about the limit by itself, but shapes may end. */
const SCAN_LIMIT_RETRY_S = 60;

/** A table does not shrink in seconds (spec O 3.4). */
const TOO_LARGE_RETRY_S = 600;

/** What ends to make room is deleted only after a while. */
const STORE_FULL_RETRY_S = 30;
const DRAINING_RETRY_S = 30;

/** Why a shape died before it could be read (spec H 21.2, ER-5). */
export function creationFailure(failure: ShapeFailure | undefined): Answer {
  const spec = failure === undefined ? undefined : ERRORS[failure.code as ErrorCode];
  if (failure === undefined || spec?.status === 409) return { kind: 'refetch' };
  if (failure.code === 'SCAN_LIMIT_EXCEEDED') {
    const body = JSON.stringify({ code: 'scan_limit_exceeded', message: failure.message });
    return { kind: 'failure', status: 503, body, retryAfter: SCAN_LIMIT_RETRY_S, known: true };
  }
  if (failure.code === 'SOURCE_FULL') return unavailable(failure.message, STORE_FULL_RETRY_S, true, 'source_full');
  if (failure.code === 'SOURCE_DRAINING')
    return unavailable(failure.message, DRAINING_RETRY_S, true, 'source_draining');
  if (failure.code === 'SNAPSHOT_TOO_LARGE') return unavailable(failure.message, TOO_LARGE_RETRY_S, true);
  if (spec?.status === 503) return unavailable(failure.message, 10, true);
  if (spec?.status === 400) return invalid({ where: [failure.message] });
  return {
    kind: 'failure',
    status: 500,
    body: JSON.stringify({ message: `Unexpected error while creating snapshot: ${failure.message}` }),
  };
}

/** An error that reached the top: what may be told, and nothing internal (ER-1). */
export function failureOf(error: unknown): Failure {
  if (!isShapecastError(error)) return INTERNAL_ERROR;
  if (error.code === 'STORE_UNAVAILABLE') return unavailable('Timeout waiting for shape data to be loaded', 5);
  if (error.code === 'STORE_FULL') return unavailable(error.message, STORE_FULL_RETRY_S, true);
  return error.status === 503 ? unavailable(error.message, 5) : INTERNAL_ERROR;
}
