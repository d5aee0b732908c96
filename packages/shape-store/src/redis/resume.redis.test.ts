import { silentLogger, systemClock } from '@shapecast/service-kit';
import { startRedis, type TestServer } from '@shapecast/testkit';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { at, bytes, disposable, entry, newShard, NOTHING_VISIBLE, Owner, request } from '../contract/fixtures.ts';
import type { ShapeStore } from '../shape-store.ts';
import { ShardKeys } from './keys.ts';
import { openRedisShapeStore } from './redis-shape-store.ts';

describe('a snapshot in redis that was broken off', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startRedis({ settings: { appendfsync: 'always' } });
  });
  afterAll(() => server.stop());

  const open = () =>
    disposable(
      openRedisShapeStore(
        { url: server.url, connectionWaitMs: 5_000, limits: { leaseMs: 0 } },
        { clock: systemClock, log: silentLogger },
      ),
    );

  const brokenOff = async (store: ShapeStore) => {
    const shard = newShard();
    const { handle } = await store.getOrCreate(shard, request('t'));
    await store.snapshotBegin(shard, handle, 'a');
    await store.snapshotKnown(shard, handle, 'a', NOTHING_VISIBLE);
    await store.snapshotPart(shard, handle, 'a', { chunk: 0, bytes: bytes('{"a":1}'), close: false, mark: 'one' });
    return { shard, handle };
  };

  test('is not gone on with after a restart, which may have lost pieces that were read', async () => {
    await using store = open();
    const { shard, handle } = await brokenOff(store);
    expect(await store.snapshotBegin(shard, handle, 'b')).toBe('resumed');
    await server.kill();
    await server.start();
    expect(await store.snapshotBegin(shard, handle, 'c')).toBe('readable');
  });

  test('nor after a failover', async () => {
    await using store = open();
    const { shard, handle } = await brokenOff(store);
    const client = new Redis(server.url);
    // A replica, and then the one that takes over.
    await client.replicaof('127.0.0.1', 1);
    await client.replicaof('no', 'one');
    client.disconnect();
    expect(await store.snapshotBegin(shard, handle, 'b')).toBe('readable');
  });

  test('leaves no copy of its pending log behind, whenever the change of it ended', async () => {
    await using store = open();
    const { shard, handle } = await brokenOff(store);
    const owner = await Owner.acquire(store, shard);
    await owner.write(entry(handle, at(20)), entry(handle, at(21)));
    const copy = new ShardKeys(shard).pendingCopy(handle);
    const client = new Redis(server.url);
    const left = '1-1';
    for (const end of ['change', 'attempt', 'shape']) {
      await client.xadd(copy, left, 'x', 'of a call that did not end');
      if (end === 'change') {
        await store.snapshotBegin(shard, handle, 'b');
        expect(await store.amendPending(shard, handle, 'b', [{ position: at(20) }])).toBe(true);
        expect(await store.readPending(shard, handle, 'b', at(0), 10)).toHaveLength(1);
      } else if (end === 'attempt') await store.snapshotBegin(shard, handle, 'c');
      else {
        await store.rotate(shard, handle, { code: 'SNAPSHOT_FAILED', message: '' });
        await store.sweep(shard, 0);
      }
      expect(await client.exists(copy), end).toBe(0);
    }
    client.disconnect();
  });
});
