import type { ShapeRecord, ShardShapes } from '../shape-store.ts';
import { decodeHead, decodeRecord } from './codec.ts';
import { unavailable } from './connection.ts';
import type { StoreContext } from './context.ts';
import type { ShardKeys } from './keys.ts';
import { loadDelta } from './scripts/load-delta.ts';

const PAGE = 500;
const ATTEMPTS = 5;

/**
 * All living shapes of a shard. A shard may have very many, so they are scanned in pages; what changes meanwhile is caught
 * up with the delta since the version at which the scan began. (A scan returns everything that is there all the time.)
 */
export async function loadShapes(context: StoreContext, keys: ShardKeys): Promise<ShardShapes> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const ver = await context.redis.run('load-shapes', (client) => client.hget(keys.meta, 'ver'));
    if (ver === null) return { ver: '', shapes: [] };
    const fixed = await scan(context, keys.definitions);
    const heads = await scan(context, keys.heads);
    const attempts = await scan(context, keys.attempts);
    const delta = await loadDelta(context, keys, ver);
    // Versions that were lost meanwhile are no better: what was scanned may be of them.
    if (typeof delta !== 'object') continue;

    const shapes = new Map<string, ShapeRecord>();
    for (const [handle, text] of fixed) {
      const head = heads.get(handle);
      if (head) shapes.set(handle, decodeRecord(handle, text, head, attempts.get(handle) ?? null));
    }
    for (const record of delta.changed) shapes.set(record.handle, record);
    const alive = [...shapes.values()].filter(({ state }) => state !== 'dead');
    const damaged = [...heads].flatMap(([handle, head]) =>
      fixed.has(handle) || shapes.has(handle) || decodeHead(head).state === 'dead' ? [] : [handle],
    );
    return { ver: delta.ver, shapes: alive, ...(damaged.length > 0 ? { damaged } : {}) };
  }
  throw unavailable('The shapes of a shard change faster than they can be read.', { reason: 'busy' });
}

async function scan({ redis }: StoreContext, key: string): Promise<Map<string, string>> {
  const fields = new Map<string, string>();
  let cursor = '0';
  do {
    const [next, page] = await redis.run('load-shapes', (client) => client.hscan(key, cursor, 'COUNT', PAGE));
    for (let i = 0; i < page.length; i += 2) fields.set(page[i] as string, page[i + 1] as string);
    cursor = next;
  } while (cursor !== '0');
  return fields;
}
