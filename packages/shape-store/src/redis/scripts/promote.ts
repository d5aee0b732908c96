import { randomToken, type StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { defineScript } from '../script.ts';

const run = defineScript<number | null>(new URL('./promote.lua', import.meta.url), {
  shared: ['head.lua', 'version.lua'],
});

export async function promote(
  { redis, limits }: StoreContext,
  keys: ShardKeys,
  handle: string,
  limit: number,
): Promise<number | undefined> {
  const { meta, heads, attempts, chunks, versions } = keys;
  const args = [handle, limit, randomToken(), limits.versionsKept];
  return (await run(redis, [meta, heads, attempts, chunks, versions, keys.log(handle)], args)) ?? undefined;
}
