import { decodeHead } from './codec.ts';
import type { StoreContext } from './context.ts';
import type { ShardKeys } from './keys.ts';

const KEYS_PER_CALL = 100;

/**
 * Deletes what a failed snapshot attempt left, which nobody may read any more, without waiting for the sweep: a store that is
 * full needs the room (spec R 10.8.3). To be called once the handle is dead, when nothing can be added.
 */
export async function dropSnapshot({ redis }: StoreContext, keys: ShardKeys, handle: string): Promise<void> {
  const head = await redis.run('drop-snapshot', (client) => client.hget(keys.heads, handle));
  if (head === null) return;
  const data = [
    keys.log(handle),
    keys.pendingCopy(handle),
    ...Array.from({ length: decodeHead(head).closedChunks + 1 }, (_, chunk) => keys.snapshot(handle, chunk)),
  ];
  for (let i = 0; i < data.length; i += KEYS_PER_CALL) {
    await redis.run('drop-snapshot', (client) => client.unlink(...data.slice(i, i + KEYS_PER_CALL)));
  }
}
