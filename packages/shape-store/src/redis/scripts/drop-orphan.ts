import type { StoreContext } from '../context.ts';
import { ShardKeys, type KeyPlace } from '../keys.ts';
import { defineScript, type ScriptCall } from '../script.ts';

const options = { shared: ['idle.lua'], whenFull: true } as const;
const runOrphan = defineScript<0 | 1>(new URL('./drop-orphan.lua', import.meta.url), options);
const runIdle = defineScript<0 | 1>(new URL('./drop-idle.lua', import.meta.url), options);

export interface FoundKey {
  readonly key: string;
  readonly place: KeyPlace;
}

/** Deletes those that are data of no shape. Returns how many. */
export async function dropOrphans(
  { redis }: StoreContext,
  found: readonly FoundKey[],
  graceMs: number,
): Promise<number> {
  const calls = found.flatMap(({ key, place: { shard, data } }): ScriptCall[] => {
    if (data === undefined) return [];
    const { heads, unusedBlobs, chunks } = new ShardKeys(shard);
    return [{ keys: [heads, unusedBlobs, chunks, key], args: [data.handle, data.token ?? '', graceMs] }];
  });
  return calls.length === 0 ? 0 : sum(await runOrphan.many(redis, calls));
}

/** Deletes those that nobody has touched for the grace period. Returns how many. */
export async function dropIdle({ redis }: StoreContext, keys: readonly string[], graceMs: number): Promise<number> {
  if (keys.length === 0) return 0;
  return sum(
    await runIdle.many(
      redis,
      keys.map((key) => ({ keys: [key], args: [graceMs] })),
    ),
  );
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}
