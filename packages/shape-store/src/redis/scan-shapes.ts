import type { ShapePage, ShapeUse } from '../shape-store.ts';
import { decodeHead, type Head } from './codec.ts';
import type { StoreContext } from './context.ts';
import type { ShardKeys } from './keys.ts';

const PAGE = 500;

/** Heads, a page at a time, as they are at that moment. */
export async function scanShapes({ redis }: StoreContext, keys: ShardKeys, cursor = '0'): Promise<ShapePage> {
  const [next, fields] = await redis.run('scan-shapes', (client) => client.hscan(keys.heads, cursor, 'COUNT', PAGE));
  const handles = fields.filter((_, i) => i % 2 === 0);
  const compacted =
    handles.length === 0 ? [] : await redis.run('scan-shapes', (client) => client.smismember(keys.compacted, handles));
  const shapes = handles.map((handle, i) =>
    shapeUse(handle, decodeHead(fields[2 * i + 1] as string), compacted[i] === 1),
  );
  return { shapes, ...(next === '0' ? {} : { cursor: next }) };
}

export function shapeUse(handle: string, head: Head, compaction: boolean): ShapeUse {
  const { state, logBytes, snapshotBytes, heldBytes } = head;
  const snapshotToSeal = state === 'live' && head.snapshotComplete && !head.snapshotCompressed;
  const pending = state === 'live' || state === 'dead' ? {} : { pendingBytes: head.pendingBytes };
  return { handle, state, logBytes, snapshotBytes, heldBytes, ...pending, snapshotToSeal, compaction };
}
