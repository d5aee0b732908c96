import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FairQueue } from './fair-queue.ts';

describe('FairQueue', () => {
  test('one lane is first come first served', () => {
    const queue = new FairQueue<string, number>();
    for (const n of [1, 2, 3]) queue.push('a', n);
    expect([queue.take(), queue.take(), queue.take(), queue.take()]).toEqual([1, 2, 3, undefined]);
  });

  test('what a lane brings waits for at most one of each other lane and its own predecessors', () => {
    const arrivals = fc.array(fc.nat(4), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(arrivals, (lanes) => {
        const queue = new FairQueue<number, { lane: number; place: number }>();
        const counts = new Map<number, number>();
        for (const lane of lanes) {
          const place = counts.get(lane) ?? 0;
          counts.set(lane, place + 1);
          queue.push(lane, { lane, place });
        }
        expect(queue.size).toBe(lanes.length);
        for (let turn = 0; queue.size > 0; turn += 1) {
          const taken = queue.take() as { lane: number; place: number };
          // Before its n-th item every lane had n turns at most, so that is how late it may come.
          expect(turn).toBeLessThan((taken.place + 1) * counts.size);
          expect([...queue].filter(({ lane }) => lane === taken.lane).every(({ place }) => place > taken.place)).toBe(
            true,
          );
        }
      }),
    );
  });

  test('a lane that may have nothing now keeps its turn', () => {
    const queue = new FairQueue<string, number>();
    queue.push('a', 1);
    queue.push('b', 2);
    queue.push('b', 3);
    expect(queue.take((lane) => lane !== 'a')).toBe(2);
    expect(queue.take()).toBe(1);
    expect(queue.take((lane) => lane !== 'b')).toBeUndefined();
    expect(queue.size).toBe(1);
  });
});
