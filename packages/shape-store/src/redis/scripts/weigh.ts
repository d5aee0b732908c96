import type { ShardWeight } from '../../shape-store.ts';
import type { StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { defineScript } from '../script.ts';

/** Less than a millisecond of the server's time. */
const SHAPES = 500;

const run = defineScript<[cursor: string, alive: number, bytes: number, dyingBytes: number]>(
  new URL('./weigh.lua', import.meta.url),
  { shared: ['head.lua'] },
);

export async function weigh({ redis }: StoreContext, keys: ShardKeys, cursor = '0'): Promise<ShardWeight> {
  const [next, alive, bytes, dyingBytes] = await run(redis, [keys.heads], [cursor, SHAPES]);
  return { alive, bytes, dyingBytes, ...(next === '0' ? {} : { cursor: next }) };
}
