import { BEFORE_ALL, type LogOffset } from '@shapecast/log';
import { silentLogger, type Clock } from '@shapecast/service-kit';
import type { ShapeHead, ShardId } from '@shapecast/shape-store';
import { expect, test } from 'vitest';
import { ownTelemetry } from '@shapecast/telemetry';
import { ApiTelemetry } from '../telemetry/api-telemetry.ts';
import type { LogReader } from '../shapes/log-reader.ts';
import type { HeadListener, HeadWatcher } from './head-watcher.ts';
import { LiveHub, type LiveOutcome } from './live-hub.ts';

const SHARD: ShardId = { source: 'test', incarnation: 1, shard: 0 };
const HEAD = { state: 'live', tail: BEFORE_ALL, watermark: 0n } as unknown as ShapeHead;

/** A hub with time in our hands, whose watcher sees the same head at every look: there are no news. */
function openHub(timeoutMs: number) {
  let now = 1_000;
  const clock: Clock = { now: () => now, sleep: async () => {}, after: () => () => {}, random: () => 0 };
  let tick: (now: number) => void = () => {};
  const watcher = {
    onTick: (callback: (now: number) => void) => (tick = callback),
    watch: (_shard: ShardId, _handle: string, listener: HeadListener) => ({
      recheck: () => listener(HEAD, 0),
      close: () => {},
    }),
  } as unknown as HeadWatcher;
  const telemetry = new ApiTelemetry(ownTelemetry(), clock).source('test');
  const hub = new LiveHub({ logs: {} as LogReader, watcher, telemetry, clock, log: silentLogger }, { timeoutMs });
  const answered: { readonly name: string; readonly atMs: number; readonly outcome: LiveOutcome }[] = [];
  return {
    hub,
    answered,
    hold: (name: string, offset: LogOffset = BEFORE_ALL) => {
      const startedAt = 1_000;
      const outcome = hub.wait({ shard: SHARD, handle: name, digest: name, offset }, () => {});
      void outcome.then((what) => answered.push({ name, atMs: now - startedAt, outcome: what }));
    },
    /** Lets time go by in steps of 100 ms, as the watcher's ticks do. */
    pass: async (ms: number) => {
      for (const end = now + ms; now < end;) {
        now += 100;
        tick(now);
        await new Promise(setImmediate);
      }
    },
  };
}

test('LV-9, D H30 what is held is answered evenly over the time to spread, in the order of arrival', async () => {
  const { hub, answered, hold, pass } = openHub(60_000);
  for (let i = 0; i < 20; i += 1) hold(`shape ${i}`);
  await pass(1_000);
  expect(answered).toEqual([]);

  hub.drain(10_000);
  await pass(10_000);

  expect(answered.map(({ name }) => name)).toEqual(Array.from({ length: 20 }, (_, i) => `shape ${i}`));
  expect(answered.map(({ atMs }) => atMs)).toEqual(Array.from({ length: 20 }, (_, i) => 1_500 + 500 * i));
  for (const { outcome } of answered) {
    expect(outcome).toMatchObject({ kind: 'answer', answer: { entries: false, upToDate: true } });
  }
  expect(hub.held).toBe(0);
});

test('nobody waits longer than without the end, and who comes during it is answered by its end', async () => {
  const { hub, answered, hold, pass } = openHub(3_000);
  hold('old');
  await pass(2_500);
  hold('young');
  hub.drain(10_000);
  await pass(500);
  expect(answered.map(({ name, atMs }) => [name, atMs])).toEqual([['old', 3_000]]);
  await pass(2_500);
  expect(answered.map(({ name, atMs }) => [name, atMs]).at(-1)).toEqual(['young', 5_500]);
  await pass(6_000);
  hold('late');
  await pass(1_000);
  expect(answered.map(({ name, atMs }) => [name, atMs]).at(-1)).toEqual(['late', 12_500]);
  hold('too late');
  await new Promise(setImmediate);
  expect(answered.at(-1)?.name).toBe('too late');
});

test('without time to spread all are answered at once', async () => {
  const { hub, answered, hold } = openHub(60_000);
  for (const name of ['a', 'b', 'c']) hold(name);
  hub.drain(0);
  await new Promise(setImmediate);
  expect(answered.map(({ name }) => name)).toEqual(['a', 'b', 'c']);
});
