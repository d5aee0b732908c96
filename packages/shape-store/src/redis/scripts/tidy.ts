import { DATA_LOST } from '../../limits.ts';
import { encodeFailure } from '../codec.ts';
import { randomToken, type StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { defineScript } from '../script.ts';

const run = defineScript<number>(new URL('./tidy.lua', import.meta.url), {
  shared: ['head.lua', 'version.lua'],
  whenFull: true,
});

export type RecordKind = 'hash' | 'set' | 'zset' | 'prefixed' | 'digests' | 'heads';

export function tidy(
  { redis, limits }: StoreContext,
  keys: ShardKeys,
  { key, kind }: { readonly key: string; readonly kind: RecordKind },
  members: readonly string[],
): Promise<number> {
  const { heads, meta, versions, dead, definitions } = keys;
  const args = [kind, encodeFailure(DATA_LOST), randomToken(), limits.versionsKept, ...members];
  return run(redis, [heads, key, meta, versions, dead, definitions], args);
}
