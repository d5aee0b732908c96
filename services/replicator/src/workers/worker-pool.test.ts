import { silentLogger, systemClock, type Clock } from '@shapecast/service-kit';
import type { Source } from '@shapecast/sources';
import { waitFor } from '@shapecast/testkit';
import { openProcessTelemetry, TELEMETRY_DEFAULTS, type MetricName, type ProcessTelemetry } from '@shapecast/telemetry';
import { afterEach, describe, expect, test } from 'vitest';
import { startSourceThread } from './source-thread.ts';
import { WorkerPool } from './worker-pool.ts';

const entry = new URL('../testing/moody-worker.ts', import.meta.url);
const pools: WorkerPool[] = [];
afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.stop()));
});

function source(id: string): Source {
  const limits = {} as Source['settings']['limits'];
  const settings = {
    id,
    state: 'active',
    origin: 'file',
    labels: {},
    limits,
    environment: {},
    changedAt: 0,
  } as const;
  return { settings };
}

/** A pool of real threads. */
function open(
  options: Partial<ConstructorParameters<typeof WorkerPool>[1]> = {},
  clock: Clock = systemClock,
  telemetry?: Pick<ProcessTelemetry, 'include'>,
) {
  const spawned: string[] = [];
  const pool = new WorkerPool(
    {
      ...(telemetry && { telemetry }),
      clock,
      log: silentLogger,
      spawn: (name, onTold) => {
        spawned.push(name);
        return startSourceThread({ entry, data: {}, heapBytes: 32 * 1024 ** 2 }, onTold);
      },
    },
    { sourcesPerWorker: 3, retryMinMs: 50, retryMaxMs: 200, spareMs: 50, ...options },
  );
  pools.push(pool);
  const ticks = (id: string) => (pool.stateOf(id)?.report?.['ticks'] as number | undefined) ?? 0;
  const placesOf = (id: string) => pool.threads.find(({ sources }) => sources.includes(id));
  const start = (...ids: string[]) => ids.forEach((id) => pool.set(id, source(id)));
  return { pool, spawned, ticks, placesOf, start };
}

test('sources share threads, up to so many in each', async () => {
  const { pool, ticks, start } = open();
  start('s1', 's2', 's3', 's4');
  await waitFor(() => ['s1', 's2', 's3', 's4'].every((id) => ticks(id) > 1));
  expect(pool.threads.map(({ sources }) => sources)).toEqual([['s1', 's2', 's3'], ['s4']]);
  pool.set('s2', undefined);
  start('s5');
  expect(pool.threads.map(({ sources }) => sources)).toEqual([['s1', 's3', 's5'], ['s4']]);
  await waitFor(() => ticks('s5') > 1);
  expect(pool.stateOf('s2')).toBeUndefined();
  expect(pool.events).toEqual({ ready: 4 });
});

describe.each([
  ['throws', 'Error: throws-1 threw'],
  ['rejects', 'Error: rejects-1 rejected'],
  ['greedy', 'needed more than 32 MiB'],
  ['leaves', 'left with code 3'],
])('a source whose code %s', (how, why) => {
  test('stops no other one, however often, and says why it does not run', async () => {
    const { pool, spawned, ticks, placesOf, start } = open();
    const bad = `${how}-1`;
    start('elsewhere-1', 'elsewhere-2', 'elsewhere-3');
    start('beside', bad);
    await waitFor(() => pool.stateOf(bad)?.problem?.includes(why), { describe: () => pool.stateOf(bad) });
    // Those in other threads noticed nothing; the one beside it began again, in a thread of its own.
    await waitFor(() => ticks('beside') > 1);
    await waitFor(() => placesOf('beside')?.alone);
    expect(placesOf('beside')?.sources).toEqual(['beside']);
    const began = pool.threads.filter(({ sources }) => sources.some((id) => id.startsWith('elsewhere')));
    expect(began.map(({ name, alone }) => [name, alone])).toEqual([['worker-1', false]]);
    // From now on it ends nobody else.
    const thread = placesOf('beside')?.name;
    const before = ticks('beside');
    const deaths = spawned.length;
    await waitFor(() => spawned.length >= deaths + 3);
    expect(placesOf('beside')?.name).toBe(thread);
    expect(ticks('beside')).toBeGreaterThan(before);
    pool.set(bad, undefined);
    expect(pool.stateOf(bad)).toBeUndefined();
  });
});

test('what threads measure is the measurement of the process, and what one counted stays when it has ended', async () => {
  const deps = { clock: systemClock, log: silentLogger };
  const telemetry = await openProcessTelemetry(TELEMETRY_DEFAULTS, { role: 'replicator', instance: 'r0' }, deps);
  const { pool, start, placesOf } = open({}, systemClock, telemetry);
  const read = (name: MetricName, source: string) =>
    telemetry.samples().find((sample) => sample.name === name && sample.labels[0] === source)?.value;
  const counted = () => read('shapecast.replicator.changes.count', 's1') ?? 0;
  start('s1');
  await waitFor(() => counted() > 3);
  expect(read('shapecast.replicator.leader', 's1')).toBe(1);
  const first = placesOf('s1')?.name;
  start('leaves-1');
  await waitFor(() => placesOf('s1') !== undefined && placesOf('s1')?.name !== first);
  const before = counted();
  expect(before).toBeGreaterThan(3);
  await waitFor(() => counted() > before);
  expect(read('shapecast.replicator.leader', 's1')).toBe(1);
  pool.set('s1', undefined);
  await waitFor(() => read('shapecast.replicator.leader', 's1') === undefined);
  await telemetry.stop();
});

test('a thread that says nothing any more is ended', async () => {
  const ticks: (() => void)[] = [];
  const clock: Clock = {
    ...systemClock,
    after: (ms, callback) => {
      if (ms !== 1_000) return systemClock.after(ms, callback);
      ticks.push(callback);
      return () => undefined;
    },
  };
  const { pool, start } = open({}, clock);
  start('hangs-1');
  await waitFor(() => pool.stateOf('hangs-1')?.report !== undefined);
  await systemClock.sleep(50);
  for (let i = 0; i < 61; i += 1) ticks.pop()?.();
  await waitFor(() => pool.stateOf('hangs-1')?.problem?.includes('left with code 1'));
  expect(pool.threads.some(({ sources }) => sources.includes('hangs-1'))).toBe(false);
});

test('a source that has been stable alone for a while shares its thread again', async () => {
  let now = 0;
  const { ticks, placesOf, start, pool } = open({ stableMs: 60_000 }, { ...systemClock, now: () => now });
  start('beside', 'leaves-1');
  await waitFor(() => placesOf('beside')?.alone);
  pool.set('leaves-1', undefined);
  start('other');
  expect(placesOf('other')?.sources).toEqual(['other']);
  now = 61_000;
  await waitFor(() => placesOf('beside')?.alone === false);
  start('more-1', 'more-2', 'more-3');
  await waitFor(() => ticks('more-3') > 0);
  expect(placesOf('beside')?.sources.length).toBeGreaterThan(1);
});

test('a thread waits in advance, and all of them end with the pool', async () => {
  const { pool, spawned, start, ticks } = open();
  await waitFor(() => spawned.length === 1);
  start('s1');
  expect(spawned.length).toBe(1);
  await waitFor(() => ticks('s1') > 0);
  await waitFor(() => spawned.length === 2);
  await pool.stop();
  const before = ticks('s1');
  await systemClock.sleep(50);
  expect(ticks('s1')).toBe(before);
});
