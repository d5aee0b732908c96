import type { Lsn } from '@shapecast/log';
import { waitFor } from '@shapecast/testkit';
import { describe, expect, test } from 'vitest';
import type { ShapeStore, ShardId } from '../shape-store.ts';
import { at, bytes, disposable, entry, FAILURE, headOf, newShard, Owner, request, type OpenStore } from './fixtures.ts';

const SHOWS_NOTHING = { xmin: 50n, xmax: 50n, xip: [], insertLsn: 10n as Lsn };

/** Who takes a snapshot, and what it has to show (spec R 10.6.7, 10.7.3, 10.7.4). */
export function describeAttempts(open: OpenStore): void {
  const created = async (store: ShapeStore): Promise<{ shard: ShardId; handle: string }> => {
    const shard = newShard();
    const { handle } = await store.getOrCreate(shard, request('t'));
    return { shard, handle };
  };

  describe('snapshot lease', () => {
    test('keeps others away while its attempt says something, and no longer', async () => {
      await using store = disposable(await open({ leaseMs: 300 }));
      const { shard, handle } = await created(store);
      expect(await store.snapshotBegin(shard, handle, 'a')).toBe('begun');
      expect(await store.snapshotBegin(shard, handle, 'b')).toBe('alive');
      // Far longer than the lease, with beats all the while.
      const beating = performance.now();
      while (performance.now() - beating < 700) {
        expect(await store.snapshotBeat(shard, handle, 'a')).toBe(true);
        expect(await store.snapshotBegin(shard, handle, 'b')).toBe('alive');
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      await waitFor(async () => (await store.snapshotBegin(shard, handle, 'b')) === 'begun');
      expect(await store.snapshotBeat(shard, handle, 'a')).toBe(false);
      expect(await store.snapshotYield(shard, handle, 'a')).toBe(false);
      expect(await store.snapshotKnown(shard, handle, 'a', SHOWS_NOTHING)).toBe('over');
      expect(await store.snapshotBeat(shard, handle, 'b')).toBe(true);
    });

    test('an attempt that was paused past its lease goes on if nobody came', async () => {
      await using store = disposable(await open({ leaseMs: 0 }));
      const { shard, handle } = await created(store);
      await store.snapshotBegin(shard, handle, 'a');
      expect(await store.snapshotBeat(shard, handle, 'a')).toBe(true);
      expect(await store.snapshotKnown(shard, handle, 'a', SHOWS_NOTHING)).toBe('known');
    });

    test('can be given up, and then another attempt begins at once under the same handle', async () => {
      await using store = disposable(await open({ leaseMs: 60_000 }));
      const { shard, handle } = await created(store);
      await store.snapshotBegin(shard, handle, 'a');
      expect(await store.snapshotYield(shard, handle, 'a')).toBe(true);
      expect(await store.snapshotBegin(shard, handle, 'b')).toBe('begun');
      expect(await store.snapshotPart(shard, handle, 'a', { chunk: 0, bytes: bytes('x'), close: true })).toBe(false);
    });

    test('a shape whose rows may have been read is left to its attempt while that lives', async () => {
      await using store = disposable(await open({ leaseMs: 60_000 }));
      const { shard, handle } = await created(store);
      await store.snapshotBegin(shard, handle, 'a');
      await store.snapshotKnown(shard, handle, 'a', SHOWS_NOTHING);
      await store.snapshotPart(shard, handle, 'a', { chunk: 0, bytes: bytes('x'), close: false });
      expect(await store.snapshotBegin(shard, handle, 'b')).toBe('alive');
      await store.snapshotYield(shard, handle, 'a');
      expect(await store.snapshotBegin(shard, handle, 'b')).toBe('readable');
    });

    test('what an attempt writes renews it', async () => {
      await using store = disposable(await open({ leaseMs: 60_000 }));
      const { shard, handle } = await created(store);
      await store.snapshotBegin(shard, handle, 'a');
      const part = { chunk: 0, bytes: bytes('x'), close: false };
      for (const write of [
        () => store.snapshotKnown(shard, handle, 'a', SHOWS_NOTHING),
        () => store.snapshotPart(shard, handle, 'a', part),
      ]) {
        await store.snapshotYield(shard, handle, 'a');
        await write();
        expect(await store.snapshotBegin(shard, handle, 'b')).toBe('alive');
      }
    });
  });

  test('a failed attempt leaves nothing to read but why', async () => {
    await using store = disposable(await open());
    const { shard, handle } = await created(store);
    await store.snapshotBegin(shard, handle, 'a');
    await store.snapshotKnown(shard, handle, 'a', SHOWS_NOTHING);
    for (const chunk of [0, 1]) {
      await store.snapshotPart(shard, handle, 'a', { chunk, bytes: bytes('{"a":1}'), close: chunk === 0 });
    }
    expect(await store.snapshotFailed(shard, handle, 'a', FAILURE)).toBe(true);
    for (const chunk of [0, 1]) expect(await store.readSnapshot(shard, handle, chunk, 0, 1_000)).toBeUndefined();
    expect((await headOf(store, shard, handle)).error).toEqual(FAILURE);
    expect((await store.getOrCreate(shard, request('t'))).created).toBe(true);
  });

  describe('snapshot doubts', () => {
    const truncation = { lsn: 20n as Lsn, xid: 60n };
    const later = { xmin: 70n, xmax: 70n, xip: [], insertLsn: 30n as Lsn };

    test('a snapshot that does not show the transaction is not recorded, a later one is', async () => {
      await using store = disposable(await open({ leaseMs: 0 }));
      const { shard, handle } = await created(store);
      expect(await store.snapshotDoubts(shard, [{ handle, ...truncation }])).toEqual([]);
      await store.snapshotBegin(shard, handle, 'a');
      expect(await store.snapshotKnown(shard, handle, 'a', SHOWS_NOTHING)).toBe('unseen');
      expect((await store.loadShapes(shard)).shapes[0]?.snapshot).toBeUndefined();
      // Not forgotten with the attempt that found it.
      expect(await store.snapshotBegin(shard, handle, 'b')).toBe('begun');
      expect(await store.snapshotKnown(shard, handle, 'b', { ...later, xmin: 55n, xip: [60n] })).toBe('unseen');
      expect(await store.snapshotKnown(shard, handle, 'b', { ...later, insertLsn: 19n as Lsn })).toBe('unseen');
      expect(await store.snapshotKnown(shard, handle, 'b', later)).toBe('known');
    });

    test('every transaction counts, not only the last', async () => {
      await using store = disposable(await open());
      const { shard, handle } = await created(store);
      await store.snapshotDoubts(shard, [
        { handle, ...truncation },
        { handle, lsn: 25n as Lsn, xid: 40n },
      ]);
      await store.snapshotBegin(shard, handle, 'a');
      expect(await store.snapshotKnown(shard, handle, 'a', { ...later, xmin: 55n, xip: [60n] })).toBe('unseen');
    });

    test('names the shapes whose snapshot is known and does not show it', async () => {
      await using store = disposable(await open());
      const { shard, handle } = await created(store);
      const other = await store.getOrCreate(shard, request('u'));
      for (const [one, known] of [
        [handle, SHOWS_NOTHING],
        [other.handle, later],
      ] as const) {
        await store.snapshotBegin(shard, one, 'a');
        await store.snapshotKnown(shard, one, 'a', known);
      }
      const doubts = [handle, other.handle, '1-1'].map((one) => ({ handle: one, ...truncation }));
      expect(await store.snapshotDoubts(shard, doubts)).toEqual([handle]);
    });
  });

  describe('what the safety ring does not know', () => {
    const MAX = 2n ** 64n - 1n;

    test('a new shard has seen nothing, until that is bounded', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const owner = await Owner.acquire(store, shard);
      await owner.apply(owner.step([], 5n));
      const before = await store.readRing(shard, MAX as Lsn);
      expect(before).toMatchObject({
        entries: [{ lsn: 5n, xid: 105n }],
        floor: 0n,
        skipped: expect.any(String) as unknown,
      });
      await store.boundRing(shard, before.skipped as string, 77n);
      const after = await store.readRing(shard, MAX as Lsn);
      expect([after.floor, after.skipped]).toEqual([77n, undefined]);
      // Said once more by somebody who was late.
      await store.boundRing(shard, before.skipped as string, 99n);
      expect((await store.readRing(shard, MAX as Lsn)).floor).toBe(77n);
    });

    test('a bound that was found before more was skipped does not count', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      await Owner.acquire(store, shard);
      const { skipped } = await store.readRing(shard, MAX as Lsn);
      await store.skipRing(shard);
      await store.boundRing(shard, skipped as string, 77n);
      const ring = await store.readRing(shard, MAX as Lsn);
      expect(ring).toMatchObject({ floor: 0n, skipped: expect.any(String) as unknown });
      expect(ring.skipped).not.toBe(skipped);
    });

    test('the floor is the newest transaction that the cap dropped, which need not be the last to commit', async () => {
      await using store = disposable(await open({ ringMaxEntries: 2 }));
      const shard = newShard();
      const { handle } = await store.getOrCreate(shard, request('t'));
      const owner = await Owner.acquire(store, shard);
      const step = owner.step([entry(handle, at(9))]);
      const xids = [900n, 40n, 41n, 42n];
      const transactions = xids.map((xid, i) => ({ lsn: BigInt(6 + i) as Lsn, xid }));
      await owner.apply({ ...step, transactions });
      const ring = await store.readRing(shard, MAX as Lsn);
      expect([ring.entries.map(({ xid }) => xid), ring.floor]).toEqual([[41n, 42n], 900n]);
      expect((await headOf(store, shard, handle)).state).toBe('creating');
    });
  });
}
