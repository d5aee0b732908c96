import type { StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { defineScript } from '../script.ts';

const run = defineScript<string | null>(new URL('./find.lua', import.meta.url));

export async function find({ redis }: StoreContext, keys: ShardKeys, digest: string): Promise<string | undefined> {
  return (await run(redis, [keys.digests, keys.heads], [digest])) ?? undefined;
}
