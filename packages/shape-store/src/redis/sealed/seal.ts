import type { SealStep } from '../../shape-store.ts';
import { decodeHead, decodeId, encodeId, ZERO_ID, type Head } from '../codec.ts';
import type { StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { sealChunk } from '../scripts/seal.ts';
import { afterMember, decodeMember, lastMember, type IndexedChunk } from './blob.ts';
import { BlobWriter } from './blob-writer.ts';

/** Members of the chunk index that a call looks at. */
const INDEX_PAGE = 500;
const PAGE_BYTES = 512 * 1024;
const FIRST_PAGE = 20;
const MAX_PAGE = 5_000;

type RawEntry = [id: Buffer, fields: [name: Buffer, bytes: Buffer]];

/**
 * Seals the next chunk of the index that can be. The entries are copied into a blob first, which nobody sees until `seal.lua`
 * names it; a call that ends half-way leaves a blob that is swept, and the chunk as it was.
 */
export async function seal(context: StoreContext, keys: ShardKeys, cursor?: string): Promise<SealStep> {
  const from = cursor === undefined ? '-' : `(${cursor}~`;
  const members = await context.redis.run('seal', (client) =>
    client.zrangebylex(keys.chunks, from, '+', 'LIMIT', 0, INDEX_PAGE),
  );
  let last = cursor;
  let skipped: string | undefined;
  for (const member of members) {
    const chunk = decodeMember(member);
    last = `${chunk.handle} ${chunk.end}`;
    // What follows a chunk that cannot be sealed cannot either.
    if (chunk.blob !== undefined || chunk.handle === skipped) continue;
    const sealed = await sealNext(context, keys, chunk);
    if (sealed) return { sealed, cursor: last };
    skipped = chunk.handle;
  }
  return members.length === INDEX_PAGE && last !== undefined ? { cursor: last } : {};
}

async function sealNext(
  context: StoreContext,
  keys: ShardKeys,
  { handle, end }: IndexedChunk,
): Promise<SealStep['sealed'] | undefined> {
  const head = await headToSeal(context, keys, handle, end);
  if (!head) return undefined;
  const writer = new BlobWriter(context, keys, handle);
  const log = keys.log(handle);
  let lastId = head.sealedTo;
  let page = FIRST_PAGE;
  while (lastId < end) {
    const after = lastId;
    const entries = (await context.redis.run('seal', (client) =>
      client.xrangeBuffer(log, `(${after}`, end, 'COUNT', page),
    )) as RawEntry[];
    let bytes = 0;
    for (const [id, fields] of entries) {
      const position = decodeId(id.toString('latin1'));
      lastId = encodeId(position);
      bytes += fields[1].length;
      await writer.add({ position, bytes: fields[1], merged: 1 });
    }
    if (entries.length === 0) break;
    page = Math.max(10, Math.min(MAX_PAGE, Math.ceil((PAGE_BYTES * entries.length) / Math.max(1, bytes))));
  }
  // Sealed by somebody else meanwhile, or lost; readers will tell.
  if (lastId !== end) return undefined;
  const blob = await writer.end(false);
  const done = await sealChunk(context, keys, { handle, end, sealedTo: head.sealedTo }, blob);
  return done ? { handle, jsonBytes: blob.jsonBytes, heldBytes: blob.heldBytes } : undefined;
}

/** The head of the shape, if this chunk is the next one to be sealed and can be. */
async function headToSeal(
  { redis }: StoreContext,
  keys: ShardKeys,
  handle: string,
  end: string,
): Promise<Head | undefined> {
  const [text, visible] = await redis.run('seal', (client) =>
    Promise.all([client.hget(keys.heads, handle), client.hget(keys.meta, 'vis')]),
  );
  const head = text === null ? undefined : decodeHead(text);
  if (head?.state !== 'live' || end > (visible ?? ZERO_ID)) return undefined;
  const next = await redis.run('seal', (client) =>
    client.zrangebylex(keys.chunks, afterMember(handle, head.sealedTo), lastMember(handle), 'LIMIT', 0, 1),
  );
  return next[0] !== undefined && decodeMember(next[0]).end === end ? head : undefined;
}
