import type { Clock, Logger } from '@shapecast/service-kit';
import { silentLogger } from '@shapecast/service-kit';
import { waitFor } from '@shapecast/testkit';
import { expect, test } from 'vitest';
import { Upkeep, type UpkeepJob, type UpkeepShard } from './upkeep.ts';

/** Time that passes when the test says so. */
class TestClock implements Clock {
  #now = 0;
  readonly #sleeping = new Set<{ readonly at: number; wake(): void }>();
  readonly slept: number[] = [];
  chance = 0.5;

  now(): number {
    return this.#now;
  }

  random(): number {
    return this.chance;
  }

  after(): () => void {
    throw new Error('not used');
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    this.slept.push(ms);
    return new Promise((resolve, reject) => {
      const sleeper = { at: this.#now + ms, wake: resolve };
      this.#sleeping.add(sleeper);
      signal?.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
    });
  }

  async pass(ms: number): Promise<void> {
    this.#now += ms;
    for (const sleeper of this.#sleeping) {
      if (sleeper.at > this.#now) continue;
      this.#sleeping.delete(sleeper);
      sleeper.wake();
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const shard = (n: number): UpkeepShard =>
  ({ id: { source: 's', incarnation: 1, shard: n }, rotate: async () => [] }) as unknown as UpkeepShard;

function jobOf(name: string, turn: UpkeepJob['turn'], periodMs = 1_000): UpkeepJob {
  return { name, periodMs, turn };
}

test('every job has its own round, half to one and a half of its period after the last', async () => {
  const clock = new TestClock();
  const stop = new AbortController();
  const turns: string[] = [];
  const jobs = [
    jobOf('often', async ({ id }) => (turns.push(`often ${id.shard}`), 'done')),
    jobOf('seldom', async ({ id }) => (turns.push(`seldom ${id.shard}`), 'done'), 10_000),
  ];
  const upkeep = new Upkeep({ clock, log: silentLogger }, jobs);
  const running = [upkeep.run(shard(1), stop.signal), upkeep.run(shard(2), stop.signal)];
  await clock.pass(999);
  expect(turns).toEqual([]);
  await clock.pass(1);
  expect(turns).toEqual(['often 1', 'often 2']);
  await clock.pass(9_000);
  expect(turns).toEqual(['often 1', 'often 2', 'seldom 1', 'seldom 2', 'often 1', 'often 2']);
  clock.slept.length = 0;
  for (clock.chance of [0, 0.999]) await clock.pass(1_500);
  expect(clock.slept.every((ms) => ms >= 500 && ms < 15_000)).toBe(true);
  expect(Math.min(...clock.slept)).toBe(500);
  stop.abort();
  await Promise.all(running);
});

test('a round with more to do goes on at once, in turns', async () => {
  const clock = new TestClock();
  const stop = new AbortController();
  let turns = 0;
  const job = jobOf('long', async () => ((turns += 1) % 3 === 0 ? 'done' : 'more'));
  const running = new Upkeep({ clock, log: silentLogger }, [job]).run(shard(1), stop.signal);
  await clock.pass(1_000);
  for (let i = 0; i < 5; i += 1) await clock.pass(100);
  expect(turns).toBe(3);
  await clock.pass(1_000);
  expect(turns).toBe(4);
  stop.abort();
  await running;
});

test('T57 a job that fails is tried again, ever more seldom, and holds up no other', async () => {
  const clock = new TestClock();
  const stop = new AbortController();
  const warnings: unknown[] = [];
  const log = { ...silentLogger, warn: (fields: object) => warnings.push(fields) } as unknown as Logger;
  const failed: number[] = [];
  let others = 0;
  const jobs = [
    jobOf('broken', async () => {
      failed.push(clock.now());
      throw new Error('no');
    }),
    jobOf('fine', async () => ((others += 1), 'done')),
  ];
  const running = new Upkeep({ clock, log }, jobs).run(shard(3), stop.signal);
  for (let i = 0; i < 120; i += 1) await clock.pass(1_000);
  const gaps = failed.slice(1).map((at, i) => at - (failed[i] as number));
  expect(gaps.length).toBeGreaterThan(3);
  expect(gaps).toEqual(gaps.toSorted((a, b) => a - b));
  expect(others).toBeGreaterThan(100);
  expect(warnings[0]).toMatchObject({ job: 'broken', shard: 3 });
  expect(warnings).toHaveLength(failed.length);
  stop.abort();
  await running;
});

test('a bounded number of turns run at the same time, and a shard that is given up waits for none', async () => {
  const clock = new TestClock();
  const stop = new AbortController();
  let running = 0;
  let most = 0;
  let turns = 0;
  const free = Promise.withResolvers<void>();
  const job = jobOf('slow', async () => {
    running += 1;
    turns += 1;
    most = Math.max(most, running);
    await free.promise;
    running -= 1;
    return 'done';
  });
  const upkeep = new Upkeep({ clock, log: silentLogger }, [job], { concurrency: 2 });
  const all = [1, 2, 3, 4, 5].map((n) => upkeep.run(shard(n), stop.signal));
  await clock.pass(1_500);
  expect([most, turns]).toEqual([2, 2]);
  stop.abort();
  free.resolve();
  await Promise.all(all);
  expect(turns).toBe(2);
});

test('the turn in progress is told when the shard is given up', async () => {
  const clock = new TestClock();
  const stop = new AbortController();
  let told = false;
  const job = jobOf('waits', async (_, signal) => {
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    told = true;
    throw new Error('interrupted');
  });
  const running = new Upkeep({ clock, log: silentLogger }, [job]).run(shard(1), stop.signal);
  await clock.pass(1_500);
  stop.abort();
  await running;
  await waitFor(() => Promise.resolve(told), { describe: () => 'the turn was not told' });
  expect(told).toBe(true);
});
