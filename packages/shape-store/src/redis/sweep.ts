import type { StoreContext } from './context.ts';
import type { ShardKeys } from './keys.ts';
import { deadBefore } from './scripts/dead-before.ts';
import { dropUnusedBlobs } from './scripts/drop-blob.ts';
import { forget } from './scripts/forget.ts';
import { decodeMember, lastMember } from './sealed/blob.ts';

const KEYS_PER_CALL = 100;

/** Data first, in bounded batches that do not block the server, the record last; an interrupted sweep is repeated. */
export async function sweep(context: StoreContext, keys: ShardKeys, graceMs: number): Promise<number> {
  await dropUnusedBlobs(context, keys, graceMs);
  const shapes = await deadBefore(context, keys, graceMs);
  if (shapes.length === 0) return 0;
  for (const { handle, chunks } of shapes) {
    const data = [
      keys.log(handle),
      keys.pendingCopy(handle),
      ...Array.from({ length: chunks }, (_, chunk) => keys.snapshot(handle, chunk)),
      ...(await blobsOf(context, keys, handle)),
    ];
    for (let i = 0; i < data.length; i += KEYS_PER_CALL) {
      const slice = data.slice(i, i + KEYS_PER_CALL);
      await context.redis.run('sweep', (client) => client.unlink(...slice));
    }
  }
  await forget(
    context,
    keys,
    shapes.map(({ handle }) => handle),
  );
  return shapes.length;
}

async function blobsOf({ redis }: StoreContext, keys: ShardKeys, handle: string): Promise<string[]> {
  const members = await redis.run('sweep', (client) =>
    client.zrangebylex(keys.chunks, `[${handle} `, lastMember(handle)),
  );
  return members.flatMap((member) => {
    const { blob } = decodeMember(member);
    return blob ? [keys.blob(handle, blob.token)] : [];
  });
}
