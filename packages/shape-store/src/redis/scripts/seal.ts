import { encodeId, decodeId } from '../codec.ts';
import type { StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { defineScript } from '../script.ts';
import { encodeBlobRef, type BlobRef } from '../sealed/blob.ts';

const run = defineScript<0 | 1>(new URL('./seal.lua', import.meta.url), { shared: ['head.lua'], whenFull: true });

/** False when the chunk is sealed already, or is not the next one after `sealedTo`. */
export async function sealChunk(
  { redis }: StoreContext,
  keys: ShardKeys,
  chunk: { readonly handle: string; readonly end: string; readonly sealedTo: string },
  blob: BlobRef,
): Promise<boolean> {
  const { handle, end, sealedTo } = chunk;
  const { lsn, op } = decodeId(end);
  const args = [
    handle,
    end,
    sealedTo,
    encodeBlobRef(blob),
    `${handle} ${blob.token}`,
    blob.blocks + 1,
    blob.jsonBytes,
    blob.heldBytes,
    encodeId({ lsn, op: op + 1 }),
  ];
  const { meta, heads, chunks, unusedBlobs } = keys;
  const names = [meta, heads, chunks, unusedBlobs, keys.log(handle), keys.blob(handle, blob.token)];
  return (await run(redis, names, args)) === 1;
}
