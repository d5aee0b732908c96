import { once } from 'node:events';
import { connect } from 'node:net';
import { silentLogger, systemClock, type Logger } from '@shapecast/service-kit';
import { openRedisShapeStore } from '@shapecast/shape-store';
import { startRedis, waitFor } from '@shapecast/testkit';
import { expect, test } from 'vitest';
import { Harness } from './testing/harness.ts';
import { readShape } from './testing/read-shape.ts';

test('F145 a store without memory holds changes up, loses none, and is told of; ending shapes still works', async () => {
  const redis = await startRedis({ appendonly: false });
  const store = openRedisShapeStore({ url: redis.url }, { clock: systemClock, log: silentLogger });
  const harness = new Harness({ shards: 1, store });
  const warnings: unknown[] = [];
  const log: Logger = {
    ...silentLogger,
    warn: (fields) => void warnings.push((fields as { err?: { details?: { reason?: unknown } } }).err?.details?.reason),
    child: () => log,
  };
  const setMemory = async (value: string) => {
    const socket = connect(redis.port, '127.0.0.1');
    socket.write(`CONFIG SET maxmemory ${value}\r\n`);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    expect(answer.toString()).toBe('+OK\r\n');
  };
  const insert = async (id: number) => {
    harness.commit((tx) => tx.insert(harness.items, { id: String(id), owner: 'a', note: null }));
    await harness.flush();
  };
  try {
    await harness.open();
    // Relief has its own test; here the memory is gone whatever is done about it.
    const quiet = { reliefMs: 3_600_000 };
    const router = await harness.startRouter('one', { worker: { lingerMs: 5 }, upkeep: quiet }, { log });
    const [shape, other] = [await harness.createShape(), await harness.createShape({ columns: ['id'] })];
    const stateOf = async ({ shard, handle }: typeof shape) => (await store.readHead(shard, handle))?.state;
    for (const one of [shape, other]) await waitFor(async () => (await stateOf(one)) === 'live');
    await insert(1);
    await waitFor(async () => (await readShape(store, shape)).log.length === 1);

    await setMemory('1mb');
    for (const id of [2, 3]) await insert(id);
    await waitFor(() => warnings.includes('out_of_memory'), { describe: () => `warned of ${warnings.join()}` });
    expect((router.report()['shards'] as { lastError?: string }[])[0]?.lastError).toContain('Redis cannot serve');
    expect((await readShape(store, shape)).log).toHaveLength(1);
    expect(await store.rotate(other.shard, other.handle, { code: 'SHAPE_EXPIRED', message: 'no room' })).toBe(true);
    await store.recordReads(shape.shard, [{ handle: shape.handle, agoMs: 0, waiting: true }], 1_000);

    await setMemory('0');
    await waitFor(async () => (await readShape(store, shape)).log.length >= 3);
    const { rows, log: entries } = await readShape(store, shape);
    expect([rows.size, entries.length]).toEqual([3, 3]);
    expect(await stateOf(other)).toBe('dead');
  } finally {
    await setMemory('0').catch(() => undefined);
    await harness.close();
    await redis.stop();
  }
});
