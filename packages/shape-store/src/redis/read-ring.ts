import type { Lsn } from '@shapecast/log';
import type { SafetyRing } from '../shape-store.ts';
import type { StoreContext } from './context.ts';
import type { ShardKeys } from './keys.ts';

/** The ring and its floor in one step: an append in between could move entries below the floor. */
export async function readRing({ redis }: StoreContext, keys: ShardKeys, upTo: Lsn): Promise<SafetyRing> {
  const [items, floor] = await redis.run('read-ring', async (client) => {
    const results = await client.multi().lrange(keys.ring, 0, -1).hget(keys.meta, 'floor').exec();
    const [ring, meta] = results as [[Error | null, string[]], [Error | null, string | null]];
    const error = ring[0] ?? meta[0];
    if (error) throw error;
    return [ring[1], meta[1]] as const;
  });
  const entries = items
    .map((item) => ({ lsn: BigInt(item.slice(0, 20)) as Lsn, xid: BigInt(item.slice(21)) }))
    .filter(({ lsn }) => lsn <= upTo);
  return { entries, floor: BigInt(floor ?? 0) as Lsn };
}
