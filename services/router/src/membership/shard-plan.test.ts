import type { RouterRecord } from '@shapecast/messaging';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { planShards } from './shard-plan.ts';

const SHARDS = 8;

interface Member {
  readonly id: string;
  readonly holding: Set<number>;
  readonly prepared: Set<number>;
  reluctant?: RouterRecord['reluctant'];
}

const member = (id: string): Member => ({ id, holding: new Set(), prepared: new Set() });

/** What every router says of itself, right after it has done something. */
function records(members: readonly Member[]): RouterRecord[] {
  return members.map(({ id, holding, prepared, reluctant }) => ({
    id,
    owned: [...holding],
    prepared: [...prepared],
    ...(reluctant ? { reluctant } : {}),
  }));
}

/** One router looks at the others and acts; shards that get lost on the way to or fro show in `owners`. */
function act(me: Member, seen: readonly RouterRecord[]): number {
  const plan = planShards(SHARDS, seen, me);
  let moves = 0;
  for (const shard of plan.release) me.holding.delete(shard);
  for (const shard of me.prepared)
    if (!plan.prepare.includes(shard) && !plan.take.includes(shard)) me.prepared.delete(shard);
  for (const shard of plan.prepare) me.prepared.add(shard);
  for (const shard of plan.take) {
    me.prepared.delete(shard);
    me.holding.add(shard);
    moves += 1;
  }
  return moves;
}

function settle(members: readonly Member[], order: (round: number) => readonly Member[] = () => members): number {
  let moves = 0;
  for (let round = 0; round < 50; round += 1) for (const one of order(round)) moves += act(one, records(members));
  return moves;
}

const owners = (members: readonly Member[]) => members.map(({ holding }) => holding.size);

test('whoever acts when, every shard ends with one owner, and no shard is ever released without an heir', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.infiniteStream(fc.nat(10)), (count, chance) => {
      const members = Array.from({ length: count }, (_, i) => member(`router-${i}`));
      settle(members.slice(0, 1));
      expect(owners(members)[0]).toBe(SHARDS);
      for (let step = 0; step < 200; step += 1) {
        act(members[(chance.next().value as number) % count] as Member, records(members));
        const all = members.flatMap(({ holding, prepared }) => [...holding, ...prepared]);
        // Held, or prepared by who takes it next.
        expect(new Set(all).size).toBe(SHARDS);
        const held = members.flatMap(({ holding }) => [...holding]);
        expect(new Set(held).size).toBe(held.length);
      }
      settle(members);
      expect(Math.max(...owners(members))).toBeLessThanOrEqual(Math.ceil(SHARDS / count));
      expect(owners(members).reduce((sum, each) => sum + each, 0)).toBe(SHARDS);
    }),
  );
});

test('a router that joins or leaves moves each shard at most once', () => {
  const members = ['a', 'b', 'c'].map(member);
  settle(members);
  const joined = member('d');
  const all = [...members, joined];
  const before = members.map(({ holding }) => new Set(holding));
  const moves = settle(all);
  const left = before.reduce((sum, held, i) => sum + [...held].filter((s) => !members[i]?.holding.has(s)).length, 0);
  expect(moves).toBe(left);
  expect(moves).toBeLessThan(SHARDS);

  joined.reluctant = 'leaving';
  settle(all);
  expect(joined.holding.size).toBe(0);
  expect(owners(members).reduce((sum, each) => sum + each, 0)).toBe(SHARDS);
});

test('an owner keeps a shard until its heir is prepared, and an heir loads two at a time', () => {
  const [one, two] = [member('one'), member('two')];
  settle([one]);
  const plan = planShards(SHARDS, records([one, two]), two);
  expect(plan.prepare).toHaveLength(2);
  expect(plan.take).toEqual([]);
  expect(planShards(SHARDS, records([one, two]), one).release).toEqual([]);
  for (const shard of plan.prepare) two.prepared.add(shard);
  expect([...planShards(SHARDS, records([one, two]), one).release].sort()).toEqual([...plan.prepare].sort());
  expect(planShards(SHARDS, records([one, two]), two).prepare).toHaveLength(4);
});

test('of those who would rather not, the ones that could serve go first, and one that leaves gets nothing', () => {
  const [a, b, c] = [member('a'), member('b'), member('c')];
  const wanted = () => [a, b, c].map((me) => planShards(SHARDS, records([a, b, c]), me).wanted.size);
  a.reluctant = 'unsteady';
  expect(wanted()).toEqual([0, 4, 4]);
  b.reluctant = 'store';
  expect(wanted()).toEqual([0, 0, 8]);
  c.reluctant = 'leaving';
  expect(wanted()).toEqual([8, 0, 0]);
  a.reluctant = 'store';
  expect(wanted()).toEqual([4, 4, 0]);
  b.reluctant = 'leaving';
  a.reluctant = 'leaving';
  expect(wanted()).toEqual([0, 0, 0]);
});

test('what an operator has moved goes where it was moved to, and nothing else moves with it', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 5 }), fc.nat(SHARDS - 1), fc.nat(4), (count, shard, chosen) => {
      const routers = records(Array.from({ length: count }, (_, i) => member(`router-${i}`)));
      const to = `router-${chosen % count}`;
      const wanted = (id: string, pins: ReadonlyMap<number, string>, seen = routers) =>
        planShards(SHARDS, seen, { id, holding: new Set(), prepared: new Set() }, '', pins).wanted;
      const pins = new Map([[shard, to]]);
      for (const { id } of routers) {
        const before = [...wanted(id, new Map())].filter((one) => one !== shard);
        expect([...wanted(id, pins)].toSorted()).toEqual([...before, ...(id === to ? [shard] : [])].toSorted());
      }
      // Where it is not to have shards, or is not there, the shard is as if it had never been moved.
      const without = routers.map((one) => (one.id === to ? { ...one, reluctant: 'leaving' as const } : one));
      for (const { id } of routers) expect(wanted(id, pins, without)).toEqual(wanted(id, new Map(), without));
    }),
  );
});
