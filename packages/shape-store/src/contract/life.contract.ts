import { describe, expect, test } from 'vitest';
import {
  changesSince,
  at,
  bytes,
  disposable,
  entry,
  FAILURE,
  headOf,
  liveShape,
  newShard,
  NOTHING_VISIBLE,
  offset,
  Owner,
  read,
  request,
  type OpenStore,
} from './fixtures.ts';

/** Where shapes come from, what a router learns of them, and how they end (spec R 10.7.1, 13.3, 15). */
export function describeLife(open: OpenStore): void {
  describe('creation', () => {
    test('any number of callers get one handle', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const results = await Promise.all(Array.from({ length: 20 }, () => store.getOrCreate(shard, request('t'))));
      expect(new Set(results.map(({ handle }) => handle)).size).toBe(1);
      expect(results.filter(({ created }) => created)).toHaveLength(1);
      expect(results[0]?.handle).toMatch(/^\d+-\d{16}$/);
      expect(Number(results[0]?.handle.split('-')[0])).toBeLessThan(2 ** 32);
      expect(await store.find(shard, request('t').digest)).toBe(results[0]?.handle);
      expect((await store.loadShapes(shard)).shapes).toHaveLength(1);
    });

    test('a record comes back as it was given', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const { chunkBytes, ...asked } = request('t', 12_345);
      const { handle } = await store.getOrCreate(shard, { ...asked, chunkBytes });
      const { ver, shapes } = await store.loadShapes(shard);
      expect(shapes).toEqual([{ ...asked, chunkBytes, logFormat: 1, handle, state: 'creating', regLsn: 0n }]);
      expect(ver).toBe((await store.readMeta(shard))?.ver);
    });

    test('F130 a shape keeps the format that its log was begun in, and whoever does not know that is told nothing of it', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      await store.getOrCreate(shard, { ...request('first'), logFormat: 1 });
      const { ver } = await store.loadShapes(shard);
      const { handle } = await store.getOrCreate(shard, { ...request('later'), logFormat: 2 });
      const unknown = { code: 'FORMAT_UNKNOWN' };
      await expect(store.loadShapes(shard)).rejects.toMatchObject(unknown);
      await expect(store.loadDelta(shard, ver)).rejects.toMatchObject(unknown);
      await expect(store.readFingerprint(shard, handle)).rejects.toMatchObject(unknown);
      // Its place among the shapes is the same, so that it is not made twice.
      expect(await store.getOrCreate(shard, request('later'))).toEqual({ handle, created: false });
      await store.rotate(shard, handle, FAILURE);
      expect(await store.find(shard, request('later').digest)).toBeUndefined();
    });

    test('T25 a definition is compared in full, not by its digest', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const one = await store.getOrCreate(shard, request('one', 100, 'same'));
      const two = await store.getOrCreate(shard, request('two', 100, 'same'));
      expect(two.created).toBe(true);
      expect(two.handle).not.toBe(one.handle);
      expect(await store.getOrCreate(shard, request('one', 100, 'same'))).toEqual({
        handle: one.handle,
        created: false,
      });
      expect(await store.getOrCreate(shard, request('two', 100, 'same'))).toEqual({
        handle: two.handle,
        created: false,
      });
      await store.rotate(shard, one.handle, FAILURE);
      expect(await store.find(shard, 'same')).toBe(two.handle);
      expect(await store.getOrCreate(shard, request('two', 100, 'same'))).toEqual({
        handle: two.handle,
        created: false,
      });
    });

    test('equal definitions are equal whatever the order of their members', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const asked = request('t');
      const { handle } = await store.getOrCreate(shard, asked);
      const reversed = Object.fromEntries(Object.entries(asked.definition).toReversed()) as typeof asked.definition;
      expect(await store.getOrCreate(shard, { ...asked, definition: reversed })).toEqual({ handle, created: false });
    });

    test('handles are never issued twice and grow', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const issued: number[] = [];
      for (let i = 0; i < 20; i += 1) {
        const { handle } = await store.getOrCreate(shard, request('t'));
        issued.push(Number(handle.split('-')[1]));
        await store.rotate(shard, handle, FAILURE);
      }
      expect(new Set(issued).size).toBe(20);
      expect(issued).toEqual(issued.toSorted((a, b) => a - b));
    });

    test('a shape is registered at the commit LSN that the shard has reached, half-applied or not', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const owner = await Owner.acquire(store, shard);
      await owner.apply(owner.step([], 9223372036854775807n));
      const { visible: _, ...half } = owner.step([], 9223372036854775809n);
      await owner.apply(half);
      await store.getOrCreate(shard, request('t'));
      expect((await store.loadShapes(shard)).shapes[0]?.regLsn).toBe(9223372036854775809n);
    });

    test('what the table was like stays with the handle, until its data is gone', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      await store.acquire(shard, 'one');
      const asked = request('of a table');
      const fingerprint = { ...asked.fingerprint, notNull: ['id', 'größe'] };
      const { handle } = await store.getOrCreate(shard, { ...asked, fingerprint });
      expect(await store.readFingerprint(shard, handle)).toEqual(fingerprint);
      await store.rotate(shard, handle, FAILURE);
      await store.sweep(shard, 0);
      expect(await store.readFingerprint(shard, handle)).toBeUndefined();
    });

    test('a handle that nobody knows has nothing', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      await store.acquire(shard, 'one');
      expect(await store.readHead(shard, '1-1')).toBeUndefined();
      expect(await store.readFingerprint(shard, '1-1')).toBeUndefined();
      expect(await store.readHeads(shard, [])).toEqual([]);
      expect(await store.readHeads(shard, ['1-1', '1-2'])).toEqual([undefined, undefined]);
      expect(await store.readSnapshot(shard, '1-1', 0, 0, 1_000)).toBeUndefined();
      expect(await store.find(shard, 'nothing')).toBeUndefined();
      expect(await store.snapshotBegin(shard, '1-1', 'a')).toBe('over');
      expect(await store.snapshotKnown(shard, '1-1', 'a', NOTHING_VISIBLE)).toBe('over');
      expect(await store.snapshotPart(shard, '1-1', 'a', { chunk: 0, bytes: bytes('x'), close: true })).toBe(false);
      expect(await store.snapshotDone(shard, '1-1', 'a')).toBe(false);
      expect(await store.snapshotFailed(shard, '1-1', 'a', FAILURE)).toBe(false);
      expect(await store.promote(shard, '1-1', 10)).toBeUndefined();
      expect(await store.rotate(shard, '1-1', FAILURE)).toBe(false);
    });
  });

  describe('versions', () => {
    test('the delta lists each changed shape once, as it is now', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const { ver } = await store.acquire(shard, 'one');
      const { handle: a } = await store.getOrCreate(shard, request('a'));
      const middle = (await store.readMeta(shard))?.ver as string;
      const { handle: b } = await store.getOrCreate(shard, request('b'));
      await store.snapshotBegin(shard, b, 'token');
      const all = await changesSince(store, shard, ver);
      expect(all.changed.map((record) => [record.handle, record.state]).toSorted()).toEqual(
        [
          [a, 'creating'],
          [b, 'snapshotting'],
        ].toSorted(),
      );
      const some = await changesSince(store, shard, middle);
      expect(some.changed.map((record) => record.handle)).toEqual([b]);
      expect(some.ver).toBe((await store.readMeta(shard))?.ver);
      expect(await store.loadDelta(shard, some.ver)).toEqual({ ver: some.ver, changed: [] });
    });

    test('a forgotten version has no delta, and one that never was shows that history was lost', async () => {
      await using store = disposable(await open({ versionsKept: 4 }));
      const shard = newShard();
      expect(await store.loadDelta(shard, '1:abc')).toBeUndefined();
      const { ver } = await store.acquire(shard, 'one');
      for (const table of ['a', 'b', 'c']) await store.getOrCreate(shard, request(table));
      expect((await changesSince(store, shard, ver)).changed).toHaveLength(3);
      await store.getOrCreate(shard, request('d'));
      expect(await store.loadDelta(shard, ver)).toBeUndefined();
      for (const old of ['', 'nonsense', '0:abc']) expect(await store.loadDelta(shard, old)).toBeUndefined();
      for (const lost of ['4:abc', '999:abc']) expect(await store.loadDelta(shard, lost)).toBe('regressed');
    });

    test('there is no delta over a shape whose record is gone, so that nobody keeps it', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const { handle } = await store.getOrCreate(shard, request('a'));
      const { ver } = await store.loadShapes(shard);
      await store.rotate(shard, handle, FAILURE);
      expect((await changesSince(store, shard, ver)).changed).toMatchObject([{ handle, state: 'dead' }]);
      await store.sweep(shard, 0);
      expect(await store.loadDelta(shard, ver)).toBeUndefined();
      expect((await store.loadShapes(shard)).shapes).toEqual([]);
    });

    test('a large shard loads in full, without its dead shapes', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const created = await Promise.all(
        Array.from({ length: 1_200 }, (_, i) => store.getOrCreate(shard, request(`table ${i}`))),
      );
      await store.rotate(shard, created[3]?.handle as string, FAILURE);
      const { ver, shapes } = await store.loadShapes(shard);
      expect(ver).toBe((await store.readMeta(shard))?.ver);
      expect(shapes.map(({ handle }) => handle).toSorted()).toEqual(
        created
          .map(({ handle }) => handle)
          .filter((_, i) => i !== 3)
          .toSorted(),
      );
      const heads = await store.readHeads(
        shard,
        created.map(({ handle }) => handle),
      );
      expect(heads.map((head) => head?.handle)).toEqual(created.map(({ handle }) => handle));
    });
  });

  describe('death', () => {
    test('a rotated handle stays readable for its last readers, with the reason, and gets nothing more', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const handle = await liveShape(store, shard, 't');
      const owner = await Owner.acquire(store, shard);
      await owner.write(entry(handle, at(10)));
      const { visible: _, ...half } = owner.step([entry(handle, at(20))]);
      await owner.apply(half);
      expect(await store.rotate(shard, handle, FAILURE)).toBe(true);
      expect(await store.rotate(shard, handle, { code: 'X', message: 'again' })).toBe(false);
      await owner.write(entry(handle, at(20, 2)));
      expect(await headOf(store, shard, handle)).toMatchObject({ state: 'dead', tail: offset(10), error: FAILURE });
      expect((await read(store, shard, handle)).offsets).toEqual(['10_0']);
      expect((await store.readSnapshot(shard, handle, 0, 0, 100))?.closed).toBe(true);
      expect(await store.find(shard, request('t').digest)).toBeUndefined();
      const next = await store.getOrCreate(shard, request('t'));
      expect(next).toMatchObject({ created: true });
      expect(next.handle).not.toBe(handle);
    });

    test('a sweep deletes what has been dead for long enough, a bounded number at a time', async () => {
      await using store = disposable(await open({ sweepMaxHandles: 2 }));
      const shard = newShard();
      const live = await liveShape(store, shard, 'live');
      const handles = await Promise.all(['a', 'b', 'c'].map((table) => liveShape(store, shard, table, 10)));
      const owner = await Owner.acquire(store, shard);
      await owner.write(...[...handles, live].map((handle, i) => entry(handle, at(10, i))));
      const [first] = handles as [string, ...string[]];
      const head = await headOf(store, shard, first);
      for (const handle of handles) await store.rotate(shard, handle, FAILURE);
      expect(await store.sweep(shard, 60_000)).toBe(0);
      expect((await read(store, shard, first)).offsets).toEqual(['10_0']);
      expect(await store.sweep(shard, 0)).toBe(2);
      expect(await store.sweep(shard, 0)).toBe(1);
      expect(await store.sweep(shard, 0)).toBe(0);
      expect(await store.readHeads(shard, handles)).toEqual([undefined, undefined, undefined]);
      expect(await store.readSnapshot(shard, first, 0, 0, 100)).toBeUndefined();
      // A reader that was still under way gets nothing, and no error.
      expect(await store.readLog(shard, { ...head, state: 'dead' }, offset(0, Infinity))).toMatchObject({
        entries: [],
      });
      expect((await read(store, shard, live)).offsets).toEqual(['10_3']);
    });

    test('sweeping a shard that nobody has used deletes nothing', async () => {
      await using store = disposable(await open());
      expect(await store.sweep(newShard(), 0)).toBe(0);
    });
  });
}
