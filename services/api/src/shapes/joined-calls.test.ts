import { expect, test } from 'vitest';
import { JoinedCalls } from './joined-calls.ts';

function setUp() {
  const joined = new JoinedCalls<number>();
  const calls: PromiseWithResolvers<number>[] = [];
  const ask = (key = 'k') =>
    joined.run(key, () => {
      const call = Promise.withResolvers<number>();
      calls.push(call);
      return call.promise;
    });
  const settle = (index: number, value = index) => calls[index]?.resolve(value);
  return { ask, settle, calls };
}

test('questions that come while a call is under way share the next one, and never that one', async () => {
  const { ask, settle, calls } = setUp();
  const first = ask();
  const later = [ask(), ask(), ask()];
  expect(calls).toHaveLength(1);
  settle(0);
  expect(await first).toBe(0);
  await Promise.resolve();
  expect(calls).toHaveLength(2);
  const evenLater = ask();
  settle(1);
  expect(await Promise.all(later)).toEqual([1, 1, 1]);
  await Promise.resolve();
  settle(2);
  expect(await evenLater).toBe(2);
  expect(calls).toHaveLength(3);
});

test('different questions do not wait for each other', async () => {
  const { ask, settle, calls } = setUp();
  const one = ask('one');
  const two = ask('two');
  expect(calls).toHaveLength(2);
  settle(1);
  expect(await two).toBe(1);
  settle(0);
  expect(await one).toBe(0);
});

test('a call that fails takes those with it that share it, and no others', async () => {
  const { ask, settle, calls } = setUp();
  const first = ask();
  const second = ask();
  calls[0]?.reject(new Error('gone'));
  await expect(first).rejects.toThrow('gone');
  await Promise.resolve();
  await Promise.resolve();
  settle(1);
  expect(await second).toBe(1);
});
