import { isShapecastError } from '@shapecast/errors';
import type { OrphanStep, ShardId, StoreMemory } from '../shape-store.ts';
import type { StoreContext } from './context.ts';
import { ShardKeys } from './keys.ts';
import type { StoreNodes } from './nodes/node.ts';
import { decodeMember, lastMember } from './sealed/blob.ts';
import { dropIdle, dropOrphans, type FoundKey } from './scripts/drop-orphan.ts';
import { tidy, type RecordKind } from './scripts/tidy.ts';

/** Keys, or members of one key, that a step looks at. */
const PAGE = 300;

/** One page of the keys of one node, node by node. Nothing is remembered between the steps but where that was. */
export async function sweepOrphans(
  nodes: StoreNodes,
  source: string,
  options: { readonly incarnation: number; readonly graceMs: number },
  cursor?: string,
): Promise<OrphanStep> {
  const [name = '', from = '0'] = cursor?.split(' ') ?? [];
  const all = await nodes.all();
  const node = cursor === undefined ? all[0] : all.find((one) => one.name === name);
  // It has left the cluster in the middle of it: the next search is not far.
  if (node === undefined) return { looked: 0, deleted: 0 };
  const { next, ...step } = await sweepPage(node.lane('calls'), source, options, from);
  if (next !== '0') return { ...step, cursor: `${node.name} ${next}` };
  const following = all[all.indexOf(node) + 1];
  return { ...step, ...(following ? { cursor: `${following.name} 0` } : {}) };
}

async function sweepPage(
  context: StoreContext,
  source: string,
  { incarnation, graceMs }: { readonly incarnation: number; readonly graceMs: number },
  cursor: string,
): Promise<OrphanStep & { readonly next: string }> {
  const [next, page] = await context.redis.run('sweep-orphans', (client) =>
    client.scan(cursor, 'MATCH', ShardKeys.ofSource(source), 'COUNT', PAGE),
  );
  const old: string[] = [];
  const current: FoundKey[] = [];
  for (const key of page) {
    const place = ShardKeys.parse(key);
    if (place?.shard.source !== source) continue;
    if (place.shard.incarnation < incarnation) old.push(key);
    else if (place.shard.incarnation === incarnation) current.push({ key, place });
  }
  const suspects = await withoutNamed(context, current);
  const deleted = (await dropIdle(context, old, graceMs)) + (await dropOrphans(context, suspects, graceMs));
  return { looked: page.length, deleted, next };
}

/** Leaves out blobs that a chunk names: one look per shape, and not one for each of its blobs in the script that deletes. */
async function withoutNamed(context: StoreContext, found: readonly FoundKey[]): Promise<FoundKey[]> {
  const named = new Map<string, Promise<ReadonlySet<string>>>();
  const suspects = await Promise.all(
    found.map(async (one) => {
      const { shard, data } = one.place;
      if (data?.token === undefined) return one;
      const { handle, token } = data;
      const tokens = named.get(handle) ?? tokensOf(context, new ShardKeys(shard), handle);
      named.set(handle, tokens);
      return (await tokens).has(token) ? undefined : one;
    }),
  );
  return suspects.filter((one) => one !== undefined);
}

async function tokensOf({ redis }: StoreContext, keys: ShardKeys, handle: string): Promise<ReadonlySet<string>> {
  const members = await redis.run('sweep-orphans', (client) =>
    client.zrangebylex(keys.chunks, `[${handle} `, lastMember(handle)),
  );
  return new Set(members.flatMap((member) => decodeMember(member).blob?.token ?? []));
}

/** One page of one of the keys that hold records of the shapes of a shard. */
export async function sweepRecords(context: StoreContext, keys: ShardKeys, cursor = '0 0'): Promise<OrphanStep> {
  const [index, from] = cursor.split(' ') as [string, string];
  const places = recordsOf(keys);
  const place = places[Number(index)];
  if (place === undefined) return { looked: 0, deleted: 0 };
  const [next, members] = await page(context, place, from);
  const deleted = members.length === 0 ? 0 : await tidy(context, keys, place, members);
  const to = next === '0' ? `${Number(index) + 1} 0` : `${index} ${next}`;
  const over = next === '0' && Number(index) + 1 === places.length;
  return { looked: members.length, deleted, ...(over ? {} : { cursor: to }) };
}

function recordsOf(keys: ShardKeys): readonly { readonly key: string; readonly kind: RecordKind }[] {
  return [
    { key: keys.heads, kind: 'heads' },
    { key: keys.definitions, kind: 'hash' },
    { key: keys.attempts, kind: 'hash' },
    { key: keys.doubts, kind: 'hash' },
    { key: keys.compacted, kind: 'set' },
    { key: keys.reads, kind: 'zset' },
    { key: keys.waits, kind: 'zset' },
    { key: keys.dead, kind: 'zset' },
    { key: keys.chunks, kind: 'prefixed' },
    { key: keys.unusedBlobs, kind: 'prefixed' },
    { key: keys.digests, kind: 'digests' },
  ];
}

async function page(
  { redis }: StoreContext,
  { key, kind }: { readonly key: string; readonly kind: RecordKind },
  cursor: string,
): Promise<[next: string, members: string[]]> {
  if (kind === 'set') return redis.run('sweep-records', (client) => client.sscan(key, cursor, 'COUNT', PAGE));
  const [next, fields] = await redis.run('sweep-records', (client) =>
    kind === 'zset' || kind === 'prefixed'
      ? client.zscan(key, cursor, 'COUNT', PAGE)
      : client.hscan(key, cursor, 'COUNT', PAGE),
  );
  return [next, fields.filter((_, i) => i % 2 === 0)];
}

/** What each node says of its memory; those without a limit are left out. */
export async function readMemory(nodes: StoreNodes): Promise<readonly StoreMemory[]> {
  const read = (await nodes.all()).map(async (node) => {
    const memory = await memoryOf(node.lane('calls'));
    return (
      memory && {
        ...memory,
        node: node.name,
        holds: (shard: ShardId) => nodes.nodeOf(new ShardKeys(shard).tag)?.name === node.name,
      }
    );
  });
  return (await Promise.all(read)).filter((memory) => memory !== undefined);
}

async function memoryOf({ redis }: StoreContext) {
  const info = await redis
    .run('memory', (client) => client.info('memory'))
    .catch((error: unknown) => {
      // A user who may not ask is not told; then there is no limit that we could keep.
      if (isShapecastError(error, 'STORE_UNAVAILABLE') && error.details['reason'] === 'noperm') return '';
      throw error;
    });
  const maxBytes = Number(/^maxmemory:(\d+)/m.exec(info)?.[1] ?? 0);
  const usedBytes = Number(/^used_memory:(\d+)/m.exec(info)?.[1] ?? 0);
  const policy = /^maxmemory_policy:([\w-]+)/m.exec(info)?.[1] ?? 'noeviction';
  return maxBytes > 0 ? { usedBytes, maxBytes, evicts: policy !== 'noeviction' } : undefined;
}

export async function readIssued({ redis }: StoreContext, { meta }: ShardKeys): Promise<number> {
  return Number((await redis.run('issued-handles', (client) => client.hget(meta, 'issued'))) ?? 0);
}
