import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PrefetchPool } from './prefetch-pool.ts';

const MIB = 1024 * 1024;

class User {
  full = false;
  bytes = 0;
  resize(bytes: number): void {
    this.bytes = bytes;
  }
}

test('one source alone has all of it', () => {
  const pool = new PrefetchPool(32 * MIB);
  const user = new User();
  pool.join(user);
  expect(user.bytes).toBe(32 * MIB);
  pool.limit(1 / 8);
  expect(user.bytes).toBe(4 * MIB);
});

test('one that is behind gets half while the others are idle, and shares it with whoever is behind as well', () => {
  const pool = new PrefetchPool(32 * MIB);
  const users = Array.from({ length: 16 }, () => new User());
  for (const user of users) pool.join(user);
  expect(users.map(({ bytes }) => bytes)).toEqual(users.map(() => MIB));
  const [first, second] = users as [User, User];
  first.full = true;
  pool.divide();
  expect([first.bytes, second.bytes]).toEqual([17 * MIB, MIB]);
  second.full = true;
  pool.divide();
  expect([first.bytes, second.bytes]).toEqual([9 * MIB, 9 * MIB]);
});

test('it is never more than there is, whoever comes, goes and is full', () => {
  const steps = fc.array(fc.tuple(fc.nat(9), fc.constantFrom('join', 'leave', 'full', 'done')), { maxLength: 100 });
  fc.assert(
    fc.property(steps, (all) => {
      const pool = new PrefetchPool(MIB);
      const users = Array.from({ length: 10 }, () => new User());
      const joined = new Map<User, () => void>();
      for (const [i, step] of all) {
        const user = users[i] as User;
        if (step === 'join' && !joined.has(user)) joined.set(user, pool.join(user));
        if (step === 'leave') {
          joined.get(user)?.();
          joined.delete(user);
        }
        user.full = step === 'full' || (user.full && step !== 'done');
        pool.divide();
        const sum = [...joined.keys()].reduce((total, { bytes }) => total + bytes, 0);
        expect(sum).toBeLessThanOrEqual(MIB * 1.000_001);
        for (const { bytes } of joined.keys()) expect(bytes).toBeGreaterThan(0);
      }
    }),
  );
});
