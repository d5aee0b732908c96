import { systemClock, type Clock } from '@shapecast/service-kit';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ByteRate } from './byte-rate.ts';

const never = new AbortController().signal;

/** Sleeping moves it on. */
function movingClock(): Clock & { at: number } {
  const clock = {
    ...systemClock,
    at: 1_000_000,
    now: () => clock.at,
    sleep: async (ms: number) => void (clock.at += ms),
  };
  return clock;
}

test('never lets more than a second of the rate ahead, and wastes none of it', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 5_000 }), { minLength: 1, maxLength: 50 }), async (pieces) => {
      const clock = movingClock();
      const rate = new ByteRate(clock, () => 1_000);
      let passed = 0;
      for (const bytes of pieces) {
        await rate.pass(bytes, never);
        passed += bytes;
        expect(passed).toBeLessThanOrEqual(clock.at - 1_000_000 + 1_000 + 1e-6);
      }
      expect(clock.at - 1_000_000).toBeLessThanOrEqual(Math.max(0, passed - 1_000) + 1e-6);
    }),
  );
});

test('idle time is worth one second of the rate, not more', async () => {
  const clock = movingClock();
  const rate = new ByteRate(clock, () => 1_000);
  clock.at += 3_600_000;
  const from = clock.at;
  await rate.pass(3_000, never);
  expect(clock.at - from).toBe(2_000);
});

test('a rate that changes counts from then on', async () => {
  const clock = movingClock();
  let perSecond = 1_000;
  const rate = new ByteRate(clock, () => perSecond);
  await rate.pass(2_000, never);
  const from = clock.at;
  perSecond = 4_000;
  await rate.pass(2_000, never);
  expect(clock.at - from).toBe(500);
});
