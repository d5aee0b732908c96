import type { Lsn } from '@shapecast/log';
import type { SafetyRing } from '../shape-store.ts';
import type { StoreContext } from './context.ts';
import type { ShardKeys } from './keys.ts';

/** The ring and its floor in one step: an append in between could move entries below the floor. */
export async function readRing({ redis }: StoreContext, keys: ShardKeys, upTo: Lsn): Promise<SafetyRing> {
  const [items, [floor, skipped]] = await redis.run('read-ring', async (client) => {
    const results = await client.multi().lrange(keys.ring, 0, -1).hmget(keys.meta, 'floor', 'skip').exec();
    const [ring, meta] = results as [[Error | null, string[]], [Error | null, [string | null, string | null]]];
    const error = ring[0] ?? meta[0];
    if (error) throw error;
    return [ring[1], meta[1]] as const;
  });
  const entries = items
    .map((item) => ({ lsn: BigInt(item.slice(0, 20)) as Lsn, xid: BigInt(item.slice(21)) }))
    .filter(({ lsn }) => lsn <= upTo);
  // A shard that nobody has used yet has seen nothing, like a new one.
  const missing = floor === null ? 'new' : skipped;
  return { entries, floor: BigInt(floor ?? 0), ...(missing ? { skipped: missing } : {}) };
}
