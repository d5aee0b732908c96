import { expect, test } from 'vitest';
import { MemoryPressure, type MemoryRemedy } from './memory-pressure.ts';

const UNTOUCHED: MemoryRemedy = { share: 1, most: undefined };

function looks(pressure: MemoryPressure, count: number, use: number, shards: number): MemoryRemedy {
  let last = UNTOUCHED;
  for (let i = 0; i < count; i += 1) last = pressure.look(use, shards);
  return last;
}

test('F132 a heap above 85 % of its limit has less read ahead, and only then gives shards away, one at a time', () => {
  const pressure = new MemoryPressure();
  expect(looks(pressure, 4, 0.9, 8)).toEqual(UNTOUCHED);
  expect(looks(pressure, 1, 0.9, 8)).toEqual({ share: 1 / 2, most: undefined });
  expect(looks(pressure, 5, 0.9, 8)).toEqual({ share: 1 / 4, most: undefined });
  expect(looks(pressure, 5, 0.9, 8)).toEqual({ share: 1 / 8, most: undefined });
  expect(looks(pressure, 5, 0.9, 8)).toEqual({ share: 1 / 8, most: 7 });
  expect(looks(pressure, 5, 0.9, 7)).toEqual({ share: 1 / 8, most: 6 });
  // The last one stays: without any it would be of no use.
  expect(looks(pressure, 200, 0.9, 1)).toEqual({ share: 1 / 8, most: 1 });
});

test('a heap that is full now and then, of garbage, is left alone', () => {
  const pressure = new MemoryPressure();
  for (let i = 0; i < 100; i += 1) expect(pressure.look(i % 5 === 0 ? 0.6 : 0.95, 8)).toEqual(UNTOUCHED);
});

test('what was given up is taken back step by step, after a while with room to spare', () => {
  const pressure = new MemoryPressure();
  looks(pressure, 20, 0.9, 8);
  expect(looks(pressure, 100, 0.8, 7)).toEqual({ share: 1 / 8, most: 7 });
  expect(looks(pressure, 34, 0.5, 7)).toEqual({ share: 1 / 8, most: 8 });
  expect(looks(pressure, 30, 0.5, 7)).toEqual({ share: 1 / 8, most: undefined });
  expect(looks(pressure, 90, 0.5, 8)).toEqual(UNTOUCHED);
});
