import { isShapecastError } from '@shapecast/errors';
import { formatOffset } from '@shapecast/log';
import { silentLogger, systemClock, type Logger } from '@shapecast/service-kit';
import { startRedis, waitFor, type TestServer } from '@shapecast/testkit';
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
import { openRedisShapeStore, type RedisShapeStoreOptions } from './redis-shape-store.ts';

describe('outages of redis', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startRedis({ settings: { appendfsync: 'always' } });
  });
  afterAll(() => server.stop());

  const open = (options: Partial<RedisShapeStoreOptions> = {}, log: Logger = silentLogger) =>
    disposable(
      openRedisShapeStore({ url: server.url, connectionWaitMs: 3_000, ...options }, { clock: systemClock, log }),
    );

  async function isUnavailable(call: Promise<unknown>): Promise<boolean> {
    return call.then(
      () => false,
      (error: unknown) => isShapecastError(error, 'STORE_UNAVAILABLE'),
    );
  }

  test('opening does not connect, and a server that is not there is an error of each call', async () => {
    await using store = open({ url: 'redis://127.0.0.1:1' });
    expect(store.connected()).toBe(false);
    expect(await isUnavailable(store.readMeta(newShard()))).toBe(true);
    const calls = await Promise.all(Array.from({ length: 50 }, () => isUnavailable(store.acquire(newShard(), 'one'))));
    expect(new Set(calls)).toEqual(new Set([true]));
  });

  test('a closed store refuses calls', async () => {
    const store = open();
    await store.acquire(newShard(), 'one');
    await store.close();
    await store.close();
    expect(store.connected()).toBe(false);
    expect(await isUnavailable(store.acquire(newShard(), 'one'))).toBe(true);
  });

  test('after a crash everything that was answered is there, and the same store goes on', async () => {
    const lines: string[] = [];
    const note = (_: object, message: string) => void lines.push(message);
    const log: Logger = { ...silentLogger, warn: note, info: note, error: note, child: () => log };
    await using store = open({}, log);
    const shard = newShard();
    const handle = await liveShape(store, shard, 't');
    const owner = await Owner.acquire(store, shard);
    await owner.write(...Array.from({ length: 1_200 }, (_, i) => entry(handle, at(1 + i))));
    const meta = await store.readMeta(shard);
    await server.kill();
    expect(await isUnavailable(store.readMeta(shard))).toBe(true);
    expect(store.connected()).toBe(false);
    expect(await isUnavailable(owner.try(owner.step([entry(handle, at(2_000))])))).toBe(true);
    await server.start();
    await waitFor(async () => !(await isUnavailable(store.readMeta(shard))));
    expect(store.connected()).toBe(true);
    expect(await store.readMeta(shard)).toEqual(meta);
    expect(await owner.try(owner.step([entry(handle, at(2_000))]))).toBe('ok');
    expect((await follow(store, shard, handle)).flat()).toHaveLength(1_201);
    expect(lines).toEqual(['redis is unavailable, retrying until it is back', 'redis is back']);
  });

  test('a crash in the middle of writing leaves what a successor can go on from', async () => {
    await using store = open();
    const shard = newShard();
    const handles = await Promise.all(Array.from({ length: 5 }, (_, i) => liveShape(store, shard, `t${i}`, 2_000)));
    const first = await Owner.acquire(store, shard);
    await first.refresh();
    const step = (owner: Owner) => {
      const seq = owner.state.cursor.seq;
      return owner.step(Array.from({ length: 1_300 }, (_, i) => entry(handles[i % 5] as string, at(seq + 1, 2 * i))));
    };
    let crash: Promise<void> | undefined;
    for (;;) {
      const outcome = await first.try(step(first)).catch(() => undefined);
      if (outcome === undefined) break;
      expect(outcome).toBe('ok');
      if (first.state.cursor.seq === 5) crash = server.kill();
    }
    await crash;
    await server.start();
    await waitFor(async () => !(await isUnavailable(store.readMeta(shard))));

    const second = await Owner.acquire(store, shard);
    expect(second.state.cursor.seq).toBeGreaterThanOrEqual(5);
    const seen = () => Promise.all(handles.map(async (handle) => (await follow(store, shard, handle)).flat().length));
    expect(await seen()).toEqual(handles.map(() => second.state.cursor.seq * 260));
    await second.refresh();
    while (second.state.cursor.seq < 20) expect(await second.try(step(second))).toBe('ok');
    expect(await seen()).toEqual(handles.map(() => 5_200));
    for (const handle of handles) {
      const offsets = (await follow(store, shard, handle)).flat();
      expect(new Set(offsets).size).toBe(5_200);
    }
  });

  test('a call whose answer was lost may be repeated: a step is refused, a piece of a snapshot is not doubled', async () => {
    await using store = open({ commandTimeoutMs: 300 });
    const shard = newShard();
    const live = await liveShape(store, shard, 'live');
    const { handle } = await store.getOrCreate(shard, request('t'));
    await store.snapshotBegin(shard, handle, 'a');
    await store.snapshotKnown(shard, handle, 'a', NOTHING_VISIBLE);
    const owner = await Owner.acquire(store, shard);
    await owner.refresh();
    // Appends have their own connection; this opens it.
    expect(await owner.try(owner.step([entry(live, at(9))]))).toBe('ok');
    const step = owner.step([entry(live, at(10))]);
    const part = { chunk: 0, bytes: bytes('{"row":1}'), close: false };

    await server.pause();
    const lost = [isUnavailable(owner.try(step)), isUnavailable(store.snapshotPart(shard, handle, 'a', part))];
    expect(await Promise.all(lost)).toEqual([true, true]);
    await server.resume();
    await waitFor(async () => !(await isUnavailable(store.readMeta(shard))));
    // Both had reached the server and were carried out when it woke up.
    await waitFor(async () => (await headOf(store, shard, handle)).snapshotStarted);
    expect(await owner.try(step)).toBe('cursor');
    expect(formatOffset((await headOf(store, shard, live)).tail)).toBe('10_0');
    expect(await store.snapshotPart(shard, handle, 'a', part)).toBe(true);
    expect((await store.readSnapshot(shard, handle, 0, 0, 1_000))?.parts).toHaveLength(1);
    expect(await store.snapshotPart(shard, handle, 'a', { ...part, close: true })).toBe(true);
    expect((await store.readSnapshot(shard, handle, 0, 0, 1_000))?.parts).toHaveLength(2);
  });

  test('a server without memory pushes back, and nothing is lost when it has some again', async () => {
    await using store = open();
    const client = new Redis(server.url);
    const shard = newShard();
    const handle = await liveShape(store, shard, 't');
    const owner = await Owner.acquire(store, shard);
    await owner.write(entry(handle, at(10)));
    await client.config('SET', 'maxmemory', '1mb');
    const step = owner.step(Array.from({ length: 1_100 }, (_, i) => entry(handle, at(20 + i))));
    const error = await owner.try(step).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE', details: { reason: 'out_of_memory' } });
    expect((await follow(store, shard, handle)).flat()).toEqual(['10_0']);
    await client.config('SET', 'maxmemory', '0');
    expect(await owner.try(step)).toBe('ok');
    expect((await follow(store, shard, handle)).flat()).toHaveLength(1_101);
    await store.rotate(shard, handle, FAILURE);
    client.disconnect();
  });
});
