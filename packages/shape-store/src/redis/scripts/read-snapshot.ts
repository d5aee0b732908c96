import type { SnapshotRead } from '../../shape-store.ts';
import type { StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { defineScript } from '../script.ts';

const run = defineScript<[closed: 0 | 1, size: number, ...parts: Buffer[]] | null>(
  new URL('./read-snapshot.lua', import.meta.url),
  { shared: ['head.lua'], bytes: true },
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
  if (!reply) return undefined;
  const [closed, size, ...parts] = reply;
  const nextPart = fromPart + parts.length;
  return { parts, nextPart, closed: closed === 1 && nextPart >= size };
}
