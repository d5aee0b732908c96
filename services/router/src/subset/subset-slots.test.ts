import { systemClock, type Clock } from '@shapecast/service-kit';
import { expect, test } from 'vitest';
import { FairSlots } from '../process/fair-slots.ts';
import { SubsetSlots } from './subset-slots.ts';

const never = new AbortController().signal;

/** Timers that fire when told. */
function manualClock(): { readonly clock: Clock; readonly fire: () => number[] } {
  const timers = new Map<() => void, number>();
  const after = (ms: number, callback: () => void) => {
    timers.set(callback, ms);
    return () => timers.delete(callback);
  };
  return {
    clock: { ...systemClock, after },
    fire() {
      const due = [...timers];
      timers.clear();
      for (const [callback] of due) callback();
      return due.map(([, ms]) => ms);
    },
  };
}

const refused = { code: 'OVERLOADED', message: 'Too many subset queries are running (limit: 1), please retry' };

test('who gets no place in 5 s is told to try again, and the others keep their places', async () => {
  const { clock, fire } = manualClock();
  const slots = new SubsetSlots(clock, { size: () => 1 });
  const release = await slots.take(never);
  const waiting = Promise.allSettled([slots.take(never), slots.take(never)]);
  expect(slots.waiting).toBe(2);
  expect(fire()).toEqual([5_000, 5_000]);
  expect(await waiting).toEqual([
    { status: 'rejected', reason: expect.objectContaining(refused) as unknown },
    { status: 'rejected', reason: expect.objectContaining(refused) as unknown },
  ]);
  expect([slots.running, slots.waiting]).toEqual([1, 0]);
  release();
  expect(slots.running).toBe(0);
  (await slots.take(never))();
  expect(fire()).toEqual([]);
});

test('those past the end of the queue are refused at once', async () => {
  const { clock, fire } = manualClock();
  const slots = new SubsetSlots(clock, { size: () => 1 });
  await slots.take(never);
  const waiting = Array.from({ length: 100 }, () => slots.take(never));
  await expect(slots.take(never)).rejects.toMatchObject(refused);
  expect(slots.waiting).toBe(100);
  fire();
  const outcomes = await Promise.allSettled(waiting);
  expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true);
});

test('a place that is given back goes to who waits longest and did not leave', async () => {
  const { clock, fire } = manualClock();
  const slots = new SubsetSlots(clock, { size: () => 1 });
  const release = await slots.take(never);
  const leaving = new AbortController();
  const left = slots.take(leaving.signal);
  const next = slots.take(never);
  const last = slots.take(never);
  leaving.abort(new Error('left'));
  await expect(left).rejects.toThrow('left');
  release();
  const releaseNext = await next;
  expect([slots.running, slots.waiting]).toEqual([1, 1]);
  releaseNext();
  (await last)();
  expect([slots.running, slots.waiting]).toEqual([0, 0]);
  expect(fire()).toEqual([]);
  await expect(slots.take(AbortSignal.abort(new Error('left before')))).rejects.toThrow('left before');
});

test('4.6 a source with room of its own waits for a place that all sources share, and not for longer', async () => {
  const { clock, fire } = manualClock();
  const places = new FairSlots(1);
  const shared = (source: string) => (signal: AbortSignal) => places.take(source, signal);
  const [one, other] = [
    new SubsetSlots(clock, { size: () => 8, shared: shared('one') }),
    new SubsetSlots(clock, { size: () => 8, shared: shared('other') }),
  ];
  const release = await one.take(never);
  const late = other.take(never);
  const turned = expect(late).rejects.toMatchObject({ code: 'OVERLOADED' });
  expect([other.running, other.waiting]).toEqual([0, 1]);
  expect(fire()).toEqual([5_000]);
  await turned;
  expect([other.running, other.waiting, other.refused, one.refused]).toEqual([0, 0, 1, 0]);
  const next = other.take(never);
  release();
  (await next)();
  expect([one.running, other.running, places.running]).toEqual([0, 0, 0]);
});

test('with fewer places than before those that have one keep it, and nobody else gets one until there is room', async () => {
  let size = 2;
  const slots = new SubsetSlots(systemClock, { size: () => size });
  const [first, second] = [await slots.take(never), await slots.take(never)];
  size = 1;
  let isIn = false;
  const third = slots.take(never).then((release) => {
    isIn = true;
    return release;
  });
  first();
  await new Promise((resolve) => setImmediate(resolve));
  expect([isIn, slots.running, slots.waiting]).toEqual([false, 1, 1]);
  second();
  (await third)();
  expect(slots.running).toBe(0);
});
