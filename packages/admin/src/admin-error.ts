import { isShapecastError } from '@shapecast/errors';

/** What an admin API answer says went wrong. Codes are API; messages are for people. */
export interface AdminProblem {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  /** Each begins with the field that is wrong; never has a value. */
  readonly problems?: readonly string[];
  readonly retryAfterS?: number;
}

/** An answer that is not what was asked for. */
export class AdminError extends Error {
  readonly problem: AdminProblem;

  constructor(problem: AdminProblem) {
    super(problem.message);
    this.problem = problem;
  }
}

export function unknownSource(): AdminError {
  return new AdminError({ status: 404, code: 'source_not_found', message: 'There is no source of this id.' });
}

export function unknownShape(): AdminError {
  return new AdminError({ status: 404, code: 'shape_not_found', message: 'The source has no shape of this handle.' });
}

export function invalid(problems: readonly string[]): AdminError {
  return new AdminError({ status: 400, code: 'invalid', message: problems.join('; '), problems });
}

export function unavailable(code: 'nats_unavailable' | 'store_unavailable', message: string): AdminError {
  return new AdminError({ status: 503, code, message, retryAfterS: 2 });
}

/** What to answer for whatever was thrown; undefined for what nobody foresaw. */
export function problemOf(error: unknown): AdminProblem | undefined {
  if (error instanceof AdminError) return error.problem;
  if (!isShapecastError(error)) return undefined;
  const { code, message, details, retryable } = error;
  if (code === 'INVALID_CONFIG') {
    return { status: 400, code: 'invalid', message, problems: (details['problems'] as readonly string[]) ?? [message] };
  }
  if (code === 'STREAM_UNAVAILABLE') return { status: 503, code: 'nats_unavailable', message, retryAfterS: 2 };
  if (code === 'STORE_UNAVAILABLE') return { status: 503, code: 'store_unavailable', message, retryAfterS: 2 };
  return { status: error.status, code: code.toLowerCase(), message, ...(retryable ? { retryAfterS: 2 } : {}) };
}
