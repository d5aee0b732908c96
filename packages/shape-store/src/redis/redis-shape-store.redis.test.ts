import { randomUUID } from 'node:crypto';
import { isShapecastError } from '@shapecast/errors';
import { formatOffset } from '@shapecast/log';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { sharedRedisUrl } from '@shapecast/testkit';
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
  offset,
  Owner,
  read,
  request,
  snapshot,
} from '../contract/fixtures.ts';
import { describeShapeStore } from '../shape-store.contract.ts';
import type { ShardId } from '../shape-store.ts';
import { ShardKeys } from './keys.ts';
import { openRedisShapeStore } from './redis-shape-store.ts';

const deps = { clock: systemClock, log: silentLogger };

describeShapeStore('redis', async (limits = {}) =>
  openRedisShapeStore({ url: sharedRedisUrl(), limits, syncedMs: 300 }, deps),
);

describe('the shape store in redis', () => {
  let client: Redis;
  beforeAll(() => {
    client = new Redis(sharedRedisUrl());
  });
  afterAll(() => client.disconnect());

  const open = () => disposable(openRedisShapeStore({ url: sharedRedisUrl() }, deps));

  async function keysOf(shard: ShardId): Promise<string[]> {
    return (await client.keys(`*${shard.source}*`)).toSorted();
  }

  test('all keys of a shard carry its hash tag, and there is no stream before the first entry', async () => {
    await using store = open();
    const shard = newShard();
    const handle = await liveShape(store, shard, 't');
    const dead = await liveShape(store, shard, 'dead', 1);
    const owner = await Owner.acquire(store, shard);
    const log = new ShardKeys(shard).log(handle);
    expect(await client.exists(log)).toBe(0);
    await owner.write(entry(dead, at(10)), entry(handle, at(10, 2)));
    await store.rotate(shard, dead, FAILURE);
    expect(await client.type(log)).toBe('stream');
    const keys = await keysOf(shard);
    expect(keys).toHaveLength(13);
    expect(new Set(keys.map((key) => /\{[^}]+\}/.exec(key)?.[0]))).toEqual(new Set([`{${shard.source}.1.0}`]));
  });

  test('no stream remains when the snapshot showed everything that was pending', async () => {
    await using store = open();
    const shard = newShard();
    const { handle } = await store.getOrCreate(shard, request('t'));
    const owner = await Owner.acquire(store, shard);
    await owner.write(entry(handle, at(10)));
    await store.snapshotBegin(shard, handle, 'a');
    await store.snapshotKnown(shard, handle, 'a', {
      ...NOTHING_VISIBLE,
      xmin: 999n,
      xmax: 999n,
      insertLsn: at(10).lsn,
    });
    await store.snapshotPart(shard, handle, 'a', { chunk: 0, bytes: bytes('{}'), close: true });
    await store.snapshotDone(shard, handle, 'a');
    await store.promote(shard, handle, 10);
    expect(await client.exists(new ShardKeys(shard).log(handle))).toBe(0);
  });

  test('a sweep leaves nothing of a dead shape', async () => {
    await using store = open();
    const shard = newShard();
    const owner = await Owner.acquire(store, shard);
    const handle = await liveShape(store, shard, 't', 1);
    await owner.write(entry(handle, at(10)), entry(handle, at(11)));
    await store.rotate(shard, handle, FAILURE);
    await store.sweep(shard, 0);
    const { meta, ring, versions } = new ShardKeys(shard);
    expect(await keysOf(shard)).toEqual([meta, ring, versions].toSorted());
  });

  test('scripts that the server has forgotten are taught again, also in the middle of a large step', async () => {
    await using store = open();
    const shard = newShard();
    const handle = await liveShape(store, shard, 't');
    const owner = await Owner.acquire(store, shard);
    await owner.refresh();
    await client.script('FLUSH');
    expect(await owner.try(owner.step(Array.from({ length: 1_600 }, (_, i) => entry(handle, at(10 + i)))))).toBe('ok');
    expect((await follow(store, shard, handle)).flat()).toHaveLength(1_600);
  });

  test('a script that died half-way is repeated and leaves each entry once, with the same chunks', async () => {
    await using store = open();
    const shard = newShard();
    const a = await liveShape(store, shard, 'a', 25);
    const b = await liveShape(store, shard, 'b', 25);
    const c = await liveShape(store, shard, 'c', 25);
    const owner = await Owner.acquire(store, shard);
    await owner.refresh();
    const keys = new ShardKeys(shard);
    const lsns = Array.from({ length: 7 }, (_, i) => 10 + i);
    const step = owner.step(
      lsns.flatMap((lsn) => [a, b, c].map((handle, i) => entry(handle, at(lsn, i * 2), '0123456789'))),
    );
    const before = await store.readMeta(shard);

    // The second of three shapes cannot be written: what came before it is in the stream, and the script ends.
    await client.set(keys.log(b), 'in the way');
    await expect(owner.try(step)).rejects.toThrow('WRONGTYPE');
    expect(await client.xlen(keys.log(a))).toBe(7);
    expect(await store.readMeta(shard)).toEqual(before);
    expect(formatOffset((await headOf(store, shard, a)).tail)).toBe('0_inf');
    await client.del(keys.log(b));

    // Then the index of chunks cannot be written.
    const index = await client.type(keys.chunks);
    expect(index).toBe('zset');
    await client.rename(keys.chunks, `${keys.chunks}-away`);
    await client.set(keys.chunks, 'in the way');
    await expect(owner.try(step)).rejects.toThrow('WRONGTYPE');
    await client.rename(`${keys.chunks}-away`, keys.chunks);

    expect(await owner.try(step)).toBe('ok');
    for (const handle of [a, b, c]) {
      expect((await follow(store, shard, handle)).map((chunk) => chunk.length)).toEqual([3, 3, 1]);
    }
  });

  test('a promotion leaves alone what an append that died half-way had stored', async () => {
    await using store = open();
    const shard = newShard();
    const { handle } = await store.getOrCreate(shard, request('t', 40));
    const other = await liveShape(store, shard, 'other');
    const owner = await Owner.acquire(store, shard);
    const ten = '0123456789';
    await owner.write(entry(handle, at(10), ten));
    await snapshot(store, shard, handle);
    await owner.refresh();
    const step = owner.step([entry(handle, at(11), ten), entry(handle, at(12), ten), entry(other, at(12, 2))]);
    const keys = new ShardKeys(shard);
    await client.set(keys.log(other), 'in the way');
    await expect(owner.try(step)).rejects.toThrow('WRONGTYPE');
    await client.del(keys.log(other));
    expect(await store.promote(shard, handle, 100)).toBe(0);
    await owner.write(...step.entries);
    await owner.write(entry(handle, at(13), ten), entry(handle, at(14), ten));
    expect(await follow(store, shard, handle)).toEqual([['10_0', '11_0', '12_0', '13_0'], ['14_0']]);
  });

  test('a clock that was set back does not repeat handles', async () => {
    await using store = open();
    const shard = newShard();
    await store.acquire(shard, 'one');
    await client.hset(new ShardKeys(shard).meta, 'issued', '8765432109876543');
    const first = await store.getOrCreate(shard, request('t'));
    const second = await store.getOrCreate(shard, request('u'));
    expect(first.handle).toMatch(/-8765432109876544$/);
    expect(second.handle).toMatch(/-8765432109876545$/);
  });

  test('what follows a failed part of a step is not applied, so that nothing is skipped when it is repeated', async () => {
    await using store = open();
    const shard = newShard();
    const first = await liveShape(store, shard, 'first');
    const both = await liveShape(store, shard, 'both');
    const owner = await Owner.acquire(store, shard);
    await owner.refresh();
    const keys = new ShardKeys(shard);
    const entries = Array.from({ length: 500 }, (_, i) => entry(i < 250 ? first : both, at(10 + i)));
    const step = owner.step([...entries, ...Array.from({ length: 100 }, (_, i) => entry(both, at(600 + i)))]);
    await client.set(keys.log(first), 'in the way');
    await expect(owner.try(step)).rejects.toThrow('WRONGTYPE');
    expect(await client.exists(keys.log(both))).toBe(0);
    await client.del(keys.log(first));
    expect(await owner.try(step)).toBe('ok');
    expect((await follow(store, shard, both)).flat()).toHaveLength(350);
  });

  test('a log that lost its end is not served as if it were whole', async () => {
    await using store = open();
    const shard = newShard();
    const handle = await liveShape(store, shard, 't', 25);
    const owner = await Owner.acquire(store, shard);
    await owner.write(...[1, 2, 3, 4, 5].map((lsn) => entry(handle, at(lsn), '0123456789')));
    const head = await headOf(store, shard, handle);
    const log = new ShardKeys(shard).log(handle);
    const refused = async (after: number) => {
      const error = await store.readLog(shard, head, offset(after)).catch((caught: unknown) => caught);
      expect(isShapecastError(error, 'SHAPE_DATA_LOST')).toBe(true);
    };
    await client.xdel(log, '5-0');
    await refused(3);
    expect((await read(store, shard, handle)).offsets).toEqual(['1_0', '2_0', '3_0']);
    await client.xdel(log, '3-0');
    await refused(0);
    await client.del(log);
    await refused(0);
  });

  test('a part that another process wrote does not count for this one', async () => {
    await using one = open();
    await using two = open();
    const shard = newShard();
    const { handle } = await one.getOrCreate(shard, request('t'));
    await one.snapshotBegin(shard, handle, 'a');
    await one.snapshotKnown(shard, handle, 'a', NOTHING_VISIBLE);
    const part = (text: string) => ({ chunk: 0, bytes: bytes(text), close: false });
    expect(await one.snapshotPart(shard, handle, 'a', part('first'))).toBe(true);
    expect(await two.snapshotPart(shard, handle, 'a', part('second'))).toBe(true);
    expect(await one.snapshotPart(shard, handle, 'a', part('third'))).toBe(false);
  });

  test('18.2.3 two routers that both believe to own a shard leave one history', async () => {
    await using one = open();
    await using two = open();
    const shard = newShard();
    const handle = await liveShape(one, shard, 't');
    const router = async (store: typeof one) => {
      let owner = await Owner.acquire(store, shard);
      for (;;) {
        const seq = owner.state.cursor.seq;
        if (seq === 60) return;
        await owner.refresh();
        const outcome = await owner.try(
          owner.step(Array.from({ length: 20 }, (_, i) => entry(handle, at(seq + 1, 2 * i)))),
        );
        if (outcome !== 'ok') owner = await Owner.acquire(store, shard, randomUUID());
      }
    };
    await Promise.all([router(one), router(two)]);
    expect((await follow(one, shard, handle)).flat()).toEqual(
      Array.from({ length: 1_200 }, (_, i) => `${1 + Math.floor(i / 20)}_${(i % 20) * 2}`),
    );
  });
});
