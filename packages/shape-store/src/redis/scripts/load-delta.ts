import type { ShapeRecord, ShardDelta } from '../../shape-store.ts';
import { decodeRecord } from '../codec.ts';
import type { StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { defineScript } from '../script.ts';

const run = defineScript<string[] | 0 | null>(new URL('./load-delta.lua', import.meta.url));

export async function loadDelta(
  { redis }: StoreContext,
  keys: ShardKeys,
  known: string,
): Promise<ShardDelta | 'regressed' | undefined> {
  const { meta, versions, definitions, heads, attempts } = keys;
  const reply = await run(redis, [meta, versions, definitions, heads, attempts], [known]);
  if (reply === 0) return 'regressed';
  if (reply === null) return undefined;
  const [ver, ...fields] = reply as [string, ...string[]];
  const changed: ShapeRecord[] = [];
  for (let i = 0; i < fields.length; i += 4) {
    const [handle, fixed, head, attempt] = fields.slice(i, i + 4) as [string, string, string, string];
    changed.push(decodeRecord(handle, fixed, head, attempt));
  }
  return { ver, changed };
}
