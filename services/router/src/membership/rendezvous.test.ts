import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { assignShards } from './rendezvous.ts';

const routers = fc.uniqueArray(fc.stringMatching(/^[a-z0-9]{1,8}$/), { minLength: 1, maxLength: 8 });
const shards = fc.constantFrom(1, 2, 8, 64);

describe('assignShards', () => {
  test('gives every shard to one router, evenly', () => {
    fc.assert(
      fc.property(routers, shards, (ids, count) => {
        const owners = assignShards(count, ids);
        expect(owners).toHaveLength(count);
        for (const id of ids) {
          expect(owners.filter((owner) => owner === id).length).toBeLessThanOrEqual(Math.ceil(count / ids.length));
        }
      }),
    );
  });

  test('is the same for everybody, in whatever order they know the routers', () => {
    fc.assert(
      fc.property(routers, shards, (ids, count) => {
        expect(assignShards(count, ids.toReversed())).toEqual(assignShards(count, ids));
      }),
    );
  });

  test('a router that comes takes shards, and most of the others stay where they are', () => {
    const before = assignShards(64, ['a', 'b', 'c']);
    const after = assignShards(64, ['a', 'b', 'c', 'd']);
    const moved = before.filter((owner, shard) => owner !== after[shard]).length;
    expect(after.filter((owner) => owner === 'd')).toHaveLength(16);
    expect(moved).toBeLessThanOrEqual(32);
  });

  test('nobody lives: nobody owns', () => {
    expect(assignShards(8, [])).toEqual([]);
  });
});
