import { silentLogger, systemClock } from '@shapecast/service-kit';
import { expect, test } from 'vitest';
import { PrefetchPool } from './prefetch-pool.ts';
import { ProcessMemory } from './process-memory.ts';

test('F132 of many sources the one with the most shapes gives a shard away first, once the prefetch of all is small', () => {
  const prefetch = new PrefetchPool(1_000);
  const window = { full: false, bytes: 0, resize: (bytes: number) => void (window.bytes = bytes) };
  prefetch.join(window);
  const memory = new ProcessMemory({ prefetch, clock: systemClock, log: silentLogger }, {});
  const [heavy, light] = [
    { shards: 8, shapes: 10_000 },
    { shards: 8, shapes: 10 },
  ];
  memory.add(light);
  memory.add(heavy);
  const looks = (count: number, use: number) => {
    for (let i = 0; i < count; i += 1) memory.look(use);
    return [memory.mostOf(heavy), memory.mostOf(light)];
  };
  expect(looks(5, 0.9)).toEqual([undefined, undefined]);
  expect(window.bytes).toBe(500);
  expect(looks(10, 0.9)).toEqual([undefined, undefined]);
  expect([window.bytes, memory.share]).toEqual([125, 1 / 8]);
  expect(looks(5, 0.9)).toEqual([7, 8]);
  heavy.shards = 7;
  expect(looks(5, 0.9)).toEqual([6, 8]);
  expect(looks(5, 0.9)).toEqual([6, 7]);
  expect(looks(30, 0.5)).toEqual([6, 8]);
  expect(looks(30 * 20, 0.5)).toEqual([undefined, undefined]);
  expect([window.bytes, memory.share]).toEqual([1_000, 1]);
});
