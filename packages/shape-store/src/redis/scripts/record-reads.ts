import type { ShapeReadTime } from '../../shape-store.ts';
import type { StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { defineScript } from '../script.ts';

/** What keeps a call short. */
const MAX_READS = 500;

// Also when memory is short: what makes room begins with the order of these times, and there is one per shape at most.
const run = defineScript<number>(new URL('./record-reads.lua', import.meta.url), {
  shared: ['version.lua'],
  whenFull: true,
});

export async function recordReads(
  { redis }: StoreContext,
  keys: ShardKeys,
  reads: readonly ShapeReadTime[],
  waitingMs: number,
): Promise<void> {
  if (reads.length === 0) return;
  const calls = [];
  for (let i = 0; i < reads.length; i += MAX_READS) {
    const slice = reads.slice(i, i + MAX_READS);
    const args = slice.flatMap(({ handle, agoMs, waiting }) => [
      handle,
      Math.max(0, Math.round(agoMs)),
      waiting ? 1 : 0,
    ]);
    calls.push({ keys: [keys.heads, keys.reads, keys.waits], args: [waitingMs, ...args] });
  }
  await run.many(redis, calls);
}
