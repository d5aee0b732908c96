import type { ShapeInspection, ShapeReadSight } from '../shape-inspection.ts';
import type { ShapeRecord } from '../shape-store.ts';
import { decodeHead, decodeRecord } from './codec.ts';
import type { StoreContext } from './context.ts';
import type { ShardKeys } from './keys.ts';
import { shapeUse } from './scan-shapes.ts';

/** When shapes were last read, in order. */
export async function whenRead(
  { redis }: StoreContext,
  { reads, waits }: ShardKeys,
  handles: readonly string[],
): Promise<readonly ShapeReadSight[]> {
  if (handles.length === 0) return [];
  const [read, waited, now] = await redis.run('when-read', (client) =>
    Promise.all([client.zmscore(reads, ...handles), client.zmscore(waits, ...handles), client.time()]),
  );
  const nowMs = Number(now[0]) * 1_000 + Math.floor(Number(now[1]) / 1_000);
  return handles.map((_, i) => {
    const at = read[i] ?? undefined;
    return { ...(at === undefined ? {} : { at: Number(at) }), waiting: Number(waited[i] ?? 0) >= nowMs };
  });
}

/** Not of one moment: what changes in between may be seen in part. */
export async function inspectShapes(
  context: StoreContext,
  keys: ShardKeys,
  handles: readonly string[],
): Promise<readonly (ShapeInspection | undefined)[]> {
  if (handles.length === 0) return [];
  const [times, [heads, fixed, attempts, compacted, chunks]] = await Promise.all([
    whenRead(context, keys, handles),
    context.redis.run('inspect-shapes', (client) =>
      Promise.all([
        client.hmget(keys.heads, ...handles),
        client.hmget(keys.definitions, ...handles),
        client.hmget(keys.attempts, ...handles),
        client.smismember(keys.compacted, [...handles]),
        // `<handle> <id>`: everything between the blank and what comes after it.
        Promise.all(handles.map((handle) => client.zlexcount(keys.chunks, `[${handle} `, `(${handle}!`))),
      ]),
    ),
  ]);
  return handles.map((handle, i) => {
    const head = heads[i];
    if (head === null || head === undefined) return undefined;
    const record = recordOf(handle, fixed[i], head, attempts[i]);
    return {
      ...shapeUse(handle, decodeHead(head), compacted[i] === 1),
      ...(record === undefined ? {} : { record }),
      logChunks: chunks[i] ?? 0,
      read: times[i] ?? { waiting: false },
    };
  });
}

function recordOf(
  handle: string,
  fixed: string | null | undefined,
  head: string,
  attempt: string | null | undefined,
): ShapeRecord | undefined {
  try {
    return fixed ? decodeRecord(handle, fixed, head, attempt ?? null) : undefined;
  } catch {
    return undefined;
  }
}
