import { randomToken, type StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { defineScript } from '../script.ts';

const run = defineScript<-1 | 0 | 1>(new URL('./snapshot-done.lua', import.meta.url), {
  shared: ['head.lua', 'version.lua', 'node.lua'],
});

/** `written`: pieces that this attempt has written, -1 when unknown. */
export async function snapshotDone(
  { redis, limits }: StoreContext,
  keys: ShardKeys,
  handle: string,
  token: string,
  written: number,
): Promise<boolean> {
  const args = [handle, token, randomToken(), limits.versionsKept, written];
  const reply = await run(redis, [keys.meta, keys.heads, keys.attempts, keys.versions], args);
  if (reply === -1)
    throw new Error('a snapshot was ended with an open chunk, without any chunk, or without its visibility');
  return reply === 1;
}
