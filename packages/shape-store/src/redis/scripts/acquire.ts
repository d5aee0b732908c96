import { randomToken, type StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { decodeMeta, type MetaFields } from '../codec.ts';
import { defineScript } from '../script.ts';

const run = defineScript<[...MetaFields, same: '0' | '1']>(new URL('./acquire.lua', import.meta.url), {
  shared: ['version.lua', 'node.lua'],
});

export async function acquire({ redis }: StoreContext, keys: ShardKeys, owner: string) {
  const [epoch, token, ver, cursor, vis, wm, same] = await run(
    redis,
    [keys.meta, keys.versions],
    [owner, randomToken()],
  );
  return { ...decodeMeta([epoch, token, ver, cursor, vis, wm]), maybeLost: same !== '1' };
}
