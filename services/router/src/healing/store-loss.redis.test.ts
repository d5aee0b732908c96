import { redisCommand, startRedis, waitFor, type TestServer } from '@shapecast/testkit';
import { afterEach, describe, expect, test } from 'vitest';
import type { PlacedShape } from '../testing/harness.ts';
import { StoreWorld } from '../testing/store-world.ts';

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function start(options: { readonly shards?: number } = {}) {
  const redis = await startRedis({ appendonly: false });
  closing.push(() => redis.stop());
  const world = new StoreWorld(redis.url, options);
  closing.push(() => world.close());
  await world.harness.open();
  return { redis, world };
}

/** Clients of so many shapes, which ask for theirs again when it has ended. */
async function keepAlive(world: StoreWorld, count: number): Promise<Map<number, PlacedShape>> {
  const shapes = new Map<number, PlacedShape>();
  await waitFor(
    async () => {
      const states = await Promise.all(
        Array.from({ length: count }, async (_, i) => {
          const shape = shapes.get(i);
          const state = shape && (await world.head(shape).catch(() => undefined))?.state;
          if (state === undefined || state === 'dead') {
            shapes.set(i, await world.harness.createShape({ where: `owner = 'o${i}'` }));
          }
          return state;
        }),
      );
      return states.every((state) => state === 'live');
    },
    { intervalMs: 50 },
  );
  return shapes;
}

describe('everything is lost', () => {
  test('F144 F142 many shapes come again, a few snapshots at a time, each of them once', async () => {
    const { redis, world } = await start({ shards: 2 });
    const count = Number(process.env['SHAPECAST_TEST_LOST_SHAPES'] ?? 100);
    const concurrency = 4;
    await world.startRouter('one', { quotas: { snapshotSlots: concurrency } });
    const before = await keepAlive(world, count);
    world.snapshots.most = world.snapshots.taken = 0;
    await redisCommand(redis.port, 'FLUSHALL');
    // The owners notice by themselves, and what comes before that ends with what was there.
    const after = await keepAlive(world, count);
    expect(world.snapshots.most).toBeLessThanOrEqual(concurrency);
    expect(world.snapshots.taken).toBeLessThanOrEqual(2 * count);
    for (const [i, { handle }] of after) expect(handle).not.toBe(before.get(i)?.handle);
  });
});

describe('F144 an operator deletes', () => {
  // By `keys.ts`.
  test.each(['m', 'r', 'd', 'f', 'h', 'a', 'v', 'c', 'q', 'l:*', 'b:*'])(
    '%s: a shape is whole, or it has ended; other shards do not notice',
    async (kind) => {
      const { redis, world } = await start({ shards: 2 });
      const one = await world.startRouter('one');
      await world.insert(3);
      const [shape, other] = await inTwoShards(world);
      await world.insert(5, shape, other);
      const [before, beforeOther] = [await world.read(shape), await world.read(other)];
      await deleteKeys(redis, shape, kind);

      // With the owner that knows everything, and with one that has to read it.
      const rows = await write(world, shape, 2);
      expect(await outcome(world, shape, before.log, rows)).toMatch(/whole|ended|refused/);
      await one.stop();
      await world.startRouter('two');
      const more = await write(world, shape, 2);
      expect(await outcome(world, shape, before.log, more)).toMatch(/whole|ended|refused/);
      expect((await world.read(other)).log.slice(0, 5)).toEqual(beforeOther.log);
      expect((await world.read(other)).rows.size).toBe(more);
    },
  );
});

async function inTwoShards(world: StoreWorld): Promise<[PlacedShape, PlacedShape]> {
  const columns = [['id'], ['id', 'note'], ['id', 'owner'], ['id', 'note', 'owner']];
  const shapes = await Promise.all(columns.map((names) => world.liveShape({ columns: names })));
  const [first] = shapes;
  const second = shapes.find(({ shard }) => shard.shard !== first!.shard.shard);
  expect(second).toBeDefined();
  return [first!, second!];
}

async function deleteKeys({ port }: TestServer, { shard, handle }: PlacedShape, kind: string): Promise<void> {
  const pattern = `shapecast:{${shard.source}.1.${shard.shard}}:${kind.replace('*', `${handle}*`)}`;
  const keys = (await redisCommand(port, 'KEYS', pattern)) as string[];
  if (keys.length > 0) await redisCommand(port, 'DEL', ...keys);
}

/** Rows that there are once the owners of both shards have applied some more, and looked at the store. */
async function write(world: StoreWorld, { shard }: PlacedShape, count: number): Promise<number> {
  await world.insert(count);
  const { lastSeq } = await world.harness.stream.info();
  for (const id of [0, 1]) {
    await waitFor(async () => {
      const meta = await world.store.readMeta({ ...shard, shard: id }).catch(() => undefined);
      return meta?.cursor.seq === lastSeq;
    });
  }
  return world.rows;
}

/** What a reader of the shape finds: never fewer rows than there are, nor other bytes than before. */
async function outcome(
  world: StoreWorld,
  shape: PlacedShape,
  log: Awaited<ReturnType<StoreWorld['read']>>['log'],
  rows: number,
): Promise<string> {
  const head = await world.head(shape);
  if (head === undefined || head.state === 'dead') return 'ended';
  const read = await world.read(shape).catch((error: unknown) => error as Error);
  if (read instanceof Error) return /missing in the store|is missing/.test(read.message) ? 'refused' : String(read);
  if (JSON.stringify(read.log.slice(0, log.length)) !== JSON.stringify(log)) return 'other bytes';
  return read.rows.size === rows ? 'whole' : `${read.rows.size} of ${rows} rows`;
}
