import type { ShardState } from '../../shape-store.ts';
import type { StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { defineScript } from '../script.ts';

const run = defineScript<0 | 1>(new URL('./hold.lua', import.meta.url));

export async function hold(
  { redis }: StoreContext,
  keys: ShardKeys,
  state: Pick<ShardState, 'epoch' | 'owner'>,
): Promise<void> {
  await run(redis, [keys.meta], [state.epoch, state.owner]);
}
