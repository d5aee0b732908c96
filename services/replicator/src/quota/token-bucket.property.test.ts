import fc from 'fast-check';
import { expect, test } from 'vitest';
import { steppedClock } from '../testing/stepped-clock.ts';
import { TokenBucket } from './token-bucket.ts';

const never = new AbortController().signal;

test('over any stretch no more passes than the rate, the burst and one piece, and waiting wastes nothing', async () => {
  const piece = fc.record({ amount: fc.integer({ min: 0, max: 500 }), idleMs: fc.integer({ min: 0, max: 3_000 }) });
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 100 }), fc.array(piece, { maxLength: 40 }), async (rate, pieces) => {
      const clock = steppedClock();
      const bucket = new TokenBucket(clock, rate);
      const begin = clock.now();
      let passed = 0;
      let waited = 0;
      for (const { amount, idleMs } of pieces) {
        clock.pass(idleMs);
        const before = clock.now();
        await bucket.wait(never);
        waited += clock.now() - before;
        const seconds = (clock.now() - begin) / 1_000;
        expect(passed).toBeLessThanOrEqual(rate * (seconds + 5) + 1e-6);
        bucket.spend(amount);
        passed += amount;
      }
      // Whoever stays below the burst never waits.
      if (passed <= rate * 5) expect(waited).toBe(0);
    }),
  );
});

test('without a limit nobody waits, and a limit that is taken away lets those go who wait', async () => {
  const clock = steppedClock();
  const bucket = new TokenBucket(clock);
  bucket.spend(1e12);
  expect(bucket.debtMs).toBe(0);
  bucket.limit(1);
  bucket.spend(1_000);
  expect(bucket.debtMs).toBe(995_000);
  const begin = clock.now();
  const waiting = bucket.wait(never);
  bucket.limit(undefined);
  expect(await waiting).toBe(true);
  expect(clock.now() - begin).toBeLessThan(1_000);
});

test('whoever stops does not wait', async () => {
  const clock = steppedClock();
  const bucket = new TokenBucket(clock, 1);
  bucket.spend(1_000);
  const stop = new AbortController();
  const waiting = bucket.wait(stop.signal);
  stop.abort();
  expect(await waiting).toBe(false);
});
