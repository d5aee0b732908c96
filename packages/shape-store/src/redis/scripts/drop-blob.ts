import type { StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { defineScript } from '../script.ts';

const run = defineScript<0 | 1>(new URL('./drop-blob.lua', import.meta.url), {
  shared: ['version.lua'],
  whenFull: true,
});

/** Deletes the oldest blobs that nobody has used for longer than the grace period. */
export async function dropUnusedBlobs(
  { redis, limits }: StoreContext,
  keys: ShardKeys,
  graceMs: number,
): Promise<void> {
  const members = await redis.run('drop-blob', (client) =>
    client.zrange(keys.unusedBlobs, '0', String(limits.sweepMaxHandles - 1)),
  );
  if (members.length === 0) return;
  await run.many(
    redis,
    members.map((member) => {
      const [handle, token] = member.split(' ') as [string, string];
      return { keys: [keys.unusedBlobs, keys.blob(handle, token)], args: [member, graceMs] };
    }),
  );
}
