import { expect, test } from 'vitest';
import { StallWatch, type Remedy, type WorkerSight } from './stall-watch.ts';

const stuck: WorkerSight = { place: '7', busy: 0, waiting: true, outage: false };

function looks(watch: StallWatch, ...sights: readonly (WorkerSight | undefined)[]): (Remedy | undefined)[] {
  return sights.map((sight) => watch.look(sight));
}

test('a shard that stays where it is with records at hand gets a new worker, and then loses what holds it up', () => {
  const watch = new StallWatch(3);
  expect(looks(watch, stuck, stuck, stuck)).toEqual([undefined, undefined, undefined]);
  expect(watch.look(stuck)).toBe('restart');
  // The new worker has to load the shard first, and gets as long as the old one.
  expect(looks(watch, undefined, stuck, stuck, stuck)).toEqual([undefined, undefined, undefined, undefined]);
  expect(watch.look(stuck)).toBe('rotate');
  expect(looks(watch, stuck, stuck, stuck)).toEqual([undefined, undefined, 'rotate']);
});

test('once it has moved on, the next stall begins with a restart again', () => {
  const watch = new StallWatch(1);
  expect(looks(watch, stuck, stuck)).toEqual([undefined, 'restart']);
  const next = { ...stuck, place: '8' };
  expect(looks(watch, next, next)).toEqual([undefined, 'restart']);
});

test.each([
  ['has moved', { ...stuck, place: '8' }],
  ['is busy', { ...stuck, busy: 1 }],
  ['has nothing to do', { ...stuck, waiting: false }],
  ['waits for a store that is away', { ...stuck, outage: true }],
  ['is not owned', undefined],
])('a shard that %s is not stalled, and the count starts over', (_, other) => {
  const watch = new StallWatch(2);
  expect(looks(watch, stuck, stuck, other, stuck, stuck).slice(0, 4)).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
  expect(looks(watch, ...Array.from({ length: 9 }, () => ({ ...stuck, outage: true })))).not.toContain('restart');
});

test('however long an outage lasts, it does not count as the second stall of a worker that was started again', () => {
  const watch = new StallWatch(2);
  expect(looks(watch, stuck, stuck, stuck)).toEqual([undefined, undefined, 'restart']);
  const away = { ...stuck, outage: true };
  expect(looks(watch, away, away, away, away, stuck)).toEqual(Array.from({ length: 5 }, () => undefined));
});
