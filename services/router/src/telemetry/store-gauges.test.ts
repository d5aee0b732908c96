import { silentLogger, systemClock } from '@shapecast/service-kit';
import type { StoreNodeHealth } from '@shapecast/shape-store';
import { Metrics } from '@shapecast/telemetry';
import { waitFor } from '@shapecast/testkit';
import { expect, test } from 'vitest';
import { watchStore } from './store-gauges.ts';

const HEALTH: StoreNodeHealth = {
  node: 'a:6379',
  usedBytes: 30,
  maxBytes: 120,
  evictedKeys: 2,
  wrongSettings: ['appendonly is off'],
  replicationLagS: 1,
};

function valuesOf(metrics: Metrics): Record<string, number | undefined> {
  return Object.fromEntries(
    metrics.collect().map(({ name, labels, value }) => [[name, ...labels].join(' '), value] as const),
  );
}

test('the servers of the store are shown by name, and no longer when they do not answer', async () => {
  const metrics = new Metrics();
  const stop = new AbortController();
  let now = 1_000_000;
  const clock = { ...systemClock, now: () => now };
  let answer: readonly StoreNodeHealth[] | undefined = [HEALTH];
  const store = {
    connected: () => answer !== undefined,
    health: async () => {
      if (answer === undefined) throw new Error('away');
      return answer;
    },
  };
  const watching = watchStore({ store, metrics, clock, log: silentLogger }, stop.signal, 5);
  await waitFor(() => valuesOf(metrics)['shapecast.redis.memory_ratio a:6379'] !== undefined);
  expect(valuesOf(metrics)).toEqual({
    'shapecast.redis.connected': 1,
    'shapecast.redis.memory_ratio a:6379': 0.25,
    'shapecast.redis.evicted.count a:6379': 2,
    'shapecast.redis.settings_wrong a:6379': 1,
    'shapecast.redis.replication_lag a:6379': 1,
  });

  const { replicationLagS: _, ...rest } = HEALTH;
  answer = [{ ...rest, maxBytes: 0, wrongSettings: [], replicationLagS: undefined }];
  await waitFor(() => valuesOf(metrics)['shapecast.redis.settings_wrong a:6379'] === 0);
  expect(valuesOf(metrics)['shapecast.redis.memory_ratio a:6379']).toBeUndefined();

  answer = undefined;
  now += 60_000;
  await waitFor(() => Object.keys(valuesOf(metrics)).length === 1);
  expect(valuesOf(metrics)).toEqual({ 'shapecast.redis.connected': 0 });
  stop.abort();
  await watching;
  expect(valuesOf(metrics)).toEqual({});
});
