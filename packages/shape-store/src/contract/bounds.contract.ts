import { type Lsn } from '@shapecast/log';
import { describe, expect, test } from 'vitest';
import {
  changesSince,
  at,
  bytes,
  disposable,
  entry,
  follow,
  headOf,
  liveShape,
  newShard,
  Owner,
  read,
  request,
  snapshot,
  type OpenStore,
} from './fixtures.ts';

/** What a shard remembers within bounds: the safety ring (spec R 10.6.7) and pending logs (R 10.6.8). */
export function describeBounds(open: OpenStore): void {
  describe('safety ring', () => {
    const ring = async (store: Awaited<ReturnType<OpenStore>>, shard: ReturnType<typeof newShard>, upTo: number) => {
      const { entries, floor } = await store.readRing(shard, BigInt(upTo) as Lsn);
      return { lsns: entries.map(({ lsn }) => Number(lsn)), floor: Number(floor) };
    };

    test('keeps transactions that touch no shape, once each, and gives those up to an LSN', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const owner = await Owner.acquire(store, shard);
      await owner.apply(owner.step([], 5n));
      await owner.apply(owner.step([], 10n));
      await owner.apply(owner.step([], 10n));
      await owner.apply(owner.step([], 9223372036854775808n));
      expect(await ring(store, shard, 9)).toEqual({ lsns: [5], floor: 0 });
      expect((await store.readRing(shard, 18446744073709551615n as Lsn)).entries).toEqual([
        { lsn: 5n, xid: 105n },
        { lsn: 10n, xid: 110n },
        { lsn: 9223372036854775808n, xid: 9223372036854775908n },
      ]);
    });

    test('has a transaction from its first part on', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const owner = await Owner.acquire(store, shard);
      const { visible: _, ...half } = owner.step([], 5n);
      await owner.apply({ ...half, to: { ...half.to, openTxSeq: 1 } });
      expect((await store.getOrCreate(shard, request('t'))).created).toBe(true);
      const { shapes } = await store.loadShapes(shard);
      expect(shapes[0]?.regLsn).toBe(5n);
      expect((await ring(store, shard, 5)).lsns).toEqual([5]);
    });

    test('forgets what every later snapshot shows', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const owner = await Owner.acquire(store, shard);
      for (const lsn of [5n, 6n, 7n, 8n]) await owner.apply(owner.step([], lsn));
      await owner.apply({ entries: [], transactions: [], to: { ...owner.state.cursor, seq: 9 }, xmin: 107n });
      expect(await ring(store, shard, 99)).toEqual({ lsns: [7, 8], floor: 0 });
      await owner.apply({ entries: [], transactions: [], to: { ...owner.state.cursor, seq: 10 }, xmin: 1_000n });
      expect(await ring(store, shard, 99)).toEqual({ lsns: [], floor: 0 });
    });

    test('drops the oldest at its cap and says so', async () => {
      await using store = disposable(await open({ ringMaxEntries: 3 }));
      const shard = newShard();
      const owner = await Owner.acquire(store, shard);
      for (const lsn of [5n, 6n, 7n, 8n, 9n]) await owner.apply(owner.step([], lsn));
      expect(await ring(store, shard, 99)).toEqual({ lsns: [7, 8, 9], floor: 106 });
    });

    test('keeps its bounds with steps of thousands of transactions', async () => {
      await using store = disposable(await open({ ringMaxEntries: 100 }));
      const shard = newShard();
      const handle = await liveShape(store, shard, 't');
      const owner = await Owner.acquire(store, shard);
      await owner.write(...Array.from({ length: 5_200 }, (_, i) => entry(handle, at(1 + i))));
      const { lsns, floor } = await ring(store, shard, 9_999);
      expect([lsns.length, lsns[0], floor]).toEqual([100, 5_101, 5_200]);
    });

    test('forgets as fast as it learns', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const handle = await liveShape(store, shard, 't');
      const owner = await Owner.acquire(store, shard);
      for (let from = 1; from < 15_000; from += 3_000) {
        const step = owner.step(Array.from({ length: 3_000 }, (_, i) => entry(handle, at(from + i))));
        await owner.apply({ ...step, xmin: BigInt(from) + 100n });
      }
      const { lsns } = await ring(store, shard, 99_999);
      expect(lsns.length).toBeLessThanOrEqual(6_000);
      expect(lsns.at(-1)).toBe(15_000);
    });

    test('is empty for a shard that nobody has used', async () => {
      await using store = disposable(await open());
      expect(await ring(store, newShard(), 99)).toEqual({ lsns: [], floor: 0 });
    });
  });

  describe('pending log', () => {
    const filled = async (limits: Parameters<OpenStore>[0], entries: number) => {
      const store = await open(limits);
      const shard = newShard();
      const { handle } = await store.getOrCreate(shard, request('t'));
      const other = await liveShape(store, shard, 'other');
      const owner = await Owner.acquire(store, shard);
      const lsns = Array.from({ length: entries }, (_, i) => 10 + i);
      await owner.write(...lsns.map((lsn) => entry(handle, at(lsn), '0123456789')), entry(other, at(99)));
      return { store, shard, handle, other, owner, [Symbol.asyncDispose]: () => store.close() };
    };

    test.each([
      ['entries', { pendingMaxEntries: 5 }],
      ['bytes', { pendingMaxBytes: 50 }],
    ])('may be filled to its bound in %s', async (_, limits) => {
      await using scope = await filled(limits, 5);
      expect((await headOf(scope.store, scope.shard, scope.handle)).state).toBe('creating');
    });

    test.each([
      ['entries', { pendingMaxEntries: 5 }],
      ['bytes', { pendingMaxBytes: 50 }],
    ])('ends the shape when it is full in %s, and only that one', async (_, limits) => {
      await using scope = await filled(limits, 6);
      const { store, shard, handle, other, owner } = scope;
      expect(await headOf(store, shard, handle)).toMatchObject({ state: 'dead', error: { code: 'SNAPSHOT_FAILED' } });
      expect((await read(store, shard, other)).offsets).toEqual(['99_0']);
      expect(await owner.try(owner.step([], 100n))).toBe('ver');
      const delta = await changesSince(store, shard, owner.state.ver);
      expect(delta.changed.map((record) => [record.handle, record.state])).toEqual([[handle, 'dead']]);
      expect(await store.find(shard, request('t').digest)).toBeUndefined();
      expect(await store.snapshotBegin(shard, handle, 'late')).toBe('over');
      const next = await store.getOrCreate(shard, request('t'));
      expect(next.created).toBe(true);
      expect(next.handle).not.toBe(handle);
      expect(await store.sweep(shard, 0)).toBe(1);
      expect(await store.find(shard, request('t').digest)).toBe(next.handle);
    });

    test('has room again for what was promoted', async () => {
      await using store = disposable(await open({ pendingMaxEntries: 3, pendingMaxBytes: 30 }));
      const shard = newShard();
      const { handle } = await store.getOrCreate(shard, request('t'));
      const owner = await Owner.acquire(store, shard);
      const write = (...lsns: number[]) => owner.write(...lsns.map((lsn) => entry(handle, at(lsn), '0123456789')));
      await write(1, 2, 3);
      await snapshot(store, shard, handle);
      expect(await store.promote(shard, handle, 2)).toBe(1);
      await write(4, 5);
      expect(await store.promote(shard, handle, 2)).toBe(1);
      expect(await store.promote(shard, handle, 2)).toBe(0);
      expect((await follow(store, shard, handle)).flat()).toEqual(['1_0', '2_0', '3_0', '4_0', '5_0']);
    });

    test('counts bytes, not characters', async () => {
      await using store = disposable(await open({ pendingMaxBytes: 10 }));
      const shard = newShard();
      const { handle } = await store.getOrCreate(shard, request('t'));
      const owner = await Owner.acquire(store, shard);
      await owner.write({ ...entry(handle, at(10)), bytes: bytes('ü'.repeat(6)) });
      expect((await headOf(store, shard, handle)).state).toBe('dead');
    });
  });
}
