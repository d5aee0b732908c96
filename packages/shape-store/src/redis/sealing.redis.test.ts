import { formatOffset } from '@shapecast/log';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { sharedRedisUrl } from '@shapecast/testkit';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  at,
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
import { LastWins, sealAll } from '../contract/upkeep.contract.ts';
import { DEFAULT_LIMITS } from '../limits.ts';
import type { ShapeStore, ShardId } from '../shape-store.ts';
import { RedisConnection } from './connection.ts';
import { ShardKeys } from './keys.ts';
import { readLog } from './read-log.ts';
import { openRedisShapeStore } from './redis-shape-store.ts';
import { BlobWriter } from './sealed/blob-writer.ts';

const deps = { clock: systemClock, log: silentLogger };
const limits = { sealBlockBytes: 100 };
const ten = '0123456789';

describe('sealed logs in redis', () => {
  let client: Redis;
  beforeAll(() => {
    client = new Redis(sharedRedisUrl());
  });
  afterAll(() => client.disconnect());

  const open = () => disposable(openRedisShapeStore({ url: sharedRedisUrl(), limits }, deps));
  const blobs = async (shard: ShardId) => (await client.keys(`*${shard.source}*`)).filter((key) => key.includes(':z:'));

  /** A shape with a snapshot of two pieces and 40 entries in chunks of five, sealed but for the last few. */
  async function sealedShape(store: ShapeStore, shard: ShardId) {
    const handle = await liveShape(store, shard, 't', 50);
    const owner = await Owner.acquire(store, shard);
    await owner.write(...Array.from({ length: 42 }, (_, i) => entry(handle, at(i + 1), ten)));
    await sealAll(store, shard);
    return { handle, owner, keys: new ShardKeys(shard) };
  }

  test('the stream holds what is not sealed and nothing else', async () => {
    await using store = open();
    const shard = newShard();
    const { handle, keys } = await sealedShape(store, shard);
    expect(await client.xlen(keys.log(handle))).toBe(2);
    expect(await blobs(shard)).toHaveLength(8);
    expect(await client.zcard(keys.unusedBlobs)).toBe(0);
    expect((await follow(store, shard, handle)).map((chunk) => chunk.length)).toEqual([5, 5, 5, 5, 5, 5, 5, 5, 2]);
  });

  test('T19 readers see every entry once and in order while the log is written, sealed and compacted', async () => {
    await using store = open();
    await using other = open();
    const shard = newShard();
    const { handle } = await store.getOrCreate(shard, { ...request('t', 400), compaction: false });
    await snapshot(store, shard, handle);
    await store.promote(shard, handle, 100);
    const { handle: merged } = await store.getOrCreate(shard, { ...request('merged', 60), compaction: true });
    await snapshot(store, shard, merged);
    await store.promote(shard, merged, 100);
    const owner = await Owner.acquire(store, shard);
    const text = (lsn: number) => `${lsn % 3}=${lsn}`;
    let written = 0;
    let writing = true;
    const write = async () => {
      for (let step = 0; step < 200; step += 1) {
        const lsns = Array.from({ length: 1 + ((step * 7) % 11) }, (_, i) => written + 1 + i);
        await owner.write(
          ...lsns.map((lsn) => entry(handle, at(lsn), text(lsn))),
          ...lsns.map((lsn) => entry(merged, at(lsn), text(lsn))),
        );
        written += lsns.length;
      }
      writing = false;
    };
    const maintain = async (by: ShapeStore) => {
      while (writing) {
        await sealAll(by, shard);
        await by.compact(shard, merged, () => new LastWins((one) => one.split('=')[0] as string));
      }
    };
    let reads = 0;
    const readAll = async (by: ShapeStore, seed: number) => {
      for (let round = seed; writing; round += 1) {
        const from = written === 0 ? 0 : (round * 13) % written;
        // An old head: what came and what was sealed since must not show.
        const head = await headOf(by, shard, handle);
        const lsns: number[] = [];
        for (let after = offset(from), place: string | undefined; ;) {
          const got = await by.readLog(shard, head, after, 1 + ((round * 97) % 300), place);
          if (got.entries.length === 0) break;
          lsns.push(...got.entries.map((one) => Number(one.offset.tx)));
          reads += 1;
          after = got.end;
          place = got.place;
        }
        const tail = head.tail.tx > 0n ? Number(head.tail.tx) : 0;
        expect(lsns).toEqual(Array.from({ length: Math.max(0, tail - from) }, (_, i) => from + 1 + i));

        const rows = new Map<string, string>();
        for (let lsn = 1; lsn <= from; lsn += 1) rows.set(...(text(lsn).split('=') as [string, string]));
        const mergedHead = await headOf(by, shard, merged);
        for (let after = offset(from); ;) {
          const got = await by.readLog(shard, mergedHead, after);
          if (got.entries.length === 0) break;
          for (const one of got.entries)
            rows.set(...(Buffer.from(one.bytes).toString().split('=') as [string, string]));
          after = got.end;
        }
        const last = Math.max(from, mergedHead.tail.tx > 0n ? Number(mergedHead.tail.tx) : 0);
        for (let lsn = Math.max(1, last - 2); lsn <= last; lsn += 1)
          expect(rows.get(String(lsn % 3))).toBe(String(lsn));
      }
    };
    await Promise.all([
      write(),
      maintain(store),
      maintain(other),
      readAll(store, 1),
      readAll(other, 2),
      readAll(other, 5),
    ]);
    expect(reads).toBeGreaterThan(20);
    expect((await follow(store, shard, handle)).flat()).toHaveLength(written);
  });

  test('T19 a chunk that is sealed between any two pages of a read is read in full', async () => {
    await using store = open();
    const redis = new RedisConnection(deps, sharedRedisUrl(), {});
    const seen: unknown[] = [];
    for (let before = 0; before < 6; before += 1) {
      const shard = newShard();
      const handle = await liveShape(store, shard, 't', 2_000);
      const owner = await Owner.acquire(store, shard);
      await owner.write(...Array.from({ length: 150 }, (_, i) => entry(handle, at(i + 1), ten)));
      const open = await headOf(store, shard, handle);
      await owner.write(...Array.from({ length: 150 }, (_, i) => entry(handle, at(i + 151), ten)));
      const closed = await headOf(store, shard, handle);
      let trips = 0;
      const run: RedisConnection['run'] = async (what, commands) => {
        if (trips === before) await sealAll(store, shard);
        trips += 1;
        return redis.run(what, commands);
      };
      const context = { redis: { run } as RedisConnection, limits: DEFAULT_LIMITS };
      for (const [head, last] of [
        [open, 150],
        [closed, 200],
      ] as const) {
        trips = head === open ? 0 : trips;
        const { entries } = await readLog(context, new ShardKeys(shard), head, offset(3), Infinity);
        expect(entries.map((one) => Number(one.offset.tx))).toEqual(Array.from({ length: last - 3 }, (_, i) => i + 4));
      }
      seen.push(trips);
    }
    // Reads of the stream take several trips, so most of the sealing happened in between.
    expect(Math.max(...(seen as number[]))).toBeGreaterThan(4);
    await redis.close();
  });

  test('two processes that seal the same chunks leave one blob of each', async () => {
    await using one = open();
    await using two = open();
    const shard = newShard();
    const handle = await liveShape(one, shard, 't', 50);
    const owner = await Owner.acquire(one, shard);
    await owner.write(...Array.from({ length: 42 }, (_, i) => entry(handle, at(i + 1), ten)));
    const before = await read(one, shard, handle);
    const sealed = await Promise.all([sealAll(one, shard), sealAll(two, shard)]);
    expect(sealed[0] + sealed[1]).toBe(8);
    expect(await read(one, shard, handle)).toEqual(before);
    await one.sweep(shard, 0);
    expect(await blobs(shard)).toHaveLength(8);
    expect((await follow(one, shard, handle)).flat()).toHaveLength(42);
  });

  test('a blob whose writer went away is swept, and not before the grace period', async () => {
    await using store = open();
    const shard = newShard();
    const handle = await liveShape(store, shard, 't', 50);
    const owner = await Owner.acquire(store, shard);
    await owner.write(...Array.from({ length: 12 }, (_, i) => entry(handle, at(i + 1), ten)));
    const redis = new RedisConnection(deps, sharedRedisUrl(), {});
    const keys = new ShardKeys(shard);
    const writer = new BlobWriter({ redis, limits: { ...DEFAULT_LIMITS, sealBlockBytes: 10 } }, keys, handle);
    await writer.add({ position: at(1), bytes: Buffer.from(ten), merged: 1 });
    await writer.add({ position: at(2), bytes: Buffer.from(ten), merged: 1 });
    expect(await blobs(shard)).toHaveLength(1);
    expect(await sealAll(store, shard)).toBe(2);
    await store.sweep(shard, 60_000);
    expect(await blobs(shard)).toHaveLength(3);
    await store.sweep(shard, 0);
    expect(await blobs(shard)).toHaveLength(2);
    // Its writer was only slow: what it still writes is nobody's, and goes as well.
    await writer.end(false);
    await store.sweep(shard, 0);
    expect(await blobs(shard)).toHaveLength(2);
    expect((await follow(store, shard, handle)).flat()).toHaveLength(12);
    await redis.close();
  });

  test('snapshots are held compressed, and weigh what they are held as', async () => {
    await using store = open();
    const shard = newShard();
    const { handle } = await store.getOrCreate(shard, request('t'));
    await store.snapshotBegin(shard, handle, 'a');
    await store.snapshotKnown(shard, handle, 'a', NOTHING_VISIBLE);
    const json = Buffer.from('{"row":"value"},'.repeat(5_000).slice(0, -1));
    await store.snapshotPart(shard, handle, 'a', { chunk: 0, bytes: json, close: true });
    await store.snapshotDone(shard, handle, 'a');
    await store.promote(shard, handle, 1);
    await sealAll(store, shard);
    const key = new ShardKeys(shard).snapshot(handle, 0);
    const held = (await client.lindexBuffer(key, 0))?.length as number;
    expect(held).toBeLessThan(json.length / 10);
    const [use] = (await store.scanShapes(shard)).shapes;
    expect(use).toMatchObject({ snapshotBytes: json.length, heldBytes: held });
    const { parts } = (await store.readSnapshot(shard, handle, 0, 0, 1_000)) ?? {};
    expect(Buffer.concat(parts ?? []).equals(json)).toBe(true);
  });

  describe('F144, F146, F157 data of a live shape that is missing is an error, of a dead shape nothing', () => {
    const damages: [string, (keys: ShardKeys, handle: string, blob: string) => Promise<unknown>][] = [
      ['the stream', (keys, handle) => client.del(keys.log(handle))],
      ['a blob', (_, __, blob) => client.del(blob)],
      ['a block of a blob', (_, __, blob) => client.rpop(blob)],
      ['the index of chunks', (keys) => client.del(keys.chunks)],
      ['what a block should hold', (_, __, blob) => client.lset(blob, 1, 'something else')],
      [
        'one byte of a block',
        async (_, __, blob) => {
          const block = (await client.lindexBuffer(blob, 1)) as Buffer;
          block.writeUInt8(block.readUInt8(block.length - 6) ^ 1, block.length - 6);
          await client.lset(blob, 1, block);
        },
      ],
      [
        'a chunk of the index',
        async (keys, handle) => {
          const [member] = await client.zrangebylex(keys.chunks, `[${handle} `, `[${handle} ~`, 'LIMIT', 0, 1);
          const [name, end] = (member as string).split(' ');
          await client.zrem(keys.chunks, member as string);
          await client.zadd(keys.chunks, 0, `${name} ${end}`);
        },
      ],
    ];
    test.each(damages)('%s', async (_, damage) => {
      await using store = open();
      const shard = newShard();
      const { handle, keys } = await sealedShape(store, shard);
      const head = await headOf(store, shard, handle);
      const [member] = await client.zrangebylex(keys.chunks, `[${handle} `, `[${handle} ~`, 'LIMIT', 0, 1);
      await damage(keys, handle, keys.blob(handle, (member as string).split(' ')[2] as string));
      const readAll = async () => {
        for (let after = offset(0, Infinity); ;) {
          const got = await store.readLog(shard, head, after);
          if (got.entries.length === 0) return formatOffset(after);
          after = got.end;
        }
      };
      await expect(readAll()).rejects.toMatchObject({ code: 'SHAPE_DATA_LOST', details: { handle } });
      await store.rotate(shard, handle, FAILURE);
      await expect(readAll()).resolves.toBeDefined();
    });

    test('a chunk of the snapshot', async () => {
      await using store = open();
      const shard = newShard();
      const { handle, keys } = await sealedShape(store, shard);
      await client.del(keys.snapshot(handle, 0));
      await expect(store.readSnapshot(shard, handle, 0, 0, 100)).rejects.toMatchObject({ code: 'SHAPE_DATA_LOST' });
      expect(await store.readSnapshot(shard, handle, 1, 0, 100)).toBeUndefined();
      await store.rotate(shard, handle, FAILURE);
      expect(await store.readSnapshot(shard, handle, 0, 0, 100)).toBeUndefined();
    });

    test('a stream that is gone ends its shape with the next entry, and no other', async () => {
      await using store = open();
      const shard = newShard();
      const { handle, owner, keys } = await sealedShape(store, shard);
      const other = await liveShape(store, shard, 'other');
      await owner.write(entry(other, at(50)));
      await client.del(keys.log(handle));
      await owner.write(entry(handle, at(60)), entry(other, at(60, 2)));
      expect(await headOf(store, shard, handle)).toMatchObject({ state: 'dead', error: { code: 'SHAPE_DATA_LOST' } });
      expect(await client.exists(keys.log(handle))).toBe(0);
      expect((await read(store, shard, other)).offsets).toEqual(['50_0', '60_2']);
    });

    test('a log whose stream is empty, because all of it is sealed, goes on', async () => {
      await using store = open();
      const shard = newShard();
      const { handle, owner, keys } = await sealedShape(store, shard);
      await owner.write(...[43, 44, 45].map((lsn) => entry(handle, at(lsn), ten)));
      await sealAll(store, shard);
      expect(await client.xlen(keys.log(handle))).toBe(0);
      await owner.write(entry(handle, at(46), ten));
      expect((await follow(store, shard, handle)).at(-1)).toEqual(['46_0']);
      expect((await headOf(store, shard, handle)).state).toBe('live');
    });
  });
});
