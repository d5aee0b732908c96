import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HashTable } from './hash-table.ts';

function idsOf(table: HashTable, hash: number): number[] {
  const ids = [];
  for (let id = table.first(hash); id >= 0; id = table.next()) ids.push(id);
  return ids.sort((a, b) => a - b);
}

/** Hashes that crowd around the end of a part, where walks wrap round, and around its start. */
const crowded = fc.oneof(
  fc.constantFrom(-1, -2, 0xffff, 0xfffe, 0xfff0, 0xe000, 0, 1, 0x8000_0000 | 0),
  fc.integer({ min: 0xf000, max: 0xffff }),
  fc.integer(),
);

test('holds what was added and not removed, under the hash it was added with', () => {
  const steps = fc.array(fc.tuple(fc.boolean(), crowded, fc.nat(20)), { maxLength: 400, size: 'max' });
  fc.assert(
    fc.property(steps, (taken) => {
      const table = new HashTable();
      const model = new Map<number, Set<number>>();
      for (const [isAdded, hash, id] of taken) {
        const ids = model.get(hash) ?? new Set<number>();
        model.set(hash, ids);
        if (isAdded && !ids.has(id)) {
          table.add(hash, id);
          ids.add(id);
        } else if (!isAdded && ids.has(id)) {
          table.remove(hash, id);
          ids.delete(id);
        } else if (!isAdded) {
          expect(() => table.remove(hash, id)).toThrow('not in use');
        }
      }
      for (const [hash, ids] of model) expect(idsOf(table, hash)).toEqual([...ids].sort((a, b) => a - b));
    }),
    { numRuns: 300 },
  );
});

test('splits as it grows, loses nothing and gives memory back as it shrinks', () => {
  const table = new HashTable();
  const hashOf = (id: number) => Math.imul(id, 0x9e3779b1);
  for (let id = 0; id < 200_000; id++) table.add(hashOf(id), id);
  const full = table.bytes();
  expect(full / 200_000).toBeLessThan(17);
  for (let id = 0; id < 200_000; id += 7) expect(idsOf(table, hashOf(id))).toEqual([id]);
  for (let id = 0; id < 200_000; id++) table.remove(hashOf(id), id);
  expect(table.first(hashOf(7))).toBe(-1);
  expect(table.bytes()).toBeLessThan(full / 100);
});

test('takes more entries of one hash than a part may have, which no split can tell apart', () => {
  const table = new HashTable();
  for (let id = 0; id < 13_000; id++) table.add(-1, id);
  table.add(5, 13_000);
  expect(idsOf(table, -1)).toHaveLength(13_000);
  table.remove(-1, 6_000);
  expect(idsOf(table, -1)).toHaveLength(12_999);
  expect(idsOf(table, 5)).toEqual([13_000]);
});
