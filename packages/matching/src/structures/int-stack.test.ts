import { expect, test } from 'vitest';
import { IntStack } from './int-stack.ts';

test('keeps what is pushed in order, through growth, and forgets from where it is told', () => {
  const stack = new IntStack();
  for (let i = 0; i < 1000; i++) stack.push(i * 3);
  stack.pushRange(
    Int32Array.from({ length: 5000 }, (_, i) => -i),
    10,
    4000,
  );
  expect(stack.length).toBe(1000 + 3990);
  expect([stack.get(0), stack.get(999), stack.get(1000), stack.get(4989)]).toEqual([0, 2997, -10, -3999]);
  stack.truncate(2);
  stack.push(7);
  expect([stack.length, stack.get(2)]).toEqual([3, 7]);
  stack.clear();
  expect(stack.length).toBe(0);
});
