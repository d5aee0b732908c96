import { describe, expect, test } from 'vitest';
import { silentLogger, systemClock, type Clock } from '@shapecast/service-kit';
import { waitFor } from '@shapecast/testkit';
import { MemoryRegistries } from './memory/memory-registry.ts';
import { BUCKETS } from './records.ts';
import type { Registries } from './registry.ts';
import { SharedPermits } from './shared-permits.ts';

const never = new AbortController().signal;

/** Real time, in which any number of minutes can pass at once. */
function leapingClock(): Clock & { leap(ms: number): void } {
  let leapt = 0;
  return { ...systemClock, now: () => systemClock.now() + leapt, leap: (ms) => void (leapt += ms) };
}

function world(total: number, clock: Clock = systemClock, clocks: Readonly<Record<string, Clock>> = {}) {
  const registries = new MemoryRegistries(clock, silentLogger);
  return (holder: string, reached: Registries = registries) =>
    new SharedPermits<'work'>(
      { registries: reached, clock: clocks[holder] ?? clock, log: silentLogger },
      { source: 's', holder, limits: { work: { total, unregistered: 1 } } },
    );
}

describe('permits shared by several processes', () => {
  test('are never more than there are, and everybody gets one in the end', async () => {
    const join = world(3);
    let held = 0;
    let most = 0;
    const served = new Map<string, number>();
    const workers = ['a', 'b', 'c', 'd', 'e'].map(async (name) => {
      const permits = join(name);
      const turns = Array.from({ length: 8 }, async () => {
        const release = await permits.acquire('work', never);
        held += 1;
        most = Math.max(most, held);
        await new Promise((resolve) => setTimeout(resolve, 2));
        held -= 1;
        release();
        served.set(name, (served.get(name) ?? 0) + 1);
      });
      await Promise.all(turns);
      await permits.close();
    });
    await Promise.all(workers);
    expect(most).toBe(3);
    expect(Object.fromEntries(served)).toEqual({ a: 8, b: 8, c: 8, d: 8, e: 8 });
  });

  test('are asked back while somebody else waits, and only then', async () => {
    const join = world(1);
    const [a, b] = [join('a'), join('b')];
    const asked: string[] = [];
    a.onContended((part) => asked.push(part));
    const release = await a.acquire('work', never);
    expect(a.contended('work')).toBe(false);
    const waiting = b.acquire('work', never);
    await waitFor(() => asked.length > 0);
    expect(a.contended('work')).toBe(true);
    release();
    const releaseB = await waiting;
    await waitFor(() => !a.contended('work'));
    releaseB();
  });

  test('go to who waited longest', async () => {
    const clock = leapingClock();
    const join = world(1, clock);
    const [a, b, c] = [join('a'), join('b'), join('c')];
    const release = await a.acquire('work', never);
    const order: string[] = [];
    const first = b.acquire('work', never).then((give) => (order.push('b'), give()));
    await waitFor(() => a.contended('work'));
    clock.leap(10);
    const second = c.acquire('work', never).then((give) => (order.push('c'), give()));
    await waitFor(() => b.contended('work'));
    clock.leap(10);
    const again = a.acquire('work', never).then((give) => (order.push('a'), give()));
    await waitFor(() => c.contended('work'));
    release();
    await Promise.all([first, second, again]);
    expect(order).toEqual(['b', 'c', 'a']);
  });

  test('go to who waited longest also where hosts disagree about the time by an hour', async () => {
    const hour = 3_600_000;
    const behind: Clock = { ...systemClock, now: () => systemClock.now() - hour };
    const ahead: Clock = { ...systemClock, now: () => systemClock.now() + hour };
    const join = world(1, systemClock, { behind, ahead });
    const [a, early, late] = [join('a'), join('ahead'), join('behind')];
    const release = await a.acquire('work', never);
    const order: string[] = [];
    const first = early.acquire('work', never).then((give) => (order.push('first'), give()));
    await waitFor(() => a.contended('work'));
    await new Promise((resolve) => setTimeout(resolve, 20));
    const second = late.acquire('work', never).then((give) => (order.push('second'), give()));
    await waitFor(() => early.contended('work'));
    release();
    await Promise.all([first, second]);
    expect(order).toEqual(['first', 'second']);
  });

  test('of a process that died come back when they expire', async () => {
    const clock = leapingClock();
    const join = world(1, clock);
    const registries = new MemoryRegistries(clock, silentLogger);
    const bucket = await registries.open(BUCKETS.permits.name, { ttlMs: BUCKETS.permits.ttlMs });
    await bucket.put('s.work.0', { holder: 'dead', waitedMs: 0, wanted: false });
    const permits = join('b', registries);
    const waiting = permits.acquire('work', never);
    await waitFor(async () => (await bucket.get('s.work.want-b')) !== undefined);
    clock.leap(BUCKETS.permits.ttlMs);
    (await waiting)();
    expect(await bucket.list('s.work.0')).toEqual([]);
  });

  test('are no longer waited for by who went away', async () => {
    const join = world(1);
    const [a, b] = [join('a'), join('b')];
    const release = await a.acquire('work', never);
    const leaving = new AbortController();
    const waiting = b.acquire('work', leaving.signal);
    await waitFor(() => a.contended('work'));
    leaving.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    await waitFor(() => !a.contended('work'));
    release();
    (await a.acquire('work', never))();
  });

  test('are not needed for a few while the registry cannot be reached', async () => {
    const broken: Registries = { open: () => Promise.reject(new Error('no NATS')) };
    const permits = world(3)('a', broken);
    const release = await permits.acquire('work', never);
    const leaving = new AbortController();
    const second = permits.acquire('work', leaving.signal);
    leaving.abort(new Error('enough'));
    await expect(second).rejects.toThrow('enough');
    release();
    (await permits.acquire('work', never))();
  });

  test('of another source are another matter', async () => {
    const registries = new MemoryRegistries(systemClock, silentLogger);
    const of = (source: string) =>
      new SharedPermits<'work'>(
        { registries, clock: systemClock, log: silentLogger },
        { source, holder: 'a', limits: { work: { total: 1, unregistered: 0 } } },
      );
    const releases = await Promise.all([of('one').acquire('work', never), of('two').acquire('work', never)]);
    expect(releases).toHaveLength(2);
  });
});
