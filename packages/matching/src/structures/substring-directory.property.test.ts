import fc from 'fast-check';
import { expect, test } from 'vitest';
import { IntStack } from './int-stack.ts';
import { SubstringDirectory } from './substring-directory.ts';

const needle = fc.string({ unit: fc.constantFrom('a', 'b', 'é', '😀'), maxLength: 9 });
const text = fc.string({ unit: fc.constantFrom('a', 'b', 'é', '😀'), maxLength: 30 });
const step = fc.tuple(fc.constantFrom('acquire', 'acquire', 'release', 'probe'), needle, text, fc.nat());

test('finds the needles that occur in a text, each once', () => {
  const options = fc.record({ seed: fc.maxSafeNat(), hashBits: fc.constantFrom(0, 2, 32) });
  fc.assert(
    fc.property(options, fc.array(step, { maxLength: 120, size: 'max' }), (chosen, steps) => {
      const directory = new SubstringDirectory(chosen);
      const held = new Map<number, string>();
      const out = new IntStack();
      for (const [kind, value, haystack, at] of steps) {
        if (kind === 'acquire') {
          const id = directory.acquire(value);
          expect(directory.acquire(value)).toBe(id);
          expect(id < 0).toBe(value.length < 3);
          expect(held.get(id) ?? value).toBe(value);
          if (id >= 0) held.set(id, value);
        } else if (kind === 'release') {
          const id = [...held.keys()][at % Math.max(1, held.size)];
          if (id === undefined) continue;
          directory.release(id);
          held.delete(id);
          expect(() => directory.release(id)).toThrow('not in use');
        } else {
          out.clear();
          directory.probe(haystack, out);
          const expected = [...held].filter(([, one]) => haystack.includes(one)).map(([id]) => id);
          expect(idsIn(out)).toEqual(expected.sort((a, b) => a - b));
        }
        expect(directory.size).toBe(held.size);
      }
    }),
    { numRuns: 200 },
  );
});

function idsIn(out: IntStack): number[] {
  return Array.from({ length: out.length }, (_, i) => out.get(i)).sort((a, b) => a - b);
}

test('a needle that is long, wide or longer than any block of memory is found at either end of a text', () => {
  const directory = new SubstringDirectory({ seed: 1 });
  const needles = ['x'.repeat(300), `é😀${'y'.repeat(5000)}`, `${'z'.repeat(40_000)}!`];
  const ids = needles.map((one) => directory.acquire(one));
  const out = new IntStack();
  for (const [i, one] of needles.entries()) {
    for (const haystack of [one, `${one}.`, `.${one}`]) {
      out.clear();
      directory.probe(haystack, out);
      expect(idsIn(out)).toEqual([ids[i]]);
    }
    out.clear();
    directory.probe(one.slice(1), out);
    directory.probe(one.slice(0, -1), out);
    expect(out.length).toBe(0);
  }
});

test('needles that come and go leave the memory to the next ones', () => {
  const directory = new SubstringDirectory({ seed: 1 });
  const fill = () => Array.from({ length: 20_000 }, (_, i) => directory.acquire(`needle ${i}`));
  for (const id of fill()) directory.release(id);
  const emptied = directory.bytes();
  for (const id of fill()) directory.release(id);
  expect(directory.size).toBe(0);
  expect(directory.bytes()).toBeLessThanOrEqual(emptied * 1.05);
});
