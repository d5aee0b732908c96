import type { StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { defineScript } from '../script.ts';

const run = defineScript<0 | 1>(new URL('./snapshot-beat.lua', import.meta.url), {
  shared: ['head.lua', 'version.lua'],
});

export async function snapshotBeat(
  { redis }: StoreContext,
  keys: ShardKeys,
  handle: string,
  token: string,
  lease: 'renew' | 'give up',
): Promise<boolean> {
  return (await run(redis, [keys.heads, keys.attempts], [handle, token, lease === 'renew' ? 1 : 0])) === 1;
}
