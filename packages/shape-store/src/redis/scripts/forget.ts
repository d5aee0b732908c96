import type { StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { defineScript } from '../script.ts';

const run = defineScript<1>(new URL('./forget.lua', import.meta.url), {
  shared: ['version.lua'],
  whenFull: true,
});

export async function forget({ redis }: StoreContext, keys: ShardKeys, handles: readonly string[]): Promise<void> {
  const { heads, definitions, attempts, digests, chunks, dead, compacted, doubts, reads, waits } = keys;
  const names = [heads, definitions, attempts, digests, chunks, dead, compacted, doubts, reads, waits];
  await run.many(
    redis,
    handles.map((handle) => ({ keys: names, args: [handle] })),
  );
}
