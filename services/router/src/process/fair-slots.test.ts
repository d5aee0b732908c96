import { expect, test } from 'vitest';
import { FairSlots } from './fair-slots.ts';

const never = new AbortController().signal;

/** Takes places one after the other, and tells who got one. */
function takers(slots: FairSlots) {
  const order: string[] = [];
  const held = new Map<string, (() => void)[]>();
  const take = (source: string, signal = never) =>
    slots.take(source, signal).then(
      (release) => {
        order.push(source);
        held.set(source, [...(held.get(source) ?? []), release]);
      },
      () => undefined,
    );
  return { order, take, release: (source: string) => held.get(source)?.shift()?.() };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

test('10.7.6 a source with a thousand shapes to make has another one wait for one place, not for a thousand', async () => {
  const slots = new FairSlots(4);
  const { order, take, release } = takers(slots);
  for (let i = 0; i < 1_000; i += 1) void take('noisy');
  await settled();
  // A quarter is kept for others, however long what the noisy one does may take.
  expect(slots.running).toBe(3);
  void take('quiet');
  await settled();
  expect(order).toEqual(['noisy', 'noisy', 'noisy', 'quiet']);
  void take('quiet');
  void take('other');
  release('noisy');
  await settled();
  expect(order.slice(4)).toEqual(['noisy']);
  release('quiet');
  release('noisy');
  await settled();
  expect(order.slice(5).toSorted()).toEqual(['other', 'quiet']);
  expect(slots.waiting).toBe(1_000 - 4);
});

test('who gives up neither takes a place nor stands in the way, and a place is given back once', async () => {
  const slots = new FairSlots(2);
  const { order, take } = takers(slots);
  const release = await slots.take('a', never);
  const second = await slots.take('b', never);
  const leaving = new AbortController();
  void take('c', leaving.signal);
  void take('d');
  leaving.abort();
  release();
  release();
  await settled();
  expect(order).toEqual(['d']);
  expect(slots.running).toBe(2);
  second();
  expect(slots.running).toBe(1);
  await expect(slots.take('e', AbortSignal.abort(new Error('too late')))).rejects.toThrow('too late');
});

test('without a bound nobody waits', async () => {
  const slots = new FairSlots(Infinity);
  for (let i = 0; i < 100; i += 1) await slots.take('a', never);
  expect([slots.running, slots.waiting]).toEqual([100, 0]);
});
