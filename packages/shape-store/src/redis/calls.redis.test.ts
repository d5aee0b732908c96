import { randomUUID } from 'node:crypto';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { sharedRedisUrl } from '@shapecast/testkit';
import { expect, test } from 'vitest';
import { disposable, liveShape, newShard } from '../contract/fixtures.ts';
import { openRedisShapeStore } from './redis-shape-store.ts';

function recorder() {
  const values: number[] = [];
  return { values, record: (value: number) => void values.push(value) };
}

test('every call is told of, with how long it waited for a connection and how long for its answer', async () => {
  const calls = { duration: recorder(), queue: recorder() };
  await using store = disposable(
    openRedisShapeStore({ url: sharedRedisUrl() }, { clock: systemClock, log: silentLogger, calls }),
  );
  const shard = newShard();
  const handle = await liveShape(store, shard, 't');
  // The server may have to be taught the script.
  await store.readHead(shard, handle);
  const before = calls.duration.values.length;
  await store.readHead(shard, handle);
  expect(calls.duration.values.length).toBe(before + 1);
  expect(calls.queue.values.length).toBe(before + 1);
  expect(Math.min(...calls.duration.values, ...calls.queue.values)).toBeGreaterThanOrEqual(0);
});

test('a call that found no connection is told of as one that waited', async () => {
  const calls = { duration: recorder(), queue: recorder() };
  const options = { url: 'redis://127.0.0.1:1', connectionWaitMs: 100 };
  await using store = disposable(openRedisShapeStore(options, { clock: systemClock, log: silentLogger, calls }));
  const shard = { source: randomUUID(), incarnation: 1, shard: 0 };
  await expect(store.readMeta(shard)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  expect(calls.queue.values).toEqual([expect.any(Number)]);
  expect(calls.queue.values[0]).toBeGreaterThanOrEqual(90);
  expect(calls.duration.values).toEqual([]);
});

test('a server tells how it is doing', async () => {
  await using store = disposable(
    openRedisShapeStore({ url: sharedRedisUrl() }, { clock: systemClock, log: silentLogger }),
  );
  const [health, ...others] = await store.health();
  expect(others).toEqual([]);
  expect(health?.node).toBe('redis');
  expect(health?.evictedKeys).toBe(0);
  expect(health?.wrongSettings).toContain('maxmemory is not set');
  expect(health?.usedBytes).toBeGreaterThan(100_000);
});
