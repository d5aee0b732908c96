import { padded } from '../codec.ts';
import type { StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { defineScript } from '../script.ts';

const run = defineScript<0 | 1>(new URL('./bound-ring.lua', import.meta.url));

export async function boundRing(
  { redis }: StoreContext,
  keys: ShardKeys,
  skipped: string,
  newest: bigint,
): Promise<void> {
  await run(redis, [keys.meta], [skipped, padded(newest)]);
}
