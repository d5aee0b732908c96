import type { SnapshotVisibility, VisibilityOutcome } from '../../shape-store.ts';
import { encodeVisibility } from '../codec.ts';
import type { StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { defineScript } from '../script.ts';

const run = defineScript<VisibilityOutcome>(new URL('./snapshot-known.lua', import.meta.url), {
  shared: ['head.lua', 'version.lua'],
});

export async function snapshotKnown(
  { redis }: StoreContext,
  keys: ShardKeys,
  handle: string,
  token: string,
  visibility: SnapshotVisibility,
): Promise<VisibilityOutcome> {
  const args = [handle, token, ...encodeVisibility(visibility)];
  return run(redis, [keys.heads, keys.attempts, keys.doubts], args);
}
