import type { ShardUse } from '../../shape-store.ts';
import type { StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { defineScript } from '../script.ts';

/** Times beyond those asked for: of shapes that are waited for, or have just ended. */
const MORE_LOOKS = 1_000;
const MAX_DEAD = 1_000;

const run = defineScript<[alive: number, dyingBytes: number, ...(string | number)[]]>(
  new URL('./least-read.lua', import.meta.url),
  { shared: ['head.lua', 'version.lua'] },
);

export async function leastRead(
  { redis }: StoreContext,
  keys: ShardKeys,
  limit: number,
  waiting: 'skip' | 'include',
): Promise<ShardUse> {
  const { heads, dead, reads, waits } = keys;
  const args = [limit, limit + MORE_LOOKS, waiting === 'skip' ? 1 : 0, MAX_DEAD];
  const [alive, dyingBytes, ...fields] = await run(redis, [heads, dead, reads, waits], args);
  const shapes = [];
  for (let i = 0; i < fields.length; i += 3) {
    shapes.push({ handle: String(fields[i]), readAt: Number(fields[i + 1]), heldBytes: Number(fields[i + 2]) });
  }
  return { alive, dyingBytes, shapes };
}
