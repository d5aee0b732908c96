import { silentLogger, type Clock } from '@shapecast/service-kit';
import type { ShapeReadTime, ShardId } from '@shapecast/shape-store';
import { expect, test } from 'vitest';
import { ReadTimes } from './read-times.ts';

const shard = (number: number): ShardId => ({ source: 's', incarnation: 1, shard: number });

/** A pod whose time passes when the test says so, and what it tells the store. */
class Pod {
  now = 1_000_000;
  down = false;
  readonly waiting: { readonly shard: ShardId; readonly handle: string }[] = [];
  readonly told: (readonly [shard: number, reads: readonly ShapeReadTime[], waitingMs: number])[] = [];
  #wake: (() => void) | undefined;
  slept: number[] = [];

  readonly clock: Clock = {
    now: () => this.now,
    random: () => 0.999,
    after: () => () => {},
    sleep: (ms, signal) => {
      this.slept.push(ms);
      return new Promise((resolve, reject) => {
        this.#wake = resolve;
        signal?.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
      });
    },
  };

  readonly reads = new ReadTimes(
    {
      clock: this.clock,
      log: silentLogger,
      waiting: () => this.waiting,
      store: {
        recordReads: async ({ shard: number }, reads, waitingMs) => {
          if (this.down) throw new Error('away');
          this.told.push([number, reads, waitingMs]);
        },
      },
    },
    { periodMs: 10_000 },
  );

  async pass(ms: number): Promise<void> {
    this.now += ms;
    this.#wake?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test('whatever is read in ten seconds is told in one call per shard, with the time of the last read', async () => {
  const pod = new Pod();
  const stop = new AbortController();
  const running = pod.reads.run(stop.signal);
  for (let i = 0; i < 1_000; i += 1) {
    pod.reads.read(shard(i % 2), `${i % 4}`);
    pod.now += 1;
  }
  expect(pod.told).toEqual([]);
  await pod.pass(500);
  expect(pod.told.map(([number, reads]) => [number, reads.map(({ handle, agoMs }) => [handle, agoMs])])).toEqual([
    [
      0,
      [
        ['0', 504],
        ['2', 502],
      ],
    ],
    [
      1,
      [
        ['1', 503],
        ['3', 501],
      ],
    ],
  ]);
  await pod.pass(10_000);
  expect(pod.told).toHaveLength(2);
  expect(Math.max(...pod.slept)).toBeLessThanOrEqual(10_000);
  stop.abort();
  await running;
});

test('a shape that somebody waits for counts as read for as long as they wait', async () => {
  const pod = new Pod();
  pod.waiting.push({ shard: shard(0), handle: '1' }, { shard: shard(0), handle: '1' });
  pod.reads.read(shard(0), '2');
  await pod.reads.report();
  await pod.pass(60_000);
  await pod.reads.report();
  pod.waiting.length = 0;
  await pod.reads.report();
  const waits = (handle: string, agoMs: number, waiting: boolean) => ({ handle, agoMs, waiting });
  expect(pod.told.map(([, reads]) => reads)).toEqual([
    [waits('2', 0, false), waits('1', 0, true)],
    [waits('1', 0, true)],
  ]);
  // Believed until two more reports could have come.
  expect(pod.told[0]?.[2]).toBeGreaterThan(20_000);
});

test('what the store did not take is told again, with the time it had, and newer reads win', async () => {
  const pod = new Pod();
  pod.down = true;
  pod.reads.read(shard(0), '1');
  pod.reads.read(shard(0), '2');
  await pod.reads.report();
  await pod.pass(5_000);
  pod.reads.read(shard(0), '2');
  await pod.reads.report();
  pod.down = false;
  await pod.reads.report();
  const [told] = pod.told;
  expect(told?.[1].map(({ handle, agoMs }) => [handle, agoMs])).toEqual([
    ['1', 5_000],
    ['2', 0],
  ]);
});

test('a pod that stops tells once more what it knows', async () => {
  const pod = new Pod();
  const stop = new AbortController();
  const running = pod.reads.run(stop.signal);
  pod.reads.read(shard(0), '1');
  stop.abort();
  await running;
  expect(pod.told).toHaveLength(1);
});

test('the shapes remembered between two reports are bounded', async () => {
  const pod = new Pod();
  for (let i = 0; i < 120_000; i += 1) pod.reads.read(shard(i % 8), `${i}`);
  await pod.reads.report();
  expect(pod.told.reduce((sum, [, reads]) => sum + reads.length, 0)).toBe(100_000);
});
