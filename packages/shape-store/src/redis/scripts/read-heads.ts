import type { Lsn } from '@shapecast/log';
import type { ShapeHead } from '../../shape-store.ts';
import { decodeHead, decodeId, decodeTail } from '../codec.ts';
import type { StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { defineScript } from '../script.ts';

/** What keeps a call short and Lua's `unpack` within its stack. */
const MAX_HANDLES = 500;
/** Where the text of a head has the tail: one letter, a space, an id of 41 characters, a space. */
const TAIL_AT = 44;

const run = defineScript<(string | null)[]>(new URL('./read-heads.lua', import.meta.url), { shared: ['head.lua'] });

export async function readHeads(
  { redis }: StoreContext,
  keys: ShardKeys,
  handles: readonly string[],
): Promise<(ShapeHead | undefined)[]> {
  const slices: (readonly string[])[] = [];
  for (let i = 0; i < handles.length; i += MAX_HANDLES) slices.push(handles.slice(i, i + MAX_HANDLES));
  if (slices.length === 0) return [];
  const replies = await run.many(
    redis,
    slices.map((slice) => ({ keys: [keys.meta, keys.heads, ...slice.map((handle) => keys.log(handle))], args: slice })),
  );
  return replies.flatMap((reply, i) => decodeReply(slices[i] as readonly string[], reply));
}

function decodeReply(handles: readonly string[], [vis, wm, ...fields]: (string | null)[]): (ShapeHead | undefined)[] {
  return handles.map((handle, i) => {
    const text = fields[2 * i];
    if (!text) return undefined;
    const { state, closedChunks, snapshotStarted, snapshotComplete, failure, note } = decodeHead(text);
    const tail = fields[2 * i + 1] as string;
    return {
      handle,
      state,
      closedChunks,
      snapshotStarted,
      snapshotComplete,
      tail: decodeTail(tail),
      visible: decodeId(vis as string),
      watermark: BigInt(wm as string) as Lsn,
      ...(failure ? { error: failure } : {}),
      // Noted of an entry that is not visible yet otherwise.
      ...(note && text.startsWith(tail, TAIL_AT) ? { note } : {}),
    };
  });
}
