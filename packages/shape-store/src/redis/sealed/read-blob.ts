import type { StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { decodeTable, type BlobRef, type BlockInfo } from './blob.ts';
import { blockSize, decodeBlock } from './block.ts';

/** JSON bytes of blocks that are fetched in one round trip, unless one block is larger. */
const FETCH_BYTES = 1024 * 1024;

type SealedEntries = Awaited<ReturnType<typeof decodeBlock>>;

export interface BlobRead {
  readonly entries: SealedEntries;
  /** Number of the block to go on with. */
  readonly nextBlock: number;
}

/**
 * Entries of a blob after `after`, not past `upTo` (padded ids), in whole blocks until `maxBytes` of JSON are read. `fromBlock`, from
 * 1, when the reader knows where it is. Undefined when the blob is not there, or not what was written.
 */
export async function readBlob(
  context: StoreContext,
  keys: ShardKeys,
  handle: string,
  token: BlobRef['token'],
  range: { readonly after: string; readonly upTo: string; readonly maxBytes: number; readonly fromBlock?: number },
): Promise<BlobRead | undefined> {
  const { after, upTo, maxBytes } = range;
  const key = keys.blob(handle, token);
  const guess = range.fromBlock ?? 1;
  const [table, guessed] = await context.redis.run('read-blob', (client) =>
    Promise.all([client.lindex(key, 0), client.lindexBuffer(key, guess)]),
  );
  if (table === null) return undefined;
  const infos = decodeTable(table);
  let block = range.fromBlock ?? infos.findIndex(({ last }) => last > after) + 1;
  let fetched = block === guess && guessed !== null ? [guessed] : [];
  const entries: SealedEntries = [];
  for (let size = 0; block >= 1 && block <= infos.length && size < maxBytes;) {
    if (fetched.length === 0)
      fetched = await fetchBlocks(context, key, infos, block, Math.min(FETCH_BYTES, maxBytes - size));
    const bytes = fetched.shift();
    const info = infos[block - 1] as BlockInfo;
    const decoded = bytes && (await decodeBlock(bytes, blockSize(info.entries, info.jsonBytes)).catch(() => undefined));
    if (decoded === undefined) return undefined;
    const isFirst = entries.length === 0;
    for (const entry of decoded) {
      if (isFirst && entry.id <= after) continue;
      if (info.last > upTo && entry.id > upTo) break;
      entries.push(entry);
      size += entry.bytes.length;
    }
    block += 1;
    if (info.last >= upTo) break;
  }
  return { entries, nextBlock: block };
}

async function fetchBlocks(
  { redis }: StoreContext,
  key: string,
  infos: readonly BlockInfo[],
  from: number,
  maxBytes: number,
): Promise<Buffer[]> {
  let to = from;
  let size = infos[from - 1]?.jsonBytes ?? 0;
  while (to < infos.length && size < maxBytes) {
    size += infos[to]?.jsonBytes ?? 0;
    to += 1;
  }
  return redis.run('read-blob', (client) => client.lrangeBuffer(key, from, to));
}
