import type { StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { defineScript } from '../script.ts';

const run = defineScript<1>(new URL('./snapshot-sealed.lua', import.meta.url), {
  shared: ['head.lua'],
  whenFull: true,
});

export async function snapshotSealed({ redis }: StoreContext, keys: ShardKeys, handle: string): Promise<void> {
  await run(redis, [keys.heads], [handle]);
}
