import { silentLogger, systemClock } from '@shapecast/service-kit';
import { redisCommand, startRedis, waitFor, type TestServer } from '@shapecast/testkit';
import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, test } from 'vitest';
import {
  at,
  bytes,
  disposable,
  entry,
  FAILURE,
  liveShape,
  newShard,
  NOTHING_VISIBLE,
  Owner,
  request,
} from '../contract/fixtures.ts';
import type { ShapeStore, ShardId } from '../shape-store.ts';
import { openRedisShapeStore } from './redis-shape-store.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startRedis({ appendonly: false });
});
afterAll(() => server?.stop());

let store: ShapeStore & AsyncDisposable;
beforeEach(() => {
  const limits = { leaseMs: 0 };
  store = disposable(openRedisShapeStore({ url: server.url, limits }, { clock: systemClock, log: silentLogger }));
});
afterEach(() => store[Symbol.asyncDispose]());

const save = () => redisCommand(server.port, 'SAVE');

/** To what was saved. */
async function goBack(): Promise<void> {
  await server.kill();
  await server.start();
  await waitFor(() =>
    store
      .readMeta(newShard())
      .then(() => true)
      .catch(() => false),
  );
}

/** A shape whose snapshot has begun, by the attempt `a`. */
async function begun(): Promise<{ readonly shard: ShardId; readonly handle: string }> {
  const shard = newShard();
  const { handle } = await store.getOrCreate(shard, request('t'));
  expect(await store.snapshotBegin(shard, handle, 'a')).toBe('begun');
  expect(await store.snapshotKnown(shard, handle, 'a', NOTHING_VISIBLE)).toBe('known');
  return { shard, handle };
}

const part = (chunk: number, close = true) => ({ chunk, bytes: bytes(`{"n":${chunk}}`), close });

describe('a store that has lost the end of what it knew', () => {
  test('12.5.8 does not take a snapshot for complete whose last pieces are gone', async () => {
    const { shard, handle } = await begun();
    expect(await store.snapshotPart(shard, handle, 'a', part(0))).toBe(true);
    await save();
    expect(await store.snapshotPart(shard, handle, 'a', part(1))).toBe(true);
    await goBack();
    expect(await store.snapshotDone(shard, handle, 'a')).toBe(false);
    expect((await store.readHead(shard, handle))?.state).toBe('snapshotting');
  });

  test('takes it for complete when nothing is gone', async () => {
    const { shard, handle } = await begun();
    expect(await store.snapshotPart(shard, handle, 'a', part(0))).toBe(true);
    expect(await store.snapshotPart(shard, handle, 'a', part(1))).toBe(true);
    await save();
    await goBack();
    expect(await store.snapshotDone(shard, handle, 'a')).toBe(true);
  });

  test('12.5.8 lets nobody begin again what somebody may have read, though it knows of no piece', async () => {
    const { shard, handle } = await begun();
    await save();
    expect(await store.snapshotPart(shard, handle, 'a', part(0))).toBe(true);
    await goBack();
    expect(await store.readHead(shard, handle)).toMatchObject({ snapshotStarted: false });
    expect(await store.snapshotBegin(shard, handle, 'b')).toBe('readable');
  });

  test('says so to an owner whose last version it does not know, whatever the counter says', async () => {
    const shard = newShard();
    const { state } = await Owner.acquire(store, shard);
    await save();
    const lost = await liveShape(store, shard, 'lost');
    const { ver } = (await store.readMeta(shard))!;
    await goBack();
    expect(await store.loadDelta(shard, ver)).toBe('regressed');
    expect(await store.loadDelta(shard, state.ver)).toEqual({ ver: state.ver, changed: [] });
    // The counter comes to where it was, by other shapes.
    while ((await store.readMeta(shard))!.ver.split(':')[0] !== ver.split(':')[0]) {
      const { handle } = await store.getOrCreate(shard, request(`other ${Math.random()}`));
      expect(handle).not.toBe(lost);
    }
    expect(await store.loadDelta(shard, ver)).toBe('regressed');
  });

  test('is doubted by the next owner, until one has vouched for it', async () => {
    const shard = newShard();
    const handle = await liveShape(store, shard, 't');
    const first = await Owner.acquire(store, shard);
    await first.write(entry(handle, at(10)));
    await save();
    const connection = store.connectionOf(shard);
    await goBack();
    expect(store.connectionOf(shard)).not.toBe(connection);
    // One that comes and goes without a look changes nothing.
    expect((await store.acquire(shard, 'second')).maybeLost).toBe(true);
    const third = await store.acquire(shard, 'third');
    expect(third.maybeLost).toBe(true);
    expect(await store.vouch(shard, third)).toBe(true);
    expect((await store.acquire(shard, 'fourth')).maybeLost).toBe(false);
  });

  test('what was rotated after it was saved is alive, with the same bytes', async () => {
    const shard = newShard();
    const handle = await liveShape(store, shard, 't');
    const owner = await Owner.acquire(store, shard);
    await owner.write(entry(handle, at(10)));
    await save();
    await store.rotate(shard, handle, FAILURE);
    await goBack();
    expect(await store.readHead(shard, handle)).toMatchObject({ state: 'live', tail: { tx: 10n } });
  });
});
