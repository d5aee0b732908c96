import type { StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { defineScript } from '../script.ts';

const run = defineScript<1>(new URL('./blob-put.lua', import.meta.url), { shared: ['version.lua'], whenFull: true });

export async function blobPut(
  { redis }: StoreContext,
  keys: ShardKeys,
  handle: string,
  token: string,
  bytes: Buffer,
  table: boolean,
): Promise<void> {
  const args = [`${handle} ${token}`, table ? 1 : 0, bytes];
  await run(redis, [keys.unusedBlobs, keys.blob(handle, token)], args);
}
