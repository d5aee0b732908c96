import { setImmediate } from 'node:timers/promises';
import { nextToCompact, type EntryMerger } from '../../compaction.ts';
import { decodeHead, ZERO_ID } from '../codec.ts';
import type { StoreContext } from '../context.ts';
import { dataLost } from '../data-lost.ts';
import type { ShardKeys } from '../keys.ts';
import { replaceChunks } from '../scripts/compact.ts';
import { afterMember, decodeMember, decodeTable, lastMember, type BlobRef, type IndexedChunk } from './blob.ts';
import { blockSize, decodeBlock } from './block.ts';
import { BlobWriter } from './blob-writer.ts';

type SealedChunk = IndexedChunk & { readonly blob: BlobRef };

/** Compacts one more chunk of a shape. Of two processes that do it at once, the second changes nothing. */
export async function compact(
  context: StoreContext,
  keys: ShardKeys,
  handle: string,
  merger: () => EntryMerger,
): Promise<'done' | 'more'> {
  const [text, wanted, members] = await context.redis.run('compact', (client) =>
    Promise.all([
      client.hget(keys.heads, handle),
      client.sismember(keys.compacted, handle),
      client.zrangebylex(keys.chunks, afterMember(handle, ZERO_ID), lastMember(handle)),
    ]),
  );
  const head = text === null ? undefined : decodeHead(text);
  if (head?.state !== 'live' || wanted === 0) return 'done';
  const chunks = members.map(decodeMember);
  const sizes = chunks.map(({ blob }) => ({ compacted: blob?.compacted === true, jsonBytes: blob?.jsonBytes ?? 0 }));
  const range = nextToCompact(sizes, head.chunkBytes);
  const old = range ? chunks.slice(range.from, range.to + 1).filter(isSealed) : [];
  if (range === undefined || old.length <= range.to - range.from) return 'done';

  let replaced = old;
  let blob = await rewrite(context, keys, old, merger);
  if (old.length > 1 && blob.jsonBytes > head.chunkBytes) {
    replaced = old.slice(1);
    blob = await rewrite(context, keys, replaced, merger);
  }
  return (await replaceChunks(context, keys, replaced, blob)) ? 'more' : 'done';
}

function isSealed(chunk: IndexedChunk): chunk is SealedChunk {
  return chunk.blob !== undefined;
}

async function rewrite(
  context: StoreContext,
  keys: ShardKeys,
  chunks: readonly SealedChunk[],
  merger: () => EntryMerger,
): Promise<BlobRef> {
  const handle = (chunks[0] as SealedChunk).handle;
  const merge = merger();
  for (const { blob } of chunks) {
    const key = keys.blob(handle, blob.token);
    const table = await context.redis.run('compact', (client) => client.lindex(key, 0));
    if (table === null) throw dataLost(handle, { blob: blob.token });
    for (const [index, { entries, jsonBytes }] of decodeTable(table).entries()) {
      const block = await context.redis.run('compact', (client) => client.lindexBuffer(key, index + 1));
      if (block === null) throw dataLost(handle, { blob: blob.token });
      for (const entry of await decodeBlock(block, blockSize(entries, jsonBytes))) merge.add(entry);
      await setImmediate();
    }
  }
  const writer = new BlobWriter(context, keys, handle);
  for (const entry of merge.entries()) await writer.add(entry);
  return writer.end(true);
}
