import fc from 'fast-check';
import { expect, test } from 'vitest';
import { assignSources } from './assignment.ts';

const ids = (prefix: string, max: number) =>
  fc.uniqueArray(fc.integer({ min: 0, max: 9_999 }), { maxLength: max }).map((all) => all.map((n) => `${prefix}-${n}`));
const some = <T>(all: readonly T[]) => all.length > 0;

test('every source has one process as long as there is room, no process more than its share and a quarter', () => {
  fc.assert(
    fc.property(
      ids('source', 60),
      ids('process', 6).filter(some),
      fc.integer({ min: 1, max: 60 }),
      (sources, processes, most) => {
        const assigned = assignSources(sources, processes, most);
        const share = sources.length / processes.length;
        const room = Math.min(most, Math.max(Math.ceil(share), Math.floor(share * 1.25)));
        for (const process of processes) {
          expect([...assigned.values()].filter((each) => each === process).length).toBeLessThanOrEqual(room);
        }
        expect(assigned.size).toBe(Math.min(sources.length, room * processes.length));
      },
    ),
  );
});

test('everybody computes the same, in whatever order they know things', () => {
  fc.assert(
    fc.property(ids('source', 30), ids('process', 5).filter(some), (sources, processes) => {
      const one = assignSources(sources, processes, 50);
      const other = assignSources(sources.toReversed(), processes.toReversed(), 50);
      expect(Object.fromEntries(other)).toEqual(Object.fromEntries(one));
    }),
  );
});

test('when a process goes, few sources move that it did not have', () => {
  const sources = Array.from({ length: 300 }, (_, i) => `tenant-${i}`);
  const before = assignSources(sources, ['a', 'b', 'c'], 300);
  const after = assignSources(sources, ['a', 'c'], 300);
  const moved = sources.filter((id) => before.get(id) !== 'b' && before.get(id) !== after.get(id));
  expect(moved.length).toBeLessThan(20);
  const counts = ['a', 'c'].map((each) => [...after.values()].filter((process) => process === each).length);
  expect(Math.max(...counts)).toBeLessThan(188);
});

test('sources for which nobody has room are left out', () => {
  expect(assignSources(['s1', 's2', 's3'], ['a'], 2).size).toBe(2);
  expect(assignSources(['s1'], [], 2).size).toBe(0);
});
