import { describe, expect, test } from 'vitest';
import { Backoff } from './backoff.ts';
import type { Clock } from './clock.ts';

const clockWith = (random: number): Clock => ({
  now: () => 0,
  sleep: async () => {},
  after: () => () => {},
  random: () => random,
});

describe('Backoff', () => {
  test('doubles from min to max and starts over after a reset', () => {
    const backoff = new Backoff(clockWith(1), { minMs: 100, maxMs: 1000 });
    const delays = [1, 2, 3, 4, 5, 6].map(() => backoff.nextDelayMs());
    expect(delays).toEqual([100, 200, 400, 800, 1000, 1000]);
    backoff.reset();
    expect(backoff.nextDelayMs()).toBe(100);
  });

  test('jitters over the upper half only', () => {
    const backoff = new Backoff(clockWith(0), { minMs: 100, maxMs: 1000 });
    expect(backoff.nextDelayMs()).toBe(50);
  });
});
