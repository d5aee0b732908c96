import { systemClock, type Clock } from '@shapecast/service-kit';
import { expect, test } from 'vitest';
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
  const slots = new SubsetSlots(clock, { size: 1 });
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
  const slots = new SubsetSlots(clock, { size: 1 });
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
  const slots = new SubsetSlots(clock, { size: 1 });
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
