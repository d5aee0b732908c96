import { copyFile, readdir, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { redisCommand, startRedis, waitFor, type RedisOptions, type TestServer } from '@shapecast/testkit';
import { afterEach, describe, expect, test } from 'vitest';
import { goBack, save, StoreWorld } from '../testing/store-world.ts';

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function start(options: RedisOptions = {}): Promise<{ readonly redis: TestServer; readonly world: StoreWorld }> {
  const redis = await startRedis(options);
  const world = new StoreWorld(redis.url);
  closing.push(
    () => redis.stop(),
    () => world.close(),
  );
  await world.harness.open();
  return { redis, world };
}

/** A shape whose snapshot is on its way, and of which readers have seen something. */
async function halfRead(world: StoreWorld) {
  const shape = await world.harness.createShape({ columns: ['id', 'note'], chunkBytes: 100 });
  await world.until(shape, (head) => (head?.closedChunks ?? 0) > 0);
  return shape;
}

describe('a Redis that comes back with everything', () => {
  test('F135 costs nothing, not even a shape whose snapshot is being taken', async () => {
    const { redis, world } = await start();
    const one = await world.startRouter('one');
    const shape = await world.liveShape();
    await world.insert(10, shape);
    const before = await world.read(shape);
    world.snapshots.hold('end');
    const coming = await halfRead(world);
    await redis.kill();
    await redis.start();
    await world.expectSame(shape, before);
    await world.insert(3, shape);
    expect((await world.head(coming))?.state).toBe('snapshotting');
    world.snapshots.open();
    await world.until(coming, (head) => head?.state === 'live');
    expect((await world.read(coming)).rows.size).toBe(13);
    await one.stop();
    expect(world.events.filter((event) => /regress|rotated/.test(event))).toEqual([]);
  });

  test('F135 the next owner does not doubt what the last one has found to be whole', async () => {
    const { redis, world } = await start();
    const one = await world.startRouter('one', { snapshotDrainMs: 60_000 });
    const shape = await world.liveShape();
    await world.insert(10, shape);
    await redis.kill();
    await redis.start();
    await world.insert(1, shape);
    // By then it has looked.
    await waitFor(async () => (await nodeOf(redis, shape.shard.source)) === (await runOf(redis)));
    world.snapshots.hold('end');
    const coming = await halfRead(world);
    const stopped = one.stop();
    await world.startRouter('two');
    await waitFor(async () => (await world.store.readMeta(shape.shard))?.epoch === 2);
    await world.insert(1, shape);
    world.snapshots.open();
    await stopped;
    await world.until(coming, (head) => head?.state === 'live');
    expect(world.events).not.toContain('shape_rotated');
  });
});

describe('a Redis that comes back without the end', () => {
  test('F136 an append-only file that is cut off costs nothing: the same bytes are at the same offsets', async () => {
    const { redis, world } = await start();
    await world.startRouter('one');
    const shape = await world.liveShape();
    await world.insert(10, shape);
    const file = await appendOnlyFile(redis);
    const { size } = await stat(file);
    await world.insert(10, shape);
    const before = await world.read(shape);
    await redis.kill();
    // In the middle of a command.
    await truncate(file, size + 7);
    await redis.start();
    await world.expectSame(shape, before);
    expect(before.log).toHaveLength(20);
    await waitFor(() => world.events.includes('store_regressed'));
    expect(world.events).not.toContain('shape_rotated');
    await world.insert(1, shape);
    expect((await world.read(shape)).rows.size).toBe(21);
  });

  test('F140 on a source where nothing happens: shapes that it does not know are gone, one in the making ends, others stay', async () => {
    const { redis, world } = await start({ appendonly: false });
    await world.startRouter('one');
    await world.insert(10);
    const shape = await world.liveShape();
    const before = await world.read(shape);
    world.snapshots.hold('rows');
    const coming = await world.harness.createShape({ columns: ['id', 'note'], chunkBytes: 100 });
    await world.until(coming, (head) => head?.state === 'snapshotting');
    const { cursor } = (await world.store.readMeta(shape.shard))!;
    await save(redis);
    world.snapshots.hold('end');
    await world.until(coming, (head) => (head?.closedChunks ?? 0) > 0);
    world.snapshots.open();
    await world.until(coming, (head) => head?.state === 'live');
    const lost = await world.liveShape({ columns: ['id', 'owner'] });
    expect((await world.store.readMeta(shape.shard))!.cursor).toEqual(cursor);

    await goBack(redis);
    await world.until(coming, (head) => head?.state === 'dead');
    expect(await world.head(lost)).toBeUndefined();
    await world.expectSame(shape, before);
    expect(world.events.filter((event) => event === 'store_regressed')).toHaveLength(1);
    expect(world.events.filter((event) => event === 'shape_rotated')).toHaveLength(1);
    const next = await world.liveShape({ columns: ['id', 'owner'] });
    expect(next.handle).not.toBe(lost.handle);
    await world.insert(1, shape, next);
    expect((await world.read(next)).rows.size).toBe(11);
  });

  test('F140 a snapshot of which only pieces were lost is not written again under the same handle', async () => {
    const { redis, world } = await start({ appendonly: false });
    await world.startRouter('one', { snapshotLeaseMs: 1_500 });
    await world.insert(10);
    const shape = await world.liveShape();
    world.snapshots.hold('rows');
    const coming = await world.harness.createShape({ columns: ['id', 'note'], chunkBytes: 100 });
    await world.until(coming, (head) => head?.state === 'snapshotting');
    await save(redis);
    world.snapshots.hold('end');
    await world.until(coming, (head) => (head?.closedChunks ?? 0) > 0);
    await goBack(redis);
    await world.until(coming, (head) => head?.state === 'snapshotting' && head.closedChunks === 0);
    world.snapshots.open();
    await world.until(coming, (head) => head?.state === 'dead');
    expect((await world.head(shape))?.state).toBe('live');
  });

  test('12.5.8 an owner that comes after the loss ends what is not live, and nothing else', async () => {
    const { redis, world } = await start({ appendonly: false });
    const one = await world.startRouter('one');
    await world.insert(10);
    const shape = await world.liveShape();
    const before = await world.read(shape);
    world.snapshots.hold('rows');
    const coming = await world.harness.createShape({ columns: ['id', 'note'], chunkBytes: 100 });
    await world.until(coming, (head) => head?.state === 'snapshotting');
    await save(redis);
    world.snapshots.hold('end');
    await world.until(coming, (head) => (head?.closedChunks ?? 0) > 0);
    await one.stop();
    await goBack(redis);
    world.snapshots.open();
    await world.until(coming, (head) => head?.state === 'snapshotting' && head.closedChunks === 0);
    await world.startRouter('two');
    await world.until(coming, (head) => head?.state === 'dead');
    await world.expectSame(shape, before);
    expect(world.events.filter((event) => event === 'shape_rotated')).toHaveLength(1);
  });

  test('F143 an old copy is brought to where the stream is, unless the stream no longer reaches back', async () => {
    const { redis, world } = await start({ appendonly: false });
    await world.startRouter('one', { worker: { lingerMs: 5, metaPollMs: 200 } });
    const shape = await world.liveShape();
    await world.insert(5, shape);
    await save(redis);
    const [dump, copy] = [join(redis.dataDir, 'dump.rdb'), join(redis.dataDir, 'copy.rdb')];
    await copyFile(dump, copy);
    await world.insert(50, shape);
    const lost = await world.liveShape({ columns: ['id', 'note'] });
    const before = await world.read(shape);
    await save(redis);
    await redis.kill();
    await copyFile(copy, dump);
    await redis.start();
    await world.expectSame(shape, before);
    expect(before.log).toHaveLength(55);
    expect(await world.head(lost)).toBeUndefined();
    expect(world.events).not.toContain('shape_rotated');

    await world.harness.stream.trim((await world.harness.stream.info()).lastSeq - 3);
    await redis.kill();
    await copyFile(copy, dump);
    await redis.start();
    await world.until(shape, (head) => head?.state === 'dead');
    expect(world.events).toContain('stream_gap');
    // What comes into being while the others are ended is ended with them.
    let next = await world.harness.createShape();
    await world.until(next, (head) => head?.state === 'live' || head?.state === 'dead');
    if ((await world.head(next))?.state === 'dead') next = await world.liveShape();
    await world.insert(1, next);
    expect((await world.read(next)).rows.size).toBe(56);
  });
});

function metaOf(source: string): string {
  return `shapecast:{${source}.1.0}:m`;
}

async function nodeOf({ port }: TestServer, source: string): Promise<string> {
  return String(await redisCommand(port, 'HGET', metaOf(source), 'node'));
}

async function runOf({ port }: TestServer): Promise<string> {
  const info = `${String(await redisCommand(port, 'INFO', 'server'))}${String(await redisCommand(port, 'INFO', 'replication'))}`;
  return `${/run_id:(\w+)/.exec(info)?.[1]}${/master_replid:(\w+)/.exec(info)?.[1]}`;
}

/** The part that is written at the moment. */
async function appendOnlyFile({ dataDir }: TestServer): Promise<string> {
  const folder = join(dataDir, 'appendonlydir');
  const parts = (await readdir(folder)).filter((name) => name.endsWith('.incr.aof'));
  return join(folder, parts.toSorted().at(-1) as string);
}
