/** What a code means to callers. */
export interface ErrorSpec {
  /** HTTP status the API answers with. */
  readonly status: number;
  /** The same call may succeed later without a change by the caller. */
  readonly retryable: boolean;
}

/** Codes are API: clients and alerts branch on them. Messages are for people and may change. `docs/errors.md` has one heading per code. */
export const ERRORS = {
  INVALID_REQUEST: { status: 400, retryable: false },
  INVALID_CONFIG: { status: 500, retryable: false },
  SOURCE_MISCONFIGURED: { status: 503, retryable: true },
  SOURCE_UNAVAILABLE: { status: 503, retryable: true },
  NOT_READY: { status: 503, retryable: true },
  SNAPSHOT_FAILED: { status: 503, retryable: true },
  SNAPSHOT_TOO_LARGE: { status: 503, retryable: true },
  SCHEMA_CHANGED: { status: 409, retryable: true },
  STREAM_UNAVAILABLE: { status: 503, retryable: true },
  STREAM_FENCED: { status: 503, retryable: true },
  STORE_UNAVAILABLE: { status: 503, retryable: true },
  STORE_FULL: { status: 503, retryable: true },
  SOURCE_FULL: { status: 503, retryable: true },
  SOURCE_DRAINING: { status: 503, retryable: true },
  SHAPE_DATA_LOST: { status: 409, retryable: true },
  SHAPE_EXPIRED: { status: 409, retryable: true },
  LOG_TOO_LARGE: { status: 409, retryable: true },
  OVERLOADED: { status: 503, retryable: true },
  SCAN_LIMIT_EXCEEDED: { status: 503, retryable: true },
  FORMAT_UNKNOWN: { status: 503, retryable: true },
  SERVER_MISSING: { status: 500, retryable: false },
} as const satisfies Record<string, ErrorSpec>;

export type ErrorCode = keyof typeof ERRORS;

/** The one error class. The message says what happened and what to do next; drivers' errors go into `cause`. */
export class ShapecastError extends Error {
  override readonly name = 'ShapecastError';
  readonly code: ErrorCode;
  /** Plain data for logs and error bodies; never secrets or row values. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, details: Readonly<Record<string, unknown>> = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.details = details;
  }

  get status(): number {
    return ERRORS[this.code].status;
  }

  get retryable(): boolean {
    return ERRORS[this.code].retryable;
  }
}

export function isShapecastError(error: unknown, code?: ErrorCode): error is ShapecastError {
  return error instanceof ShapecastError && (code === undefined || error.code === code);
}
