import { expect, test } from 'vitest';
import { KeyedHash } from './keyed-hash.ts';

test('spreads similar keys over all bits, whatever the seed', () => {
  for (const seed of [0, 1, 2 ** 32, 2 ** 53 - 1]) {
    const hash = new KeyedHash({ seed });
    const buckets = new Int32Array(256);
    const low = new Int32Array(256);
    for (let i = 0; i < 25_600; i++) {
      const value = hash.ofWords(Int32Array.of(i, 0), 2);
      const high = value >>> 24;
      buckets[high] = (buckets[high] as number) + 1;
      low[value & 255] = (low[value & 255] as number) + 1;
    }
    // 100 expected in each, with a deviation of 10.
    expect(Math.max(...buckets, ...low)).toBeLessThan(160);
    expect(Math.min(...buckets, ...low)).toBeGreaterThan(50);
  }
});

test('every bit of the seed counts, those above 32 too', () => {
  const hashes = Array.from({ length: 53 }, (_, bit) => new KeyedHash({ seed: 2 ** bit }).ofText('key', 0, 3));
  expect(new Set(hashes).size).toBe(53);
});

test('tells a text from the same with U+0000 at its end', () => {
  const hash = new KeyedHash({ seed: 3 });
  const hashes = ['a', 'a\0', 'a\0\0', 'a\0\0\0'].map((text) => hash.ofText(text, 0, text.length));
  expect(new Set(hashes).size).toBe(4);
});

test('the hash of a beginning is that of the beginning alone, and absorbing goes on after it', () => {
  const hash = new KeyedHash({ seed: 4 });
  const whole = hash.ofText('abcdef', 0, 6);
  const half = hash.ofText('abcd', 0, 4);
  hash.start();
  hash.absorb(0x61 | (0x62 << 16));
  hash.absorb(0x63 | (0x64 << 16));
  expect(hash.finish(0, 4)).toBe(half);
  hash.absorb(0x65 | (0x66 << 16));
  expect(hash.finish(0, 6)).toBe(whole);
});
