import type { StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { defineScript } from '../script.ts';

const run = defineScript<(string | number)[]>(new URL('./dead-before.lua', import.meta.url), {
  shared: ['head.lua', 'version.lua'],
});

export interface DeadShape {
  readonly handle: string;
  /** Snapshot chunks that may exist, from 0 on. */
  readonly chunks: number;
}

export async function deadBefore(
  { redis, limits }: StoreContext,
  keys: ShardKeys,
  graceMs: number,
): Promise<DeadShape[]> {
  const reply = await run(redis, [keys.dead, keys.heads], [graceMs, limits.sweepMaxHandles]);
  const shapes: DeadShape[] = [];
  for (let i = 0; i < reply.length; i += 2) {
    shapes.push({ handle: reply[i] as string, chunks: reply[i + 1] as number });
  }
  return shapes;
}
