import { describe, expect, test } from 'vitest';
import { APART_LOOKS, isApart, mustGiveWay } from './one-store.ts';

const here = { mine: 'b', settled: false, apart: 0 };

describe('routers of one installation reach one store', () => {
  test('one that is alone, or that others agree with, is not apart', () => {
    expect(isApart({ mine: 'b', others: [] })).toBe(false);
    expect(isApart({ mine: 'b', others: [undefined] })).toBe(false);
    expect(isApart({ mine: 'b', others: ['a', 'b'] })).toBe(false);
    expect(isApart({ mine: 'b', others: ['a', undefined] })).toBe(true);
  });

  test('one that comes to others gives way at once, whatever the names are', () => {
    expect(mustGiveWay({ ...here, others: ['a'] })).toBe(true);
    expect(mustGiveWay({ ...here, others: ['c'] })).toBe(true);
    expect(mustGiveWay({ ...here, others: ['a', 'b'] })).toBe(false);
  });

  test('of two that came together exactly one gives way, once both had time to learn of a replaced store', () => {
    const [a, b] = [
      { mine: 'a', others: ['b'], settled: true },
      { mine: 'b', others: ['a'], settled: true },
    ];
    expect([a, b].map((sight) => mustGiveWay({ ...sight, apart: APART_LOOKS - 1 }))).toEqual([false, false]);
    expect([a, b].map((sight) => mustGiveWay({ ...sight, apart: APART_LOOKS }))).toEqual([false, true]);
  });
});
