import { formatOffset } from '@shapecast/log';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { startRedis, waitFor, type TestServer } from '@shapecast/testkit';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  at,
  disposable,
  entry,
  follow,
  headOf,
  liveShape,
  newShard,
  offset,
  Owner,
  read,
  request,
  snapshot,
} from '../contract/fixtures.ts';
import { LastWins, sealAll } from '../contract/upkeep.contract.ts';
import type { ShapeStore, ShardId } from '../shape-store.ts';
import { ShardKeys } from './keys.ts';
import { openRedisShapeStore } from './redis-shape-store.ts';

const ten = '0123456789';
const wins = () => new LastWins((text) => text.slice(0, 1));

describe('sealed logs and outages of redis', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startRedis({ settings: { appendfsync: 'always' } });
  });
  afterAll(() => server.stop());

  const open = (sealBlockBytes = 30) =>
    disposable(
      openRedisShapeStore(
        { url: server.url, connectionWaitMs: 3_000, limits: { sealBlockBytes } },
        { clock: systemClock, log: silentLogger },
      ),
    );

  async function restart(store: ShapeStore): Promise<void> {
    await server.kill();
    await server.start();
    await waitFor(() =>
      store.readMeta(newShard()).then(
        () => true,
        () => false,
      ),
    );
  }

  async function sealAndCompact(store: ShapeStore, shard: ShardId): Promise<void> {
    await sealAll(store, shard);
    for (const { handle } of (await store.scanShapes(shard)).shapes) await store.compact(shard, handle, wins);
  }

  test('T17 every kind of first entry is read from 0_inf, before and after a restart', async () => {
    await using store = open();
    const shard = newShard();
    const owner = await Owner.acquire(store, shard);
    const shape = async (table: string, compaction = false) => {
      const { handle } = await store.getOrCreate(shard, { ...request(table, 30), compaction });
      await snapshot(store, shard, handle);
      await store.promote(shard, handle, 100);
      return handle;
    };
    const handles: Record<string, string> = {
      none: await shape('none'),
      promoted: (await store.getOrCreate(shard, request('promoted', 30))).handle,
      first: await shape('first'),
      'at the beginning of a transaction': await shape('begin'),
      'a chunk of its own': await shape('large'),
      sealed: await shape('sealed'),
      compacted: await shape('compacted', true),
    };
    const of = (name: string) => handles[name] as string;
    await owner.write(entry(of('promoted'), at(1, 4), ten));
    await snapshot(store, shard, of('promoted'));
    await store.promote(shard, of('promoted'), 100);
    const many = (name: string) => Array.from({ length: 20 }, (_, i) => entry(of(name), at(10, 2 * i), ten));
    await owner.write(
      entry(of('first'), at(10, 2), ten),
      entry(of('at the beginning of a transaction'), at(10), ten),
      entry(of('a chunk of its own'), at(10), ten.repeat(10)),
      ...many('sealed'),
      ...many('compacted'),
    );
    await sealAndCompact(store, shard);
    const look = async () => {
      const seen: Record<string, string> = {};
      for (const [name, handle] of Object.entries(handles)) {
        const got = await read(store, shard, handle);
        seen[name] = `${formatOffset((await headOf(store, shard, handle)).tail)}: ${got.offsets[0]} to ${got.end}`;
      }
      return seen;
    };
    const before = await look();
    expect(before).toEqual({
      none: '0_inf: undefined to 0_inf',
      promoted: '1_4: 1_4 to 1_4',
      first: '10_2: 10_2 to 10_2',
      'at the beginning of a transaction': '10_0: 10_0 to 10_0',
      'a chunk of its own': '10_0: 10_0 to 10_0',
      sealed: '10_38: 10_0 to 10_4',
      // All entries of the first chunk are one now, at the place of the last.
      compacted: '10_38: 10_4 to 10_4',
    });
    await restart(store);
    expect(await look()).toEqual(before);
    expect(await sealAll(store, shard)).toBe(0);
  });

  test('T18 a crash while chunks are sealed leaves all entries, and what it interrupted is taken up', async () => {
    await using store = open();
    const shard = newShard();
    const handle = await liveShape(store, shard, 't', 50);
    const owner = await Owner.acquire(store, shard);
    await owner.write(...Array.from({ length: 300 }, (_, i) => entry(handle, at(1 + i), ten)));
    const before = await follow(store, shard, handle);
    let crash: Promise<void> | undefined;
    let sealed = 0;
    // One chunk after the other until the server is gone, at whatever command that happens to be.
    for (let cursor: string | undefined; ;) {
      const step = await store.seal(shard, cursor).catch(() => undefined);
      if (step === undefined) break;
      if (step.sealed) sealed += 1;
      if (sealed === 10) crash ??= server.kill();
      cursor = step.cursor;
    }
    await crash;
    await server.start();
    await waitFor(() =>
      store.readMeta(shard).then(
        () => true,
        () => false,
      ),
    );
    expect(await follow(store, shard, handle)).toEqual(before);
    expect(await sealAll(store, shard)).toBeGreaterThan(20);
    expect(await follow(store, shard, handle)).toEqual(before);
    await store.sweep(shard, 0);
    const client = new Redis(server.url);
    const keys = new ShardKeys(shard);
    expect(await client.keys(keys.blob(handle, '*').replace(/[{}[\]]/g, '?'))).toHaveLength(60);
    expect(await client.xlen(keys.log(handle))).toBe(0);
    client.disconnect();
    await owner.write(entry(handle, at(1_000), ten));
    expect((await read(store, shard, handle, offset(300))).offsets).toEqual(['1000_0']);
  });

  test('a server without memory is relieved by sealing, which it lets go on', async () => {
    await using store = open(100_000);
    const client = new Redis(server.url);
    const shard = newShard();
    const handle = await liveShape(store, shard, 't', 200_000);
    const owner = await Owner.acquire(store, shard);
    const text = ten.repeat(100);
    await owner.write(...Array.from({ length: 2_000 }, (_, i) => entry(handle, at(i + 1), text)));
    const used = Number(/used_memory:(\d+)/.exec(await client.info('memory'))?.[1]);
    await client.config('SET', 'maxmemory', String(used));
    const step = owner.step(Array.from({ length: 500 }, (_, i) => entry(handle, at(3_000 + i), text)));
    await expect(owner.try(step)).rejects.toMatchObject({ details: { reason: 'out_of_memory' } });
    expect(await sealAll(store, shard)).toBe(10);
    expect(await owner.try(step)).toBe('ok');
    await client.config('SET', 'maxmemory', '0');
    expect((await follow(store, shard, handle)).flat()).toHaveLength(2_500);
    client.disconnect();
  });
});
