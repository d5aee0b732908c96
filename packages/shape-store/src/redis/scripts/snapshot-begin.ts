import type { AttemptStart } from '../../shape-store.ts';
import { randomToken, type StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { defineScript } from '../script.ts';

const run = defineScript<AttemptStart>(new URL('./snapshot-begin.lua', import.meta.url), {
  shared: ['head.lua', 'version.lua', 'node.lua'],
});

export async function snapshotBegin(
  { redis, limits }: StoreContext,
  keys: ShardKeys,
  handle: string,
  token: string,
): Promise<AttemptStart> {
  const args = [handle, token, randomToken(), limits.versionsKept, limits.leaseMs, limits.resumptions];
  const { meta, heads, attempts, versions } = keys;
  return run(redis, [meta, heads, attempts, versions, keys.pendingCopy(handle)], args);
}
