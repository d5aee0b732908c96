import type { SnapshotVisibility } from '../../shape-store.ts';
import { encodeVisibility } from '../codec.ts';
import type { StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { defineScript } from '../script.ts';

const run = defineScript<0 | 1>(new URL('./snapshot-known.lua', import.meta.url), { shared: ['head.lua'] });

export async function snapshotKnown(
  { redis }: StoreContext,
  keys: ShardKeys,
  handle: string,
  token: string,
  visibility: SnapshotVisibility,
): Promise<boolean> {
  return (await run(redis, [keys.heads, keys.attempts], [handle, token, ...encodeVisibility(visibility)])) === 1;
}
