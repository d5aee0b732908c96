import type { SnapshotRead } from '../../shape-store.ts';
import type { StoreContext } from '../context.ts';
import { dataLost } from '../data-lost.ts';
import type { ShardKeys } from '../keys.ts';
import { defineScript } from '../script.ts';
import { unpackPiece } from '../sealed/piece.ts';

const run = defineScript<[closed: 0 | 1, size: number, ...parts: Buffer[]] | 0 | null>(
  new URL('./read-snapshot.lua', import.meta.url),
  { shared: ['head.lua', 'piece.lua'], bytes: true },
);

export async function readSnapshot(
  { redis }: StoreContext,
  keys: ShardKeys,
  handle: string,
  chunk: number,
  fromPart: number,
  maxBytes: number,
): Promise<SnapshotRead | undefined> {
  const reply = await run(redis, [keys.heads, keys.snapshot(handle, chunk)], [handle, chunk, fromPart, maxBytes]);
  if (reply === 0) throw dataLost(handle, { chunk });
  if (!reply) return undefined;
  const [closed, size, ...pieces] = reply;
  const nextPart = fromPart + pieces.length;
  const parts = await Promise.all(pieces.map(unpackPiece)).catch((error: unknown) => {
    throw dataLost(handle, { chunk }, error);
  });
  return { parts, nextPart, closed: closed === 1 && nextPart >= size };
}
