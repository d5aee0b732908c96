import { expect, test } from 'vitest';
import { RedisRoom } from './redis-room.ts';

test('12.6.1 is full above the limit, and until it is well below it again', () => {
  const room = new RedisRoom(() => 1_000);
  expect([room.found(1_000), room.full, room.used]).toEqual([0, false, 1_000]);
  expect([room.found(1_001), room.full]).toEqual([51, true]);
  expect([room.found(990), room.full]).toEqual([40, true]);
  expect([room.found(950), room.full]).toEqual([0, false]);
  expect([room.found(990), room.full]).toEqual([0, false]);
});

test('a limit that is raised, or taken away, counts at once', () => {
  let limit: number | undefined = 1_000;
  const room = new RedisRoom(() => limit);
  room.found(5_000);
  limit = 10_000;
  expect([room.found(5_000), room.full]).toEqual([0, false]);
  limit = 1_000;
  room.found(5_000);
  limit = undefined;
  expect(room.full).toBe(false);
  expect([room.found(5_000), room.full]).toEqual([0, false]);
});
