import { isShapecastError } from '@shapecast/errors';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { startRedis, waitFor } from '@shapecast/testkit';
import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { bytes, disposable, FAILURE, headOf, newShard, NOTHING_VISIBLE, request } from '../contract/fixtures.ts';
import { openRedisShapeStore } from './redis-shape-store.ts';

test('a snapshot that fills the memory can be given up there, which makes room again', async () => {
  const server = await startRedis({ appendonly: false, settings: { maxmemory: '12mb' } });
  try {
    await using store = disposable(openRedisShapeStore({ url: server.url }, { clock: systemClock, log: silentLogger }));
    const shard = newShard();
    const { handle } = await store.getOrCreate(shard, request('t'));
    await store.snapshotBegin(shard, handle, 'a');
    await store.snapshotKnown(shard, handle, 'a', NOTHING_VISIBLE);
    const fill = async () => {
      for (let chunk = 0; chunk < 100; chunk += 1) {
        const row = bytes(`"${'x'.repeat(500_000)}"`);
        await store.snapshotPart(shard, handle, 'a', { chunk, bytes: row, close: true });
      }
    };
    const error: unknown = await fill().catch((err: unknown) => err);
    expect(isShapecastError(error, 'STORE_UNAVAILABLE') && error.details['reason']).toBe('out_of_memory');
    const client = new Redis(server.url);
    // Beyond its limit, and not just about to pass it.
    await client.config('SET', 'maxmemory', '6mb');
    await expect(client.set('anything', 'else')).rejects.toThrow(/^OOM/);

    expect(await store.snapshotFailed(shard, handle, 'a', FAILURE)).toBe(true);
    expect(await headOf(store, shard, handle)).toMatchObject({ state: 'dead', error: FAILURE });
    expect(await store.readSnapshot(shard, handle, 0, 0, 1_000)).toBeUndefined();
    // Deleted in the background.
    await waitFor(async () => (await client.set('anything', 'else').catch(() => undefined)) === 'OK');
    client.disconnect();
    const next = await store.getOrCreate(shard, request('t'));
    expect(next.created).toBe(true);
    expect(await store.snapshotBegin(shard, next.handle, 'b')).toBe('begun');
  } finally {
    await server.stop();
  }
});
