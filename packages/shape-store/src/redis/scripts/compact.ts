import type { StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { defineScript } from '../script.ts';
import { encodeMember, type BlobRef, type IndexedChunk } from '../sealed/blob.ts';

const run = defineScript<0 | 1>(new URL('./compact.lua', import.meta.url), {
  shared: ['head.lua', 'version.lua'],
  whenFull: true,
});

/** Replaces sealed chunks of one handle, in order. False when they are no longer what they were. */
export async function replaceChunks(
  { redis }: StoreContext,
  keys: ShardKeys,
  old: readonly (IndexedChunk & { readonly blob: BlobRef })[],
  blob: BlobRef,
): Promise<boolean> {
  const { handle, end } = old.at(-1) as IndexedChunk;
  const fewer = (count: (ref: BlobRef) => number) => old.reduce((sum, chunk) => sum + count(chunk.blob), -count(blob));
  const args = [
    handle,
    encodeMember({ handle, end, blob }),
    `${handle} ${blob.token}`,
    blob.blocks + 1,
    fewer(({ entries }) => entries),
    fewer(({ jsonBytes }) => jsonBytes),
    fewer(({ heldBytes }) => heldBytes),
    ...old.flatMap((chunk) => [encodeMember(chunk), `${handle} ${chunk.blob.token}`]),
  ];
  const { heads, chunks, unusedBlobs } = keys;
  return (await run(redis, [heads, chunks, unusedBlobs, keys.blob(handle, blob.token)], args)) === 1;
}
