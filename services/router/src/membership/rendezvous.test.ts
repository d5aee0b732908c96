import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { assignShards } from './rendezvous.ts';

const routers = fc.uniqueArray(fc.stringMatching(/^[a-z0-9]{1,8}$/), { minLength: 1, maxLength: 8 });
const shards = fc.constantFrom(1, 2, 8, 64);

const named = (ids: readonly string[]) => ids.map((id) => ({ id }));

describe('assignShards', () => {
  test('gives every shard to one router, evenly', () => {
    fc.assert(
      fc.property(routers, shards, (ids, count) => {
        const owners = assignShards(count, named(ids));
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
        expect(assignShards(count, named(ids.toReversed()))).toEqual(assignShards(count, named(ids)));
      }),
    );
  });

  test('a router that comes takes shards, and most of the others stay where they are', () => {
    const before = assignShards(64, named(['a', 'b', 'c']));
    const after = assignShards(64, named(['a', 'b', 'c', 'd']));
    const moved = before.filter((owner, shard) => owner !== after[shard]).length;
    expect(after.filter((owner) => owner === 'd')).toHaveLength(16);
    expect(moved).toBeLessThanOrEqual(32);
  });

  test('nobody gets more than it has room for, unless there is not room for all', () => {
    const limits = fc.array(fc.integer({ min: 0, max: 8 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(limits, shards, (mosts, count) => {
        const owners = assignShards(
          count,
          mosts.map((most, i) => ({ id: `r${i}`, most })),
        );
        expect(owners.filter((owner) => owner !== undefined)).toHaveLength(count);
        const enough = mosts.reduce((sum, most) => sum + Math.min(most, count), 0) >= count;
        for (const [i, most] of mosts.entries()) {
          if (enough) expect(owners.filter((owner) => owner === `r${i}`).length).toBeLessThanOrEqual(most);
        }
      }),
    );
  });

  test('4.7 no router has the first shard of all sources by chance, and many small sources are spread evenly', () => {
    const ids = ['one', 'two', 'three', 'four'];
    const owners = Array.from({ length: 1_000 }, (_, i) => assignShards(8, named(ids), `source-${i}`));
    const firsts = ids.map((id) => owners.filter(([first]) => first === id).length);
    for (const count of firsts) expect(count).toBeGreaterThan(200);
    const single = Array.from({ length: 1_000 }, (_, i) => assignShards(1, named(ids), `source-${i}`)[0]);
    for (const id of ids) expect(single.filter((owner) => owner === id).length).toBeGreaterThan(200);
  });

  test('nobody lives: nobody owns', () => {
    expect(assignShards(8, [])).toEqual([]);
  });
});
