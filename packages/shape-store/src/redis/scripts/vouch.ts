import type { ShardState } from '../../shape-store.ts';
import { encodeCursor } from '../codec.ts';
import type { StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { defineScript } from '../script.ts';

const run = defineScript<0 | 1>(new URL('./vouch.lua', import.meta.url), { shared: ['node.lua'], whenFull: true });

export async function vouch({ redis }: StoreContext, keys: ShardKeys, state: ShardState): Promise<boolean> {
  return (await run(redis, [keys.meta], [state.epoch, state.owner, state.ver, encodeCursor(state.cursor)])) === 1;
}
