import type { StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { defineScript } from '../script.ts';

const run = defineScript<0 | 1>(new URL('./seal-piece.lua', import.meta.url), {
  shared: ['head.lua', 'piece.lua'],
  whenFull: true,
});

export async function sealPiece(
  { redis }: StoreContext,
  keys: ShardKeys,
  place: { readonly handle: string; readonly chunk: number; readonly piece: number },
  bytes: Buffer,
): Promise<void> {
  const { handle, chunk, piece } = place;
  await run(redis, [keys.heads, keys.snapshot(handle, chunk)], [handle, piece, bytes]);
}
