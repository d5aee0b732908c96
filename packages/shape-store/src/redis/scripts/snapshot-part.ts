import type { SnapshotPart } from '../../shape-store.ts';
import type { StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { defineScript } from '../script.ts';

const run = defineScript<0 | 1>(new URL('./snapshot-part.lua', import.meta.url), {
  shared: ['head.lua', 'version.lua'],
});

/** `before`: pieces that this attempt has written, -1 when unknown. */
export async function snapshotPart(
  { redis }: StoreContext,
  keys: ShardKeys,
  handle: string,
  token: string,
  part: SnapshotPart,
  before: number,
): Promise<boolean> {
  const bytes = Buffer.from(part.bytes.buffer, part.bytes.byteOffset, part.bytes.byteLength);
  const args = [handle, token, part.chunk, part.close ? 1 : 0, before, bytes, part.mark ?? ''];
  return (await run(redis, [keys.heads, keys.attempts, keys.snapshot(handle, part.chunk)], args)) === 1;
}
