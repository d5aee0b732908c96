import fc from 'fast-check';
import { expect, test } from 'vitest';
import { IntStack } from './int-stack.ts';
import { PostingPool } from './posting-pool.ts';

function entriesOf(pool: PostingPool, posting: number): number[] {
  const out = new IntStack();
  pool.copyTo(posting, out);
  const visited: number[] = [];
  pool.forEach(posting, (entry) => visited.push(entry));
  const copied = Array.from({ length: out.length }, (_, i) => out.get(i));
  expect(visited).toEqual(copied);
  expect(pool.size(posting)).toBe(copied.length);
  return copied.sort((a, b) => a - b);
}

test('a posting has the entries that were added to it and not removed', () => {
  const step = fc.tuple(fc.boolean(), fc.nat(3), fc.nat(60));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400, size: 'max' }), (steps) => {
      const pool = new PostingPool();
      const model = new Map<number, number>();
      for (const [isAdded, posting, entry] of steps) {
        const held = model.get(entry);
        if (isAdded && held === undefined) {
          pool.add(posting, entry);
          model.set(entry, posting);
        } else if (!isAdded && held === posting) {
          pool.remove(posting, entry);
          model.delete(entry);
        } else if (!isAdded) {
          expect(() => pool.remove(posting, entry)).toThrow('is not in posting');
        }
      }
      for (let posting = 0; posting < 5; posting++) {
        const expected = [...model].filter(([, one]) => one === posting).map(([entry]) => entry);
        expect(entriesOf(pool, posting)).toEqual(expected.sort((a, b) => a - b));
      }
    }),
    { numRuns: 300 },
  );
});

test.each([2, 3, 4, 255, 256, 257, 511, 512, 513, 1024, 1536, 1537, 50_000])(
  'a posting grows to %i entries and shrinks to none, among others that do too',
  (count) => {
    const pool = new PostingPool();
    for (let entry = 0; entry < 3 * count; entry++) pool.add(entry % 3, entry);
    for (const posting of [0, 1, 2]) {
      expect(entriesOf(pool, posting)).toEqual(Array.from({ length: count }, (_, i) => 3 * i + posting));
    }
    const full = pool.bytes();
    // From the front of one, the back of another and every seventh of the third.
    const order = Array.from({ length: count }, (_, i) => i);
    const strided = order.map((i) => (i * 7) % count);
    const third = new Set(strided).size === count ? strided : order;
    let left = count;
    for (const i of order) {
      pool.remove(0, 3 * i);
      pool.remove(1, 3 * (count - 1 - i) + 1);
      pool.remove(2, 3 * (third[i] as number) + 2);
      left--;
      expect([pool.size(0), pool.size(1), pool.size(2)]).toEqual([left, left, left]);
      if (left < 6 || left === 256 || left === 511 || left === 512) {
        expect(entriesOf(pool, 0)).toEqual(order.slice(i + 1).map((one) => 3 * one));
        expect(entriesOf(pool, 2)).toEqual(
          third
            .slice(i + 1)
            .map((one) => 3 * one + 2)
            .sort((a, b) => a - b),
        );
      }
    }
    for (let entry = 0; entry < 3 * count; entry++) pool.add(entry % 3, entry);
    expect(pool.bytes()).toBeLessThanOrEqual(full * 1.5);
    expect(entriesOf(pool, 1)).toHaveLength(count);
  },
);

test('a million postings of one entry each cost their head and its place', () => {
  const pool = new PostingPool();
  for (let i = 0; i < 1_000_000; i++) pool.add(i, i);
  expect(pool.bytes() / 1_000_000).toBeLessThan(8.5);
  expect(entriesOf(pool, 999_999)).toEqual([999_999]);
});
