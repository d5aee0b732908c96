import type { AttemptStart } from '../../shape-store.ts';
import { randomToken, type StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { defineScript } from '../script.ts';

const run = defineScript<AttemptStart>(new URL('./snapshot-begin.lua', import.meta.url), {
  shared: ['head.lua', 'version.lua'],
});

export async function snapshotBegin(
  { redis, limits }: StoreContext,
  keys: ShardKeys,
  handle: string,
  token: string,
): Promise<AttemptStart> {
  const args = [handle, token, randomToken(), limits.versionsKept, limits.leaseMs];
  return run(redis, [keys.meta, keys.heads, keys.attempts, keys.versions], args);
}
