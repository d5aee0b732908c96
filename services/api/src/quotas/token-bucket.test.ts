import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RecentRate, TokenBucket } from './token-bucket.ts';

describe('TokenBucket', () => {
  test('lets through a burst of five seconds at once, and then the rate', () => {
    const bucket = new TokenBucket();
    const taken = (now: number) => {
      let count = 0;
      while (bucket.take(now, 10, 1)) count += 1;
      return count;
    };
    expect([taken(0), taken(99), taken(100), taken(1_100), taken(100_000)]).toEqual([50, 0, 1, 10, 50]);
  });

  test('never lets through more than the rate and one burst, however often it is asked', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1_000 }),
        fc.array(fc.tuple(fc.integer({ min: 0, max: 3_000 }), fc.integer({ min: 1, max: 20 })), { maxLength: 200 }),
        (rate, steps) => {
          const bucket = new TokenBucket();
          let now = 0;
          let taken = 0;
          for (const [ms, amount] of steps) {
            now += ms;
            if (bucket.take(now, rate, amount)) taken += amount;
          }
          expect(taken).toBeLessThanOrEqual(rate * 5 + (now / 1_000) * rate + 1e-6);
        },
      ),
    );
  });

  test('what was used beyond it has to be waited for', () => {
    const bucket = new TokenBucket();
    bucket.use(0, 100, 700);
    expect(bucket.waitMs(0, 100, 0)).toBe(2_000);
    expect(bucket.waitMs(1_500, 100, 0)).toBe(500);
    expect(bucket.waitMs(2_000, 100, 0)).toBe(0);
  });

  test('takes a new rate at once, and gives nothing for a clock that goes back', () => {
    const bucket = new TokenBucket();
    bucket.use(10_000, 100, 500);
    expect(bucket.take(9_000, 100, 1)).toBe(false);
    expect(bucket.take(10_000, 100, 1)).toBe(true);
    expect(bucket.waitMs(10_000, 1, 100)).toBeGreaterThan(2_000);
  });

  test('gives back what was not used', () => {
    const bucket = new TokenBucket();
    for (let i = 0; i < 5; i += 1) bucket.take(0, 1, 1);
    expect(bucket.take(0, 1, 1)).toBe(false);
    bucket.giveBack(1);
    expect(bucket.take(0, 1, 1)).toBe(true);
  });
});

test('RecentRate is the mean of the last seconds that are over', () => {
  const rate = new RecentRate();
  for (let now = 0; now < 8_000; now += 100) rate.add(now, 1);
  expect(rate.perSecond(8_000)).toBe(10);
  expect(rate.perSecond(10_000)).toBe(5);
  expect(rate.perSecond(20_000)).toBe(0);
});
