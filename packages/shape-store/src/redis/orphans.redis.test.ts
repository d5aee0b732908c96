import { silentLogger, systemClock } from '@shapecast/service-kit';
import { sharedRedisUrl, startRedis } from '@shapecast/testkit';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  at,
  bytes,
  disposable,
  entry,
  FAILURE,
  follow,
  headOf,
  liveShape,
  newShard,
  NOTHING_VISIBLE,
  Owner,
  request,
} from '../contract/fixtures.ts';
import type { OrphanStep, ShapeStore, ShardId } from '../shape-store.ts';
import { ShardKeys } from './keys.ts';
import { openRedisShapeStore } from './redis-shape-store.ts';

const GRACE_MS = 600_000;

let client: Redis;
beforeAll(() => {
  client = new Redis(sharedRedisUrl());
});
afterAll(() => client.disconnect());

const open = () =>
  disposable(openRedisShapeStore({ url: sharedRedisUrl() }, { clock: systemClock, log: silentLogger }));

/** All steps of a sweep. */
async function all(step: (cursor?: string) => Promise<OrphanStep>): Promise<number> {
  let deleted = 0;
  let cursor: string | undefined;
  do {
    const done = await step(cursor);
    deleted += done.deleted;
    cursor = done.cursor;
  } while (cursor !== undefined);
  return deleted;
}

const orphans = (store: ShapeStore, { source, incarnation }: ShardId, graceMs = GRACE_MS) =>
  all((cursor) => store.sweepOrphans(source, { incarnation, graceMs }, cursor));
const records = (store: ShapeStore, shard: ShardId) => all((cursor) => store.sweepRecords(shard, cursor));

async function keysOf({ source }: ShardId): Promise<string[]> {
  return (await client.keys(`*${source}*`)).toSorted();
}

/** As if nobody had touched the keys for that long. */
async function age(keys: readonly string[], seconds: number): Promise<void> {
  for (const key of keys) {
    const content = await client.dumpBuffer(key);
    await client.call('RESTORE', key, '0', content, 'REPLACE', 'IDLETIME', String(seconds));
  }
}

describe('data that no shape owns', () => {
  test('T63 goes once nobody has touched it for the grace period, all other data stays', async () => {
    await using store = open();
    const shard = newShard();
    const keys = new ShardKeys(shard);
    const lost = await liveShape(store, shard, 'lost', 10);
    const kept = await liveShape(store, shard, 'kept', 10);
    const owner = await Owner.acquire(store, shard);
    for (let lsn = 10; lsn < 20; lsn += 1) await owner.write(entry(lost, at(lsn)), entry(kept, at(lsn)));
    for (let step = await store.seal(shard); step.cursor !== undefined; step = await store.seal(shard, step.cursor));
    const before = await follow(store, shard, kept);
    const data = (await keysOf(shard)).filter((key) => key.includes(lost));
    expect(data.length).toBeGreaterThan(3);
    // The metadata of the shape is lost, as by an operator's hand.
    for (const key of [keys.heads, keys.definitions, keys.attempts]) await client.hdel(key, lost);

    const chunks = await client.zcard(keys.chunks);
    // Its chunks are still in the index of the shard, and its handle under its digest.
    expect(await records(store, shard)).toBe(chunks / 2 + 1);
    expect(await orphans(store, shard)).toBe(0);
    await age(await keysOf(shard), GRACE_MS / 1_000 - 5);
    expect(await orphans(store, shard)).toBe(0);
    await age(await keysOf(shard), GRACE_MS / 1_000 + 5);
    expect(await orphans(store, shard)).toBe(data.length);
    expect((await keysOf(shard)).filter((key) => key.includes(lost))).toEqual([]);
    expect(await follow(store, shard, kept)).toEqual(before);
  });

  test('a blob of a living shape that nothing names goes too, those in use stay', async () => {
    await using store = open();
    const shard = newShard();
    const keys = new ShardKeys(shard);
    const handle = await liveShape(store, shard, 't', 10);
    const owner = await Owner.acquire(store, shard);
    for (let lsn = 10; lsn < 14; lsn += 1) await owner.write(entry(handle, at(lsn)));
    for (let step = await store.seal(shard); step.cursor !== undefined; step = await store.seal(shard, step.cursor));
    await client.rpush(keys.blob(handle, 'unnamed'), 'x');
    await client.rpush(keys.blob(handle, 'inthemaking'), 'x');
    await client.zadd(keys.unusedBlobs, 1, `${handle} inthemaking`);
    const before = await follow(store, shard, handle);
    await age(await keysOf(shard), 601);
    expect(await orphans(store, shard)).toBe(1);
    expect(await client.exists(keys.blob(handle, 'unnamed'))).toBe(0);
    expect(await client.exists(keys.blob(handle, 'inthemaking'))).toBe(1);
    expect(await follow(store, shard, handle)).toEqual(before);
  });

  test('T26 shapes that are created and ended at the same time as a sweep lose nothing and leave nothing', async () => {
    await using store = open();
    const shard = newShard();
    const owner = await Owner.acquire(store, shard);
    let sweeping = true;
    const sweeper = (async () => {
      while (sweeping) {
        // Without a grace, so that only the order of the steps protects what is new.
        await orphans(store, shard, 0);
        await records(store, shard);
        await store.sweep(shard, 0);
      }
    })();
    try {
      for (let round = 0; round < 25; round += 1) {
        const create = () => store.getOrCreate(shard, request('t'));
        const [{ handle }] = await Promise.all([create(), create()]);
        expect(await store.snapshotBegin(shard, handle, 'a')).toBe('begun');
        expect(await store.snapshotKnown(shard, handle, 'a', NOTHING_VISIBLE)).toBe('known');
        const part = { chunk: 0, bytes: bytes('{"row":1}'), close: true };
        expect(await store.snapshotPart(shard, handle, 'a', part)).toBe(true);
        expect(await store.snapshotDone(shard, handle, 'a')).toBe(true);
        expect(await store.promote(shard, handle, 10)).toBe(0);
        await owner.write(entry(handle, at(10 + round)));
        expect((await headOf(store, shard, handle)).tail.tx).toBe(BigInt(10 + round));
        expect(await store.readSnapshot(shard, handle, 0, 0, 100)).toMatchObject({ closed: true });
        const [, again] = await Promise.all([store.rotate(shard, handle, FAILURE), create()]);
        if (again.created) expect(await store.rotate(shard, again.handle, FAILURE)).toBe(true);
      }
    } finally {
      sweeping = false;
      await sweeper;
    }
    await store.sweep(shard, 0);
    const left = (await keysOf(shard)).map((key) => key.slice(key.indexOf('}') + 2));
    expect(left.toSorted()).toEqual(['m', 'r', 'v']);
  });
});

describe('records that no shape owns', () => {
  test('T63 go from every list of the shard, and a shape without a definition ends', async () => {
    await using store = open();
    const shard = newShard();
    const keys = new ShardKeys(shard);
    const kept = await liveShape(store, shard, 'kept');
    const broken = await liveShape(store, shard, 'broken');
    await store.recordReads(shard, [{ handle: kept, agoMs: 0, waiting: true }], 60_000);
    const ver = (await store.readMeta(shard))?.ver;
    expect(await records(store, shard)).toBe(0);

    await client.hset(keys.definitions, '1-1', 'x');
    await client.hset(keys.attempts, '1-1', '{}');
    await client.hset(keys.doubts, '1-1', '0-0 ');
    await client.hset(keys.digests, { gone: '1-1 1-2', shared: `1-1 ${kept}` });
    await client.sadd(keys.compacted, '1-1');
    for (const key of [keys.reads, keys.waits, keys.dead]) await client.zadd(key, 1, '1-1');
    for (const key of [keys.chunks, keys.unusedBlobs]) await client.zadd(key, 0, '1-1 x');
    await client.hdel(keys.definitions, broken);
    expect(await records(store, shard)).toBe(13);
    expect(await client.hget(keys.digests, 'gone')).toBeNull();
    expect(await client.hget(keys.digests, 'shared')).toBe(kept);
    expect(await headOf(store, shard, broken)).toMatchObject({ state: 'dead', error: { code: 'SHAPE_DATA_LOST' } });
    expect(await headOf(store, shard, kept)).toMatchObject({ state: 'live' });
    expect((await store.loadShapes(shard)).shapes.map(({ handle }) => handle)).toEqual([kept]);
    expect((await store.readMeta(shard))?.ver).not.toBe(ver);
    expect((await store.leastRead(shard, 10, 'include')).shapes.map(({ handle }) => handle)).toEqual([kept]);
    expect(await records(store, shard)).toBe(0);
    // Its digest still names it; a new shape takes its place.
    expect((await store.getOrCreate(shard, request('broken'))).created).toBe(true);
  });

  test('a large shard is looked through in pages', async () => {
    await using store = open();
    const shard = newShard();
    const keys = new ShardKeys(shard);
    await liveShape(store, shard, 't');
    const many = Array.from({ length: 1_500 }, (_, i) => [`1-${i + 1}`, 'x']).flat();
    await client.hset(keys.definitions, ...many);
    let steps = 0;
    const deleted = await all((cursor) => {
      steps += 1;
      return store.sweepRecords(shard, cursor);
    });
    expect(deleted).toBe(1_500);
    expect(steps).toBeGreaterThan(10);
    expect((await store.loadShapes(shard)).shapes).toHaveLength(1);
  });
});

test('T26 a deletion that was interrupted after any of its commands is completed by the next one', async () => {
  await using store = open();
  const shard = newShard();
  const keys = new ShardKeys(shard);
  // What a crash leaves: the log gone, the record still there; then the snapshot too.
  for (const gone of [[], ['log'], ['log', 'snapshot']]) {
    const handle = await liveShape(store, shard, 't');
    const owner = await Owner.acquire(store, shard);
    await owner.write(entry(handle, at((await store.readMeta(shard))!.cursor.position.lsn + 1n)));
    await store.rotate(shard, handle, FAILURE);
    if (gone.includes('log')) await client.unlink(keys.log(handle));
    if (gone.includes('snapshot')) await client.unlink(keys.snapshot(handle, 0));
    expect(await store.sweep(shard, 0)).toBe(1);
    expect((await keysOf(shard)).filter((key) => key.includes(handle))).toEqual([]);
    expect(await store.readHead(shard, handle)).toBeUndefined();
  }
});

test('the memory of a server is told where it has a limit, and whether it evicts', async () => {
  const server = await startRedis({ appendonly: false });
  const limited = new Redis(server.url);
  try {
    await using store = disposable(openRedisShapeStore(server, { clock: systemClock, log: silentLogger }));
    expect(await store.memory()).toEqual([]);
    await limited.config('SET', 'maxmemory', '50mb');
    const [memory] = await store.memory();
    expect(memory).toMatchObject({ maxBytes: 50 * 1024 ** 2, evicts: false });
    expect(memory?.usedBytes).toBeGreaterThan(100_000);
    await limited.config('SET', 'maxmemory-policy', 'allkeys-lru');
    expect(await store.memory()).toMatchObject([{ evicts: true }]);
  } finally {
    limited.disconnect();
    await server.stop();
  }
});
