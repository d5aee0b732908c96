import type { CheckId } from './checks.ts';

/** `warn`: it works, and will hurt one day. `fail`: something does not work, or data may be lost. */
export type Status = 'ok' | 'warn' | 'fail' | 'skipped';

/** What one check came to. No credentials, no values of rows. */
export interface Finding {
  readonly id: CheckId;
  readonly status: Status;
  /** What is, in one sentence. */
  readonly message: string;
  /** What to do next, in one sentence; absent when there is nothing to do. */
  readonly next?: string;
}

export function ok(id: CheckId, message: string): Finding {
  return { id, status: 'ok', message };
}

export function warn(id: CheckId, message: string, next: string): Finding {
  return { id, status: 'warn', message, next };
}

export function fail(id: CheckId, message: string, next: string): Finding {
  return { id, status: 'fail', message, next };
}

export function skipped(id: CheckId, message: string, next?: string): Finding {
  return { id, status: 'skipped', message, ...(next === undefined ? {} : { next }) };
}
