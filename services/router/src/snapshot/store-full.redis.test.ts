import { silentLogger, systemClock } from '@shapecast/service-kit';
import { openRedisShapeStore } from '@shapecast/shape-store';
import { startRedis, waitFor } from '@shapecast/testkit';
import { expect, test } from 'vitest';
import { Harness } from '../testing/harness.ts';
import { readShape } from '../testing/read-shape.ts';

test('a shape whose snapshot the store has no room for is removed with its rows, and others go on', async () => {
  const redis = await startRedis({ appendonly: false, settings: { maxmemory: '16mb' } });
  const store = openRedisShapeStore({ url: redis.url }, { clock: systemClock, log: silentLogger });
  const harness = new Harness({ shards: 1, store });
  try {
    await harness.open();
    for (let i = 0; i < 300; i += 1) {
      harness.commit((tx) => tx.insert(harness.items, { id: String(i), owner: 'a', note: 'x'.repeat(100_000) }));
    }
    await harness.flush();
    await harness.startRouter('one');
    const shape = await harness.createShape({ chunkBytes: 1_000_000 });
    const head = await waitFor(async () => {
      const now = await store.readHead(shape.shard, shape.handle).catch(() => undefined);
      return now?.state === 'dead' ? now : undefined;
    });
    expect(head.error).toEqual({
      code: 'SNAPSHOT_FAILED',
      message: 'Unable to create initial snapshot: the shape store is out of memory',
    });
    // It had been readable; nothing of it is left to be taken for the whole.
    expect(head.closedChunks).toBeGreaterThan(3);
    expect(await store.readSnapshot(shape.shard, shape.handle, 0, 0, 1_000)).toBeUndefined();

    const small = await harness.createShape({ where: `id = '7'` });
    await waitFor(async () => (await store.readHead(small.shard, small.handle))?.state === 'live');
    expect((await readShape(store, small)).rows.size).toBe(1);
  } finally {
    await harness.close();
    await redis.stop();
  }
});
