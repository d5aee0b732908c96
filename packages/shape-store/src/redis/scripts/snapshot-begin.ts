import { randomToken, type StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { defineScript } from '../script.ts';

const run = defineScript<0 | 1>(new URL('./snapshot-begin.lua', import.meta.url), {
  shared: ['head.lua', 'version.lua'],
});

export async function snapshotBegin(
  { redis, limits }: StoreContext,
  keys: ShardKeys,
  handle: string,
  token: string,
): Promise<boolean> {
  const args = [handle, token, randomToken(), limits.versionsKept];
  return (await run(redis, [keys.meta, keys.heads, keys.attempts, keys.versions], args)) === 1;
}
