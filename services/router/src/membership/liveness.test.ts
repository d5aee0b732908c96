import { expect, test } from 'vitest';
import { Liveness } from './liveness.ts';

const record = (id: string, leaving?: true) => ({ id, ...(leaving ? { leaving } : {}) });
const ids = (liveness: Pick<Liveness<ReturnType<typeof record>>, 'live'>) => liveness.live.map(({ id }) => id);

test('a router that writes nothing new for some looks in a row does not live, however its record looks', () => {
  const liveness = new Liveness(3);
  liveness.read(record('a'), 1);
  liveness.read(record('b'), 2);
  for (let look = 0; look < 3; look += 1) {
    liveness.read(record('a'), 10 + look);
    // What is read again and again is no sign of life.
    liveness.read(record('b'), 2);
    expect(liveness.looked()).toBe(false);
  }
  expect(ids(liveness)).toEqual(['a', 'b']);
  liveness.read(record('a'), 20);
  expect(liveness.looked()).toBe(true);
  expect(ids(liveness)).toEqual(['a']);
  liveness.read(record('b'), 2);
  expect(ids(liveness)).toEqual(['a']);
  expect(liveness.read(record('b'), 21)).toBe(true);
  expect(ids(liveness)).toEqual(['a', 'b']);
});

test('without looks nobody dies: neither an outage nor a pause of this process is a silence of the others', () => {
  const liveness = new Liveness(1);
  liveness.read(record('a'), 1);
  expect(ids(liveness)).toEqual(['a']);
  liveness.read(record('a'), 2);
  liveness.looked();
  expect(ids(liveness)).toEqual(['a']);
});

test('a registry that was made anew counts from one again', () => {
  const liveness = new Liveness(1);
  liveness.read(record('a'), 1_000);
  for (const revision of [1, 2, 3, 4]) {
    liveness.read(record('a'), revision);
    expect(liveness.looked()).toBe(false);
  }
});

test('one that has left is gone with the next look', () => {
  const liveness = new Liveness(5);
  liveness.read(record('a'), 1);
  expect(liveness.looked()).toBe(false);
  expect(liveness.read(record('a', true), 2)).toBe(true);
  expect(ids(liveness)).toEqual(['a']);
  expect(liveness.looked()).toBe(true);
  expect(ids(liveness)).toEqual([]);
});

test('tells whether a record says something new', () => {
  const liveness = new Liveness(5);
  expect(liveness.read(record('a'), 1)).toBe(true);
  expect(liveness.read(record('a'), 2)).toBe(false);
  expect(liveness.read(record('a', true), 3)).toBe(true);
});
