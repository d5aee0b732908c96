import fc from 'fast-check';
import { expect, test } from 'vitest';
import { assignSources } from './assignment.ts';
import { nextTurn, type OtherProcess } from './turns.ts';

const other = (id: string, running: readonly string[], more: Partial<OtherProcess> = {}): OtherProcess => ({
  ...{ id, running, leaving: false, settled: true },
  ...more,
});
const to = (process: string, ...sources: string[]) => sources.map((id) => [id, process] as const);

test('starts at once what nobody runs, and a few of those that others run', () => {
  const assigned = new Map([...to('me', 's1', 's2', 's3', 's4', 's5'), ...to('b', 's6')]);
  const view = { own: 'me', assigned, others: [other('b', ['s3', 's4', 's5'])], running: [], mayHandOver: true };
  expect(nextTurn(view)).toEqual({ start: ['s1', 's2', 's3', 's4'], stop: [] });
});

test('takes all of a process that leaves', () => {
  const assigned = new Map(to('me', 's1', 's2', 's3'));
  const others = [other('b', ['s1', 's2', 's3'], { leaving: true })];
  expect(nextTurn({ own: 'me', assigned, others, running: [], mayHandOver: true }).start).toEqual(['s1', 's2', 's3']);
});

test.each([
  ['does not run it', { running: [] }],
  ['has only just come', { settled: false }],
  ['is leaving', { leaving: true }],
] as const)('keeps a source whose next process %s', (_, more) => {
  const view = { own: 'me', assigned: new Map(to('b', 's1')), others: [other('b', ['s1'], more)], running: ['s1'] };
  expect(nextTurn({ ...view, mayHandOver: true })).toEqual({ start: [], stop: [] });
});

test('hands over one source at a time, to a process that waits for it', () => {
  const view = { own: 'me', assigned: new Map(to('b', 's1', 's2')), others: [other('b', ['s1', 's2'])] };
  expect(nextTurn({ ...view, running: ['s1', 's2'], mayHandOver: true })).toEqual({ start: [], stop: ['s1'] });
  expect(nextTurn({ ...view, running: ['s1', 's2'], mayHandOver: false })).toEqual({ start: [], stop: [] });
});

test('whatever came before, every source ends with the process it is assigned to, and is run all the time', () => {
  const names = ['a', 'b', 'c'];
  const sources = Array.from({ length: 12 }, (_, i) => `s${i}`);
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...names), { minLength: 12, maxLength: 12 }), (places) => {
      const running = new Map(names.map((name) => [name, sources.filter((_, i) => places[i] === name)]));
      const assigned = assignSources(sources, names, 50);
      for (let round = 0; round < 60; round += 1) {
        for (const own of names) {
          const others = names.filter((name) => name !== own).map((name) => other(name, running.get(name) ?? []));
          const mine = running.get(own) ?? [];
          const { start, stop } = nextTurn({ own, assigned, others, running: mine, mayHandOver: true });
          running.set(
            own,
            [...mine, ...start].filter((id) => !stop.includes(id)),
          );
          for (const id of sources) expect([...running.values()].flat()).toContain(id);
        }
      }
      for (const name of names) for (const id of running.get(name) ?? []) expect(assigned.get(id)).toBe(name);
    }),
    { numRuns: 10 },
  );
});
