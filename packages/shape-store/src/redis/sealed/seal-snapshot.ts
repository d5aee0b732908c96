import { decodeHead } from '../codec.ts';
import type { StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { sealPiece } from '../scripts/seal-piece.ts';
import { snapshotSealed } from '../scripts/snapshot-sealed.ts';
import { packPiece } from './piece.ts';

/** A snapshot smaller than this stays as it is. */
const MIN_BYTES = 1024;

/**
 * Compresses a chunk of a complete snapshot in place, piece by piece: pieces keep their numbers, so a reader in the middle of the
 * chunk goes on, and each is the same JSON before and after. Returns the next chunk, undefined when there is none.
 */
export async function sealSnapshot(
  context: StoreContext,
  keys: ShardKeys,
  handle: string,
  chunk: number,
): Promise<number | undefined> {
  const { redis } = context;
  const text = await redis.run('seal-snapshot', (client) => client.hget(keys.heads, handle));
  const head = text === null ? undefined : decodeHead(text);
  if (head === undefined || head.state === 'dead' || !head.snapshotComplete || head.snapshotCompressed)
    return undefined;
  if (head.snapshotBytes >= MIN_BYTES && chunk < head.closedChunks) {
    const key = keys.snapshot(handle, chunk);
    for (let piece = 0; ; piece += 1) {
      const bytes = await redis.run('seal-snapshot', (client) => client.lindexBuffer(key, piece));
      if (bytes === null) break;
      const packed = await packPiece(bytes);
      if (packed) await sealPiece(context, keys, { handle, chunk, piece }, packed);
    }
    if (chunk + 1 < head.closedChunks) return chunk + 1;
  }
  await snapshotSealed(context, keys, handle);
  return undefined;
}
