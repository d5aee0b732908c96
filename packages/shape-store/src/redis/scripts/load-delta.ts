import type { ShapeRecord, ShardDelta } from '../../shape-store.ts';
import { decodeRecord } from '../codec.ts';
import type { StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { defineScript } from '../script.ts';

const run = defineScript<string[] | null>(new URL('./load-delta.lua', import.meta.url));

export async function loadDelta(
  { redis }: StoreContext,
  keys: ShardKeys,
  known: string,
): Promise<ShardDelta | undefined> {
  const { meta, versions, definitions, heads, attempts } = keys;
  const reply = await run(redis, [meta, versions, definitions, heads, attempts], [known]);
  if (!reply) return undefined;
  const [ver, ...fields] = reply as [string, ...string[]];
  const changed: ShapeRecord[] = [];
  for (let i = 0; i < fields.length; i += 4) {
    const [handle, fixed, head, attempt] = fields.slice(i, i + 4) as [string, string, string, string];
    changed.push(decodeRecord(handle, fixed, head, attempt));
  }
  return { ver, changed };
}
