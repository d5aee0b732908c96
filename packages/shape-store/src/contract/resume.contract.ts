import { formatOffset, type Lsn } from '@shapecast/log';
import { describe, expect, test } from 'vitest';
import type { ShapeStore, ShardId } from '../shape-store.ts';
import {
  at,
  bytes,
  disposable,
  entry,
  headOf,
  newShard,
  Owner,
  read,
  request,
  snapshot,
  type OpenStore,
} from './fixtures.ts';

const FIRST = { xmin: 50n, xmax: 60n, xip: [50n, 55n], insertLsn: 10n as Lsn, published: 'p1' };
const SECOND = { xmin: 70n, xmax: 70n, xip: [], insertLsn: 30n as Lsn };
const THIRD = { xmin: 90n, xmax: 2n ** 40n, xip: [2n ** 39n], insertLsn: (2n ** 60n) as Lsn };
const MARK = '{"key":["a\\"\\u0000\\\\ \u00fc \u65e5"],"chunk":1}';

/** A snapshot that was broken off and goes on (spec R 10.7.3, 10.7.4). */
export function describeResumption(open: OpenStore): void {
  const part = (store: ShapeStore, shard: ShardId, handle: string, token: string) => {
    return (chunk: number, text: string, close: boolean, mark?: string) =>
      store.snapshotPart(shard, handle, token, { chunk, bytes: bytes(text), close, ...(mark ? { mark } : {}) });
  };

  /** A shape whose snapshot has a closed chunk, a piece of the next, and nobody who goes on. */
  const brokenOff = async (store: ShapeStore, shard = newShard()) => {
    const { handle } = await store.getOrCreate(shard, request('t'));
    await store.snapshotBegin(shard, handle, 'a');
    await store.snapshotKnown(shard, handle, 'a', FIRST);
    const write = part(store, shard, handle, 'a');
    await write(0, '{"a":1}', true, 'one');
    await write(1, '{"a":2}', false, MARK);
    await store.snapshotYield(shard, handle, 'a');
    return { shard, handle };
  };

  const texts = async (store: ShapeStore, shard: ShardId, handle: string, chunk: number) => {
    const found = await store.readSnapshot(shard, handle, chunk, 0, 1_000);
    return found?.parts.map((one) => Buffer.from(one).toString());
  };

  describe('a snapshot that was broken off', () => {
    test('goes on behind the mark of its last piece, with what each of its reads shows', async () => {
      await using store = disposable(await open({ leaseMs: 60_000 }));
      const { shard, handle } = await brokenOff(store);
      expect(await store.snapshotBegin(shard, handle, 'b')).toBe('resumed');
      expect(await store.readInterrupted(shard, handle, 'b')).toEqual({ mark: MARK, segments: [FIRST] });
      expect(await store.snapshotKnown(shard, handle, 'b', SECOND)).toBe('known');
      const write = part(store, shard, handle, 'b');
      expect(await write(1, '{"a":3}', false, 'three')).toBe(true);
      await store.snapshotYield(shard, handle, 'b');
      expect(await store.snapshotBegin(shard, handle, 'c')).toBe('resumed');
      expect(await store.snapshotKnown(shard, handle, 'c', THIRD)).toBe('known');
      expect(await store.readInterrupted(shard, handle, 'c')).toEqual({
        mark: 'three',
        segments: [FIRST, { ...SECOND, after: MARK }, { ...THIRD, after: 'three' }],
      });
      // What the first shows, all show.
      expect((await store.loadShapes(shard)).shapes[0]?.snapshot).toEqual(FIRST);
      expect(await part(store, shard, handle, 'c')(1, '{"end":1}', true, 'end')).toBe(true);
      expect(await store.snapshotDone(shard, handle, 'c')).toBe(true);
      expect(await texts(store, shard, handle, 1)).toEqual(['{"a":2}', '{"a":3}', '{"end":1}']);
      expect(await headOf(store, shard, handle)).toMatchObject({ state: 'promoting', closedChunks: 2 });
    });

    test('nobody goes on while its attempt lives, and what a replaced attempt still says is refused', async () => {
      await using store = disposable(await open({ leaseMs: 60_000 }));
      const { shard, handle } = await brokenOff(store);
      expect(await store.snapshotBegin(shard, handle, 'b')).toBe('resumed');
      // Its answer was lost.
      expect(await store.snapshotBegin(shard, handle, 'b')).toBe('resumed');
      expect(await store.snapshotBegin(shard, handle, 'c')).toBe('alive');
      expect(await store.readInterrupted(shard, handle, 'a')).toBeUndefined();
      expect(await store.readPending(shard, handle, 'a', at(0), 10)).toBeUndefined();
      expect(await store.amendPending(shard, handle, 'a', [])).toBe(false);
      expect(await store.snapshotKnown(shard, handle, 'a', SECOND)).toBe('over');
      expect(await part(store, shard, handle, 'a')(1, '{"a":9}', false, 'nine')).toBe(false);
      expect(await store.snapshotDone(shard, handle, 'a')).toBe(false);
      expect(await store.snapshotBeat(shard, handle, 'a')).toBe(false);
      expect((await store.readInterrupted(shard, handle, 'b'))?.mark).toBe(MARK);
      expect(await texts(store, shard, handle, 1)).toEqual(['{"a":2}']);
    });

    test('a read that ended before its first piece leaves an empty segment', async () => {
      await using store = disposable(await open({ leaseMs: 0 }));
      const { shard, handle } = await brokenOff(store);
      await store.snapshotBegin(shard, handle, 'b');
      await store.snapshotKnown(shard, handle, 'b', SECOND);
      // Its answer was lost.
      await store.snapshotKnown(shard, handle, 'b', SECOND);
      await store.snapshotBegin(shard, handle, 'c');
      await store.snapshotKnown(shard, handle, 'c', THIRD);
      const segments = (await store.readInterrupted(shard, handle, 'c'))?.segments ?? [];
      const distinct = segments.filter(({ xmin }, i) => xmin !== segments[i + 1]?.xmin);
      expect(distinct).toEqual([FIRST, { ...SECOND, after: MARK }, { ...THIRD, after: MARK }]);
    });

    test('only so often', async () => {
      await using store = disposable(await open({ leaseMs: 0, resumptions: 2 }));
      const { shard, handle } = await brokenOff(store);
      const begun = [];
      for (const token of ['b', 'c', 'd']) begun.push(await store.snapshotBegin(shard, handle, token));
      expect(begun).toEqual(['resumed', 'resumed', 'readable']);
    });

    test('not behind a piece without a mark', async () => {
      await using store = disposable(await open({ leaseMs: 0 }));
      const { shard, handle } = await brokenOff(store);
      await store.snapshotBegin(shard, handle, 'b');
      await part(store, shard, handle, 'b')(1, '{"a":3}', false);
      expect(await store.snapshotBegin(shard, handle, 'c')).toBe('readable');
    });

    test('an attempt of which nothing was read begins anew, whatever an earlier one knew', async () => {
      await using store = disposable(await open({ leaseMs: 0 }));
      const shard = newShard();
      const { handle } = await store.getOrCreate(shard, request('t'));
      await store.snapshotBegin(shard, handle, 'a');
      await store.snapshotKnown(shard, handle, 'a', FIRST);
      expect(await store.snapshotBegin(shard, handle, 'b')).toBe('begun');
      expect(await store.readInterrupted(shard, handle, 'b')).toBeUndefined();
    });
  });

  describe('entries that wait for a snapshot', () => {
    const positions = (entries: readonly { readonly position: { lsn: bigint; op: number } }[] | undefined) =>
      entries?.map(({ position }) => `${position.lsn}_${position.op}`);

    test('are read in pages, in order', async () => {
      await using store = disposable(await open());
      const { shard, handle } = await brokenOff(store);
      const owner = await Owner.acquire(store, shard);
      await owner.write(entry(handle, at(20)), entry(handle, at(20, 2)), entry(handle, at(21)));
      await store.snapshotBegin(shard, handle, 'b');
      const page = await store.readPending(shard, handle, 'b', at(0), 2);
      expect(page?.map((one) => ({ ...one, bytes: Buffer.from(one.bytes).toString() }))).toEqual([
        { handle, position: at(20), xid: 120n, bytes: '{"at":"20_0"}' },
        { handle, position: at(20, 2), xid: 120n, bytes: '{"at":"20_2"}' },
      ]);
      expect(positions(await store.readPending(shard, handle, 'b', at(20, 2), 2))).toEqual(['21_0']);
      expect(positions(await store.readPending(shard, handle, 'b', at(21), 2))).toEqual([]);
    });

    test('are changed and dropped, as often as it is said, and become the log with what came later', async () => {
      await using store = disposable(await open());
      const { shard, handle } = await brokenOff(store);
      const owner = await Owner.acquire(store, shard);
      const many = Array.from({ length: 700 }, (_, i) => entry(handle, at(20 + i)));
      await owner.write(...many);
      await store.snapshotBegin(shard, handle, 'b');
      const edits = [
        { position: at(20) },
        { position: at(25), bytes: bytes('{"other":"bytes, and more of them"}') },
        { position: at(26, 7), bytes: bytes('never there') },
        ...Array.from({ length: 690 }, (_, i) => ({ position: at(30 + i) })),
      ];
      expect(await store.amendPending(shard, handle, 'b', edits)).toBe(true);
      expect(await store.amendPending(shard, handle, 'b', edits)).toBe(true);
      await owner.write(entry(handle, at(1_000)));
      const left = ['21_0', '22_0', '23_0', '24_0', '25_0', '26_0', '27_0', '28_0', '29_0'];
      expect(positions(await store.readPending(shard, handle, 'b', at(0), 100))).toEqual([...left, '1000_0']);
      await part(store, shard, handle, 'b')(1, '{"end":1}', true, 'end');
      await store.snapshotDone(shard, handle, 'b');
      expect(await store.promote(shard, handle, 4)).toBe(6);
      expect(await store.promote(shard, handle, 10)).toBe(0);
      await owner.refresh();
      const { offsets, texts: found } = await read(store, shard, handle);
      expect(offsets).toEqual([...left, '1000_0']);
      expect(found[4]).toBe('{"other":"bytes, and more of them"}');
      await owner.write(entry(handle, at(1_001)));
      expect((await read(store, shard, handle)).offsets.at(-1)).toBe(formatOffset({ tx: 1_001n as Lsn, op: 0 }));
    });

    test('are changed while others come in, of which none is lost', async () => {
      await using store = disposable(await open());
      const { shard, handle } = await brokenOff(store);
      const owner = await Owner.acquire(store, shard);
      await owner.write(...Array.from({ length: 1_500 }, (_, i) => entry(handle, at(20 + i))));
      await store.snapshotBegin(shard, handle, 'b');
      const edits = Array.from({ length: 750 }, (_, i) => ({ position: at(20 + 2 * i) }));
      const amending = store.amendPending(shard, handle, 'b', edits);
      for (let i = 0; i < 40; i += 1)
        await owner.write(entry(handle, at(5_000 + 2 * i)), entry(handle, at(5_001 + 2 * i)));
      expect(await amending).toBe(true);
      const left = Array.from({ length: 750 }, (_, i) => `${21 + 2 * i}_0`);
      const came = Array.from({ length: 80 }, (_, i) => `${5_000 + i}_0`);
      expect(positions(await store.readPending(shard, handle, 'b', at(0), 5_000))).toEqual([...left, ...came]);
    });

    test('count as what is left of them: the bound of the pending log is for what waits', async () => {
      await using store = disposable(await open({ pendingMaxEntries: 10 }));
      const { shard, handle } = await brokenOff(store);
      const owner = await Owner.acquire(store, shard);
      const write = (from: number, count: number) =>
        owner.write(...Array.from({ length: count }, (_, i) => entry(handle, at(from + i))));
      await write(20, 9);
      await store.snapshotBegin(shard, handle, 'b');
      const all = Array.from({ length: 9 }, (_, i) => ({ position: at(20 + i) }));
      expect(await store.amendPending(shard, handle, 'b', all)).toBe(true);
      await write(40, 10);
      expect((await headOf(store, shard, handle)).state).toBe('snapshotting');
      await write(60, 1);
      expect((await headOf(store, shard, handle)).state).toBe('dead');
      expect(await store.amendPending(shard, handle, 'b', all)).toBe(false);
    });

    test('are not touched once the snapshot is done', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const { handle } = await store.getOrCreate(shard, request('t'));
      await snapshot(store, shard, handle);
      expect(await store.readPending(shard, handle, 'x', at(0), 10)).toBeUndefined();
      expect(await store.amendPending(shard, handle, 'x', [])).toBe(false);
    });
  });
}
