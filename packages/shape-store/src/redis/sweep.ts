import type { StoreContext } from './context.ts';
import type { ShardKeys } from './keys.ts';
import { deadBefore } from './scripts/dead-before.ts';
import { forget } from './scripts/forget.ts';

const KEYS_PER_CALL = 100;

/** Data first, in bounded batches that do not block the server, the record last; an interrupted sweep is repeated. */
export async function sweep(context: StoreContext, keys: ShardKeys, graceMs: number): Promise<number> {
  const shapes = await deadBefore(context, keys, graceMs);
  if (shapes.length === 0) return 0;
  const data = shapes.flatMap(({ handle, chunks }) => [
    keys.log(handle),
    ...Array.from({ length: chunks }, (_, chunk) => keys.snapshot(handle, chunk)),
  ]);
  for (let i = 0; i < data.length; i += KEYS_PER_CALL) {
    const slice = data.slice(i, i + KEYS_PER_CALL);
    await context.redis.run('sweep', (client) => client.unlink(...slice));
  }
  await forget(
    context,
    keys,
    shapes.map(({ handle }) => handle),
  );
  return shapes.length;
}
