import { expect, test } from 'vitest';
import { DurableAge } from './durable-age.ts';

test('what is not safe yet is as old as the last moment at which everything was', () => {
  const age = new DurableAge(1_000);
  expect(age.lagMs(5, 1_400)).toBe(400);
  age.safe(5, 1_300);
  expect(age.lagMs(5, 9_000)).toBe(0);
  expect(age.lagMs(6, 1_500)).toBe(200);
  age.safe(6, 1_600);
  expect(age.lagMs(4, 9_000)).toBe(0);
});
