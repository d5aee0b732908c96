import type { ShardMeta } from '../../shape-store.ts';
import { randomToken, type StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { decodeMeta, type MetaFields } from '../codec.ts';
import { defineScript } from '../script.ts';

const run = defineScript<MetaFields>(new URL('./acquire.lua', import.meta.url), { shared: ['version.lua'] });

export async function acquire({ redis }: StoreContext, keys: ShardKeys, owner: string): Promise<ShardMeta> {
  return decodeMeta(await run(redis, [keys.meta, keys.versions], [owner, randomToken()]));
}
