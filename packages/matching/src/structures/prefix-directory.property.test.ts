import fc from 'fast-check';
import { expect, test } from 'vitest';
import { IntStack } from './int-stack.ts';
import { PrefixDirectory } from './prefix-directory.ts';

const text = fc.string({ unit: fc.constantFrom('a', 'b', 'é', '😀', '\0'), maxLength: 7 });
const step = fc.tuple(fc.constantFrom('acquire', 'release', 'probe'), text, fc.nat());

test.each([false, true])('finds the prefixes of a text, or with `reversed` its suffixes: %s', (reversed) => {
  const options = fc.record({ seed: fc.maxSafeNat(), hashBits: fc.constantFrom(1, 32) });
  fc.assert(
    fc.property(options, fc.array(step, { maxLength: 120, size: 'max' }), (chosen, steps) => {
      const directory = new PrefixDirectory({ ...chosen, reversed });
      const held = new Map<number, string>();
      const out = new IntStack();
      for (const [kind, value, at] of steps) {
        if (kind === 'acquire') {
          const id = directory.acquire(value);
          expect(directory.acquire(value)).toBe(id);
          expect(held.get(id) ?? value).toBe(value);
          expect(directory.isExact(id)).toBe(true);
          held.set(id, value);
        } else if (kind === 'release') {
          const id = [...held.keys()][at % Math.max(1, held.size)];
          if (id === undefined) continue;
          directory.release(id);
          held.delete(id);
        } else {
          out.clear();
          directory.probe(value, out);
          const expected = [...held].filter(([, one]) => (reversed ? value.endsWith(one) : value.startsWith(one)));
          expect(idsIn(out)).toEqual(expected.map(([id]) => id).sort((a, b) => a - b));
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

test.each([false, true])('shortens prefixes of more than 32 lengths, never misses one and says so: %s', (reversed) => {
  const directory = new PrefixDirectory({ seed: 1, reversed });
  const whole = 'abcdefghij'.repeat(20);
  const part = (length: number) => (reversed ? whole.slice(whole.length - length) : whole.slice(0, length));
  const ids = Array.from({ length: 201 }, (_, length) => directory.acquire(part(length)));
  const exact = ids.filter((id) => directory.isExact(id));
  expect(exact).toHaveLength(32);
  const out = new IntStack();
  directory.probe(whole, out);
  const found = idsIn(out);
  for (const id of ids) expect(found).toContain(id);
  expect(new Set(found).size).toBe(found.length);
  // A text that parts ways after 70 units still meets the shortened prefixes: those are for the caller to check.
  out.clear();
  directory.probe(reversed ? `#${part(70)}` : `${part(70)}#`, out);
  for (const id of idsIn(out)) if (directory.isExact(id)) expect(ids.indexOf(id)).toBeLessThanOrEqual(70);
  for (const id of ids.slice(0, 71)) expect(idsIn(out)).toContain(id);
  for (const id of new Set(ids)) directory.release(id);
  expect(directory.size).toBe(0);
  // The lengths are free again.
  expect(directory.isExact(directory.acquire(part(199)))).toBe(true);
});

test('an exact prefix and a shortened one that is stored alike are two', () => {
  const directory = new PrefixDirectory({ seed: 1 });
  for (let length = 100; length < 120; length++) directory.acquire('x'.repeat(length));
  const shortened = directory.acquire('y'.repeat(99));
  const exact = directory.acquire('y'.repeat(64));
  expect([directory.isExact(shortened), directory.isExact(exact)]).toEqual([false, true]);
  const out = new IntStack();
  directory.probe('y'.repeat(70), out);
  expect(idsIn(out)).toEqual([shortened, exact].sort((a, b) => a - b));
  directory.release(shortened);
  expect(() => directory.release(shortened)).toThrow('not in use');
  out.clear();
  directory.probe('y'.repeat(70), out);
  expect(idsIn(out)).toEqual([exact]);
});
