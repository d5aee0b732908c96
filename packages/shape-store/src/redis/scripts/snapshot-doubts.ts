import type { SnapshotDoubt } from '../../shape-store.ts';
import { padded } from '../codec.ts';
import type { StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { defineScript } from '../script.ts';

const run = defineScript<string[]>(new URL('./snapshot-doubts.lua', import.meta.url), { shared: ['head.lua'] });

/** Doubts of one call: what keeps it short. */
const MAX_DOUBTS = 500;

export async function snapshotDoubts(
  { redis }: StoreContext,
  keys: ShardKeys,
  doubts: readonly SnapshotDoubt[],
): Promise<readonly string[]> {
  const unseen = new Set<string>();
  for (let from = 0; from < doubts.length; from += MAX_DOUBTS) {
    const slice = doubts.slice(from, from + MAX_DOUBTS);
    const args = slice.flatMap(({ handle, lsn, xid }) => [handle, padded(lsn), padded(xid)]);
    for (const handle of await run(redis, [keys.heads, keys.attempts, keys.doubts], args)) unseen.add(handle);
  }
  return [...unseen];
}
