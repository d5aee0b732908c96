import { describe, expect, test } from 'vitest';
import { FanOut } from './fan-out.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('FanOut', () => {
  test('O 4.6 settles a slice in each turn of the event loop, and sources take turns in it', async () => {
    const fanOut = new FanOut();
    const settled: string[] = [];
    const waiting = (name: string, count: number) =>
      Array.from({ length: count }, () => ({ settle: () => void settled.push(name) }));
    fanOut.deliver('large', waiting('large', 1_000), undefined);
    const first = settled.length;
    expect(first).toBeLessThanOrEqual(100);
    fanOut.deliver('small', waiting('small', 20), undefined);
    await turn();
    // As many of each, so the small one is through before the large one has got anywhere.
    expect(settled.filter((name) => name === 'small')).toHaveLength(20);
    expect(settled.length).toBeLessThanOrEqual(2 * first);
    while (settled.length < 1_020) {
      const before = settled.length;
      await turn();
      expect(settled.length - before).toBeLessThanOrEqual(100);
    }
    expect(settled.filter((name) => name === 'large')).toHaveLength(1_000);
  });

  test('gives each what it waits for, at once when there are few', () => {
    const fanOut = new FanOut();
    const got: unknown[] = [];
    fanOut.deliver('a', [{ settle: (outcome: string) => void got.push(outcome) }], 'one');
    fanOut.deliver('b', [{ settle: (outcome: string) => void got.push(outcome) }], 'two');
    expect(got).toEqual(['one', 'two']);
  });
});
