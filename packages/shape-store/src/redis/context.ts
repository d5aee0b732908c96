import { randomBytes } from 'node:crypto';
import type { ShapeStoreLimits } from '../limits.ts';
import type { RedisConnection } from './connection.ts';

/** What every typed script call needs besides its own arguments. */
export interface StoreContext {
  readonly redis: RedisConnection;
  readonly limits: ShapeStoreLimits;
}

/** The random half of a version or of an owner: scripts are not random by themselves. 64 bits (spec R 13.3.1a). */
export function randomToken(): string {
  return randomBytes(8).toString('hex');
}
