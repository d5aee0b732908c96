import { canonicalText } from '@shapecast/shape';
import type { CreateRequest } from '../../shape-store.ts';
import { handlePrefix } from '../../identity.ts';
import { encodeFingerprint } from '../codec.ts';
import { randomToken, type StoreContext } from '../context.ts';
import { storedTraceparent } from '../note.ts';
import type { ShardKeys } from '../keys.ts';
import { defineScript } from '../script.ts';

const run = defineScript<[handle: string, created: 0 | 1]>(new URL('./get-or-create.lua', import.meta.url), {
  shared: ['head.lua', 'version.lua', 'node.lua'],
});

/** Undefined while the owner of the shard holds registrations, unless `insist`. */
export async function getOrCreate(
  { redis, limits }: StoreContext,
  keys: ShardKeys,
  request: CreateRequest,
  insist: boolean,
) {
  const [handle, created] = await run(
    redis,
    [keys.meta, keys.digests, keys.definitions, keys.heads, keys.versions, keys.compacted],
    [
      request.digest,
      canonicalText(request.definition),
      encodeFingerprint(request.fingerprint, request.logFormat),
      request.chunkBytes,
      handlePrefix(request.digest),
      randomToken(),
      limits.versionsKept,
      request.compaction === true ? 1 : 0,
      request.issued?.newest ?? 0,
      request.issued?.ceiling ?? 0,
      insist ? 1 : 0,
      storedTraceparent(request.traceparent),
    ],
  );
  return handle === '' ? undefined : { handle, created: created === 1 };
}
