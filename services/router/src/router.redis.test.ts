import { connect } from 'node:net';
import { once } from 'node:events';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { openRedisShapeStore } from '@shapecast/shape-store';
import { sharedRedisUrl, startRedis, waitFor } from '@shapecast/testkit';
import { expect, test } from 'vitest';
import { describeRouter } from './router.contract.ts';
import { Harness } from './testing/harness.ts';
import { readShape } from './testing/read-shape.ts';

const parts = { clock: systemClock, log: silentLogger };

describeRouter('redis', () => openRedisShapeStore({ url: sharedRedisUrl() }, parts));

test('a store that went back in time gets the same entries again', async () => {
  const redis = await startRedis({ appendonly: false });
  const harness = new Harness({ shards: 1, store: openRedisShapeStore({ url: redis.url }, parts) });
  try {
    await harness.open();
    const router = await harness.startRouter('one', { worker: { lingerMs: 5 } });
    const shape = await harness.createShape();
    const insert = async (from: number, to: number) => {
      for (let i = from; i < to; i += 1) {
        const lsn = harness.commit((tx) => tx.insert(harness.items, { id: String(i), owner: 'a', note: null }));
        await harness.flush();
        if (i === to - 1) await waitFor(async () => ((await head())?.visible.lsn ?? 0n) >= lsn);
      }
    };
    const head = () => harness.store.readHead(shape.shard, shape.handle).catch(() => undefined);
    await waitFor(async () => (await head())?.state === 'live');
    await insert(0, 10);
    await command(redis.port, 'SAVE');
    await insert(10, 20);
    const before = await readShape(harness.store, shape);
    await redis.kill();
    await redis.start();
    // Nothing new happens; the router notices by itself.
    await waitFor(
      async () => ((await head())?.visible.lsn ?? 0n) >= BigInt((before.log.at(-1)?.offset ?? '').split('_')[0] ?? 0),
    );
    await waitFor(() => router.report().ready);
    const after = await readShape(harness.store, shape);
    expect(after.log).toEqual(before.log);
    expect(after.log).toHaveLength(20);
  } finally {
    await harness.close();
    await redis.stop();
  }
});

test('a shard whose data is gone starts over empty', async () => {
  const redis = await startRedis({ appendonly: false });
  const harness = new Harness({ shards: 1, store: openRedisShapeStore({ url: redis.url }, parts) });
  try {
    await harness.open();
    await harness.startRouter('one');
    const shape = await harness.createShape();
    const state = async (of: typeof shape) =>
      (await harness.store.readHead(of.shard, of.handle).catch(() => undefined))?.state;
    await waitFor(async () => (await state(shape)) === 'live');
    await redis.kill();
    await redis.start();
    await waitFor(async () => (await harness.store.readMeta(shape.shard).catch(() => undefined)) !== undefined);
    expect(await state(shape)).toBeUndefined();
    let again = await harness.createShape();
    harness.commit((tx) => tx.insert(harness.items, { id: '1', owner: 'a', note: null }));
    await harness.flush();
    const states: unknown[] = [];
    await waitFor(
      async () => {
        const now = await state(again);
        if (now !== states.at(-1)) states.push(now);
        // One that comes while the shard is being taken back has nobody who attends to it, and ends: readers ask again.
        if (now === 'dead') again = await harness.createShape();
        return now === 'live';
      },
      { describe: () => `states of the shape: ${states.join(', ')}` },
    );
    await waitFor(async () => (await readShape(harness.store, again)).rows.size === 1);
  } finally {
    await harness.close();
    await redis.stop();
  }
});

async function command(port: number, text: string): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  socket.write(`${text}\r\n`);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  expect(answer.toString()).toBe('+OK\r\n');
}
