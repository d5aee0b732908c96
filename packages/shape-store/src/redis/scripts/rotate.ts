import type { ShapeFailure } from '../../shape-store.ts';
import { encodeFailure } from '../codec.ts';
import { randomToken, type StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { defineScript } from '../script.ts';

const run = defineScript<0 | 1 | 2>(new URL('./rotate.lua', import.meta.url), {
  shared: ['head.lua', 'version.lua'],
  whenFull: true,
});

/** False when the shape is gone already. */
export async function rotate(
  context: StoreContext,
  keys: ShardKeys,
  handle: string,
  failure: ShapeFailure,
): Promise<boolean> {
  return (await end(context, keys, handle, failure, '')) === 1;
}

/** True also when this attempt has ended the shape before. False when the attempt is not the current one. */
export async function snapshotFailed(
  context: StoreContext,
  keys: ShardKeys,
  handle: string,
  token: string,
  failure: ShapeFailure,
): Promise<boolean> {
  return (await end(context, keys, handle, failure, token)) !== 0;
}

function end({ redis, limits }: StoreContext, keys: ShardKeys, handle: string, failure: ShapeFailure, token: string) {
  const { meta, heads, definitions, digests, versions, dead, attempts, reads, waits } = keys;
  return run(
    redis,
    [meta, heads, definitions, digests, versions, dead, keys.log(handle), attempts, reads, waits],
    [handle, encodeFailure(failure), randomToken(), limits.versionsKept, token],
  );
}
