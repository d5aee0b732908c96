import { describe, expect, test } from 'vitest';
import type { ShapeReadTime, ShapeStore, ShardId } from '../shape-store.ts';
import { at, disposable, entry, FAILURE, liveShape, newShard, Owner, request, type OpenStore } from './fixtures.ts';

const MINUTE = 60_000;

const seen = (handle: string, agoMs: number, waiting = false): ShapeReadTime => ({ handle, agoMs, waiting });

async function shapes(store: ShapeStore, shard: ShardId, count: number): Promise<string[]> {
  const handles: string[] = [];
  for (let i = 0; i < count; i += 1) handles.push(await liveShape(store, shard, `t${i}`));
  return handles;
}

async function order(store: ShapeStore, shard: ShardId, waiting: 'skip' | 'include' = 'skip', limit = 100) {
  return (await store.leastRead(shard, limit, waiting)).shapes.map(({ handle }) => handle);
}

/** When shapes were read, how many there are, and handles after a loss (spec R 15.2.2, 15.5). */
export function describeUse(open: OpenStore): void {
  describe('use', () => {
    test('shapes come in the order of their last reads, those never read do not come', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const [a, b, c, never] = (await shapes(store, shard, 4)) as [string, string, string, string];
      await store.recordReads(shard, [seen(a, 1_000), seen(b, 3_000), seen(c, 2_000)], MINUTE);
      expect(await order(store, shard)).toEqual([b, c, a]);
      await store.recordReads(shard, [seen(b, 0)], MINUTE);
      expect(await order(store, shard)).toEqual([c, a, b]);
      expect(await order(store, shard, 'skip', 2)).toEqual([c, a]);
      const use = await store.leastRead(shard, 10, 'skip');
      expect(use.alive).toBe(4);
      const times = use.shapes.map(({ readAt }) => readAt);
      expect(times).toEqual(times.toSorted((one, two) => one - two));
      expect(use.shapes.every(({ heldBytes }) => heldBytes > 0)).toBe(true);
      expect(use.shapes.some(({ handle }) => handle === never)).toBe(false);
    });

    test('a report that comes late does not make a shape less recent', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const [a, b] = (await shapes(store, shard, 2)) as [string, string];
      await store.recordReads(shard, [seen(a, 5_000), seen(b, 0)], MINUTE);
      await store.recordReads(shard, [seen(b, 60_000)], MINUTE);
      expect(await order(store, shard)).toEqual([a, b]);
    });

    test('shapes that somebody waits for are passed over for as long as that is believed', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const [a, b, c] = (await shapes(store, shard, 3)) as [string, string, string];
      await store.recordReads(shard, [seen(a, 5_000, true), seen(b, 3_000), seen(c, 2_000)], MINUTE);
      expect(await order(store, shard)).toEqual([b, c]);
      expect(await order(store, shard, 'include')).toEqual([a, b, c]);
      await store.recordReads(shard, [seen(c, 1_000, true)], -1);
      expect(await order(store, shard)).toEqual([b, c]);
    });

    test('what is unknown, dead or not live yet is not named, and what is dead not counted', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const [a, b] = (await shapes(store, shard, 2)) as [string, string];
      const { handle: creating } = await store.getOrCreate(shard, request('creating'));
      await store.recordReads(shard, [seen(a, 5), seen(b, 5), seen(creating, 5), seen('1-2', 5)], MINUTE);
      const before = await store.leastRead(shard, 10, 'skip');
      expect(before.alive).toBe(3);
      expect(before.shapes.map(({ handle }) => handle).toSorted()).toEqual([a, b].toSorted());
      expect(before.dyingBytes).toBe(0);
      await store.rotate(shard, a, FAILURE);
      await store.recordReads(shard, [seen(a, 0)], MINUTE);
      const after = await store.leastRead(shard, 10, 'skip');
      expect([after.alive, after.shapes.map(({ handle }) => handle)]).toEqual([2, [b]]);
      expect(after.dyingBytes).toBe(before.shapes.find(({ handle }) => handle === a)?.heldBytes);
      await store.sweep(shard, 0);
      expect(await store.leastRead(shard, 10, 'skip')).toEqual({ ...after, dyingBytes: 0 });
    });

    test('a shard weighs what its shapes hold, those that are dying apart', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const weigh = async () => {
        const sum = { alive: 0, bytes: 0, dyingBytes: 0 };
        let cursor: string | undefined;
        do {
          const step = await store.weigh(shard, cursor);
          sum.alive += step.alive;
          sum.bytes += step.bytes;
          sum.dyingBytes += step.dyingBytes;
          cursor = step.cursor;
        } while (cursor !== undefined);
        return sum;
      };
      expect(await weigh()).toEqual({ alive: 0, bytes: 0, dyingBytes: 0 });
      const [a, b] = (await shapes(store, shard, 2)) as [string, string];
      // More than fit into one step.
      for (let i = 0; i < 700; i += 1) await store.getOrCreate(shard, request(`empty${i}`));
      const owner = await Owner.acquire(store, shard);
      await owner.write(entry(a, at(10)), entry(b, at(10, 2)));
      const held = new Map<string, number>();
      let page: string | undefined;
      do {
        const { shapes: uses, cursor } = await store.scanShapes(shard, page);
        for (const { handle, heldBytes } of uses) held.set(handle, heldBytes);
        page = cursor;
      } while (page !== undefined);
      const before = await weigh();
      expect(before).toEqual({ alive: 702, bytes: (held.get(a) ?? 0) + (held.get(b) ?? 0), dyingBytes: 0 });
      expect(before.bytes).toBeGreaterThan(0);
      await store.rotate(shard, a, FAILURE);
      expect(await weigh()).toEqual({ alive: 701, bytes: held.get(b), dyingBytes: held.get(a) });
      await store.sweep(shard, 0);
      expect((await weigh()).dyingBytes).toBe(0);
    });

    test('a shard that nobody has used has nothing', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      await store.recordReads(shard, [seen('1-2', 5)], MINUTE);
      await store.recordReads(shard, [], MINUTE);
      expect(await store.leastRead(shard, 10, 'skip')).toEqual({ alive: 0, dyingBytes: 0, shapes: [] });
    });

    test('T29 of shapes read at the same moment the one with the smaller handle comes first', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const handles = await shapes(store, shard, 6);
      const reads = handles.toReversed().map((handle) => seen(handle, 1_000));
      await store.recordReads(shard, reads, MINUTE);
      expect(await order(store, shard)).toEqual(handles.toSorted());
    });
  });

  describe('looking at shapes', () => {
    test('says when each was read, and whether somebody waits', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const [a, b, never] = (await shapes(store, shard, 3)) as [string, string, string];
      await store.recordReads(shard, [seen(a, 5_000, true), seen(b, 3_000)], MINUTE);
      const [first, second, ...others] = await store.whenRead(shard, [a, b, never, '1-2']);
      expect([first?.waiting, second?.waiting]).toEqual([true, false]);
      expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(1_900);
      expect((second?.at ?? 0) - (first?.at ?? 0)).toBeLessThanOrEqual(2_100);
      expect(others).toEqual([{ waiting: false }, { waiting: false }]);
      await store.recordReads(shard, [seen(b, 1_000, true)], -1);
      expect((await store.whenRead(shard, [b]))[0]?.waiting).toBe(false);
      expect(await store.whenRead(shard, [])).toEqual([]);
    });

    test('shows what a shape is, what it weighs and how many chunks of its log are closed', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const small = await liveShape(store, shard, 'small', 60);
      const other = await liveShape(store, shard, 'other');
      const owner = await Owner.acquire(store, shard);
      for (const lsn of [10, 11, 12, 13, 14]) await owner.write(entry(small, at(lsn)), entry(other, at(lsn, 2)));
      await store.recordReads(shard, [seen(small, 0, true)], MINUTE);
      const [one, missing, two] = await store.inspectShapes(shard, [small, '1-2', other]);
      expect(missing).toBeUndefined();
      const { shapes: uses } = await store.scanShapes(shard);
      const { record, logChunks, read, ...use } = one ?? { record: undefined };
      expect(use).toEqual(uses.find(({ handle }) => handle === small));
      expect(record).toEqual((await store.loadShapes(shard)).shapes.find(({ handle }) => handle === small));
      expect(read).toEqual((await store.whenRead(shard, [small]))[0]);
      // Each has 13 bytes: the fifth fills the chunk of 60.
      expect(logChunks).toBe(1);
      expect([two?.logChunks, two?.record?.definition.table, two?.read]).toEqual([0, 'other', { waiting: false }]);
    });

    test('shows a dead one until it is swept', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const handle = await liveShape(store, shard, 't');
      await store.rotate(shard, handle, FAILURE);
      expect((await store.inspectShapes(shard, [handle]))[0]?.state).toBe('dead');
      await store.sweep(shard, 0);
      expect(await store.inspectShapes(shard, [handle])).toEqual([undefined]);
    });
  });

  describe('handles after a loss', () => {
    test('a shard that was lost goes on above all that may have been issued', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      expect(await store.issuedHandles(shard)).toBe(0);
      const newest = 9_007_199_000_000_000;
      const issued = { newest, ceiling: newest + 60_000_000 };
      const { handle } = await store.getOrCreate(shard, { ...request('t'), issued });
      expect(handle).toMatch(/-9007199060000001$/);
      expect(await store.issuedHandles(shard)).toBe(newest + 60_000_001);
      // What the store knows itself is as new: nothing to make up for.
      const next = await store.getOrCreate(shard, { ...request('u'), issued });
      expect(next.handle).toMatch(/-9007199060000002$/);
    });

    test('what is known elsewhere changes nothing while the store knows as much', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const first = await store.getOrCreate(shard, request('t'));
      const newest = await store.issuedHandles(shard);
      const issued = { newest, ceiling: newest + 60_000_000 };
      await store.getOrCreate(shard, { ...request('u'), issued });
      expect(first.handle).toContain(String(newest));
      expect(await store.issuedHandles(shard)).toBeLessThan(newest + 60_000_000);
    });
  });

  describe('data of earlier incarnations', () => {
    test('goes, and that of the current one and of other sources stays', async () => {
      await using store = disposable(await open());
      const first = newShard();
      const second = { ...first, incarnation: 2, shard: 3 };
      const other = newShard();
      for (const shard of [first, second, other]) {
        const handle = await liveShape(store, shard, 't');
        const owner = await Owner.acquire(store, shard);
        await owner.write(entry(handle, at(10)));
      }
      let deleted = 0;
      let cursor: string | undefined;
      do {
        const step = await store.sweepOrphans(first.source, { incarnation: 2, graceMs: 0 }, cursor);
        deleted += step.deleted;
        cursor = step.cursor;
      } while (cursor !== undefined);
      expect(deleted).toBeGreaterThan(1);
      expect(await store.readMeta(first)).toBeUndefined();
      expect((await store.loadShapes(first)).shapes).toEqual([]);
      for (const shard of [second, other]) {
        const { shapes: kept } = await store.loadShapes(shard);
        expect(kept).toHaveLength(1);
        const read = await store.readHead(shard, kept[0]?.handle ?? '');
        expect(read?.tail).toEqual({ tx: 10n, op: 0 });
      }
    });
  });
}
