import { formatOffset, type Lsn } from '@shapecast/log';
import { describe, expect, test } from 'vitest';
import type { SnapshotVisibility } from '../shape-store.ts';
import {
  at,
  bytes,
  disposable,
  entry,
  FAILURE,
  follow,
  headOf,
  liveShape,
  newShard,
  offset,
  Owner,
  read,
  request,
  snapshot,
  type OpenStore,
} from './fixtures.ts';

/** From the first piece of a snapshot to a live log (spec R 10.6, 10.7). */
export function describeSnapshots(open: OpenStore): void {
  describe('snapshot', () => {
    test('can be read while it is written', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const { handle } = await store.getOrCreate(shard, request('t'));
      const part = (chunk: number, text: string, close: boolean) =>
        store.snapshotPart(shard, handle, 'a', { chunk, bytes: bytes(text), close });
      const chunk = async (n: number, from = 0, maxBytes = 1_000) => {
        const found = await store.readSnapshot(shard, handle, n, from, maxBytes);
        return found && { ...found, parts: found.parts.map((one) => Buffer.from(one).toString()) };
      };
      expect(await headOf(store, shard, handle)).toMatchObject({ state: 'creating', snapshotStarted: false });
      expect(await store.snapshotBegin(shard, handle, 'a')).toBe('begun');
      expect(await store.snapshotKnown(shard, handle, 'a', visibility({}))).toBe('known');
      expect(await headOf(store, shard, handle)).toMatchObject({ state: 'snapshotting', snapshotStarted: false });
      expect(await chunk(0)).toBeUndefined();

      expect(await part(0, '{"a":1},{"a":2}', false)).toBe(true);
      expect(await headOf(store, shard, handle)).toMatchObject({ snapshotStarted: true, closedChunks: 0 });
      expect(await chunk(0)).toEqual({ parts: ['{"a":1},{"a":2}'], nextPart: 1, closed: false });
      expect(await chunk(0, 1)).toEqual({ parts: [], nextPart: 1, closed: false });

      expect(await part(0, '{"a":3}', true)).toBe(true);
      expect(await chunk(0, 1)).toEqual({ parts: ['{"a":3}'], nextPart: 2, closed: true });
      expect(await chunk(0, 0, 5)).toEqual({ parts: ['{"a":1},{"a":2}'], nextPart: 1, closed: false });
      expect(await chunk(0, 2)).toEqual({ parts: [], nextPart: 2, closed: true });
      expect(await chunk(1)).toBeUndefined();
      expect(await headOf(store, shard, handle)).toMatchObject({ closedChunks: 1, snapshotComplete: false });

      expect(await part(1, '{"a":4}', false)).toBe(true);
      expect(await part(1, '', true)).toBe(true);
      expect(await chunk(1)).toEqual({ parts: ['{"a":4}'], nextPart: 1, closed: true });
      expect(await store.snapshotDone(shard, handle, 'a')).toBe(true);
      expect(await headOf(store, shard, handle)).toMatchObject({
        state: 'promoting',
        closedChunks: 2,
        snapshotComplete: true,
        snapshotStarted: true,
      });
      expect(await chunk(2)).toBeUndefined();
    });

    test('parts go to the open chunk only', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const { handle } = await store.getOrCreate(shard, request('t'));
      await store.snapshotBegin(shard, handle, 'a');
      await store.snapshotKnown(shard, handle, 'a', visibility({}));
      const part = (chunk: number, close: boolean) =>
        store.snapshotPart(shard, handle, 'a', { chunk, bytes: bytes(`{"in":${chunk}}`), close });
      expect(await part(1, false)).toBe(false);
      expect(await part(0, true)).toBe(true);
      expect(await part(2, true)).toBe(false);
      expect(await part(1, true)).toBe(true);
    });

    test('an attempt that was replaced can neither write nor finish', async () => {
      await using store = disposable(await open({ leaseMs: 0 }));
      const shard = newShard();
      const { handle } = await store.getOrCreate(shard, request('t'));
      expect(await store.snapshotBegin(shard, handle, 'old')).toBe('begun');
      expect(await store.snapshotBegin(shard, handle, 'new')).toBe('begun');
      expect(await store.snapshotKnown(shard, handle, 'old', visibility({ xmin: 7n }))).toBe('over');
      expect(await store.snapshotPart(shard, handle, 'old', { chunk: 0, bytes: bytes('x'), close: true })).toBe(false);
      expect(await store.snapshotDone(shard, handle, 'old')).toBe(false);
      expect(await store.snapshotFailed(shard, handle, 'old', FAILURE)).toBe(false);
      expect(await store.snapshotKnown(shard, handle, 'new', visibility({ xmin: 8n, xmax: 9n }))).toBe('known');
      expect((await store.loadShapes(shard)).shapes[0]?.snapshot?.xmin).toBe(8n);
    });

    test('no attempt may follow one whose rows may have been read', async () => {
      await using store = disposable(await open({ leaseMs: 0 }));
      const shard = newShard();
      const { handle } = await store.getOrCreate(shard, request('t'));
      await store.snapshotBegin(shard, handle, 'a');
      await store.snapshotKnown(shard, handle, 'a', visibility({}));
      await store.snapshotPart(shard, handle, 'a', { chunk: 0, bytes: bytes('x'), close: false });
      expect(await store.snapshotBegin(shard, handle, 'b')).toBe('readable');
      await store.snapshotPart(shard, handle, 'a', { chunk: 0, bytes: bytes('x'), close: true });
      await store.snapshotDone(shard, handle, 'a');
      expect(await store.snapshotBegin(shard, handle, 'b')).toBe('over');
      await store.promote(shard, handle, 1);
      expect(await store.snapshotBegin(shard, handle, 'b')).toBe('over');
    });

    test('beginning, visibility and end may be repeated', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const { handle } = await store.getOrCreate(shard, request('t'));
      const known = {
        ...visibility({ xmin: 5n, xmax: 9223372036854775809n, xip: [6n, 9223372036854775808n], insertLsn: 77n }),
        published: 'rel:12 schema:3',
      };
      for (let i = 0; i < 2; i += 1) expect(await store.snapshotBegin(shard, handle, 'a')).toBe('begun');
      for (let i = 0; i < 2; i += 1) expect(await store.snapshotKnown(shard, handle, 'a', known)).toBe('known');
      await store.snapshotPart(shard, handle, 'a', { chunk: 0, bytes: bytes('x'), close: true });
      for (let i = 0; i < 2; i += 1) expect(await store.snapshotDone(shard, handle, 'a')).toBe(true);
      expect((await store.loadShapes(shard)).shapes).toMatchObject([{ state: 'promoting', snapshot: known }]);
    });

    test('cannot end without its visibility, without a chunk, or with an open one', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const { handle } = await store.getOrCreate(shard, request('t'));
      const refused = () => expect(store.snapshotDone(shard, handle, 'a')).rejects.toThrow('a snapshot was ended');
      const part = (text: string, close: boolean) =>
        store.snapshotPart(shard, handle, 'a', { chunk: 0, bytes: bytes(text), close });
      await store.snapshotBegin(shard, handle, 'a');
      await store.snapshotKnown(shard, handle, 'a', visibility({}));
      await refused();
      expect(await part('', false)).toBe(true);
      expect((await headOf(store, shard, handle)).snapshotStarted).toBe(false);
      await refused();
      expect(await part('x', false)).toBe(true);
      await refused();
      expect(await part('', true)).toBe(true);
      expect(await store.snapshotDone(shard, handle, 'a')).toBe(true);

      const other = await store.getOrCreate(shard, request('u'));
      await store.snapshotBegin(shard, other.handle, 'a');
      await store.snapshotPart(shard, other.handle, 'a', { chunk: 0, bytes: bytes('x'), close: true });
      await expect(store.snapshotDone(shard, other.handle, 'a')).rejects.toThrow('a snapshot was ended');
    });

    test('a failed attempt ends the shape, tells why, and frees the definition', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const { handle } = await store.getOrCreate(shard, request('t'));
      await store.snapshotBegin(shard, handle, 'a');
      for (let i = 0; i < 2; i += 1) expect(await store.snapshotFailed(shard, handle, 'a', FAILURE)).toBe(true);
      expect(await headOf(store, shard, handle)).toMatchObject({ state: 'dead', error: FAILURE });
      expect(await store.find(shard, request('t').digest)).toBeUndefined();
      expect(await store.snapshotPart(shard, handle, 'a', { chunk: 0, bytes: bytes('x'), close: true })).toBe(false);
      const next = await store.getOrCreate(shard, request('t'));
      expect(next.created).toBe(true);
      expect(await store.snapshotFailed(shard, handle, 'a', FAILURE)).toBe(true);
      expect(await store.snapshotFailed(shard, handle, 'a', { ...FAILURE, message: 'another reason' })).toBe(false);
      expect(await store.find(shard, request('t').digest)).toBe(next.handle);
    });
  });

  describe('promotion', () => {
    test('the log cannot be read before it is live, the snapshot can', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const { handle } = await store.getOrCreate(shard, request('t'));
      const owner = await Owner.acquire(store, shard);
      const hidden = async () => {
        expect(formatOffset((await headOf(store, shard, handle)).tail)).toBe('0_inf');
        expect((await read(store, shard, handle)).offsets).toEqual([]);
      };
      await owner.write(entry(handle, at(10)));
      await hidden();
      await snapshot(store, shard, handle);
      await owner.write(entry(handle, at(11)), entry(handle, at(12)));
      await hidden();
      expect(await store.promote(shard, handle, 1)).toBe(2);
      await hidden();
      await owner.write(entry(handle, at(13)));
      expect(await store.promote(shard, handle, 2)).toBe(1);
      await hidden();
      expect((await store.readSnapshot(shard, handle, 0, 0, 100))?.parts).toHaveLength(1);
      expect(await store.promote(shard, handle, 2)).toBe(0);
      expect(await headOf(store, shard, handle)).toMatchObject({ state: 'live', tail: offset(13) });
      expect(await store.promote(shard, handle, 2)).toBeUndefined();
      await owner.write(entry(handle, at(14)));
      expect(await follow(store, shard, handle)).toEqual([['10_0', '11_0', '12_0', '13_0', '14_0']]);
    });

    test('drops exactly what the snapshot shows, from the pending log and from what comes after', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const { handle } = await store.getOrCreate(shard, request('t'));
      const owner = await Owner.acquire(store, shard);
      const shown = visibility({ xmin: 100n, xmax: 200n, xip: [150n, 160n], insertLsn: 50n });
      const cases: [lsn: number, xid: bigint, kept: boolean][] = [
        [10, 99n, false],
        [11, 100n, false],
        [12, 150n, true],
        [13, 151n, false],
        [14, 199n, false],
        [15, 200n, true],
        [50, 120n, false],
        // Committed after the snapshot was taken, whatever its xid.
        [51, 121n, true],
        [60, 90n, true],
      ];
      const one = ([lsn, xid]: (typeof cases)[number]) => ({ ...entry(handle, at(lsn)), xid });
      await owner.write(...cases.slice(0, 4).map(one));
      await snapshot(store, shard, handle, shown);
      expect(await store.promote(shard, handle, 100)).toBe(0);
      for (const item of cases.slice(4)) await owner.write(one(item));
      const kept = cases.filter(([, , keep]) => keep).map(([lsn]) => `${lsn}_0`);
      expect((await follow(store, shard, handle)).flat()).toEqual(kept);
    });

    test('keeps a pending transaction that committed after the snapshot was taken, whatever its xid', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const { handle } = await store.getOrCreate(shard, request('t'));
      const owner = await Owner.acquire(store, shard);
      await owner.write({ ...entry(handle, at(50)), xid: 7n }, { ...entry(handle, at(51)), xid: 8n });
      await snapshot(store, shard, handle, visibility({ xmin: 100n, xmax: 100n, insertLsn: 50n }));
      await store.promote(shard, handle, 100);
      expect((await read(store, shard, handle)).offsets).toEqual(['51_0']);
    });

    test('an entry that reaches the threshold exactly closes the chunk, promoted or live', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const { handle } = await store.getOrCreate(shard, request('t', 20));
      const owner = await Owner.acquire(store, shard);
      await owner.write(...[1, 2, 3].map((lsn) => entry(handle, at(lsn), '0123456789')));
      await snapshot(store, shard, handle);
      await store.promote(shard, handle, 100);
      await owner.write(...[4, 5].map((lsn) => entry(handle, at(lsn), '0123456789')));
      expect(await follow(store, shard, handle)).toEqual([['1_0', '2_0'], ['3_0', '4_0'], ['5_0']]);
    });

    test('filters with all 64 bits', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const { handle } = await store.getOrCreate(shard, request('t'));
      const owner = await Owner.acquire(store, shard);
      const base = 9223372036854775807n;
      await owner.write(
        ...[-1n, 0n, 1n, 2n, 3n].map((n, i) => ({ ...entry(handle, at(base + BigInt(i))), xid: base + n })),
      );
      await snapshot(
        store,
        shard,
        handle,
        visibility({ xmin: base, xmax: base + 3n, xip: [base + 1n], insertLsn: base + 10n }),
      );
      await store.promote(shard, handle, 100);
      expect((await read(store, shard, handle)).offsets).toEqual([`${base + 2n}_0`, `${base + 4n}_0`]);
    });

    test('a dropped entry does not come back when the stream is read again', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const { handle } = await store.getOrCreate(shard, request('t'));
      const owner = await Owner.acquire(store, shard);
      const shown = visibility({ xmin: 1_000n, xmax: 1_000n, insertLsn: 50n });
      await owner.write(entry(handle, at(10)), entry(handle, at(11)));
      await snapshot(store, shard, handle, shown);
      expect(await store.promote(shard, handle, 100)).toBe(0);
      await owner.write(entry(handle, at(10)), entry(handle, at(11)));
      expect(formatOffset((await headOf(store, shard, handle)).tail)).toBe('0_inf');
      await owner.write(entry(handle, at(60)));
      expect((await read(store, shard, handle)).offsets).toEqual(['60_0']);
    });

    test('chunks end where they would have without the pending log', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const direct = await liveShape(store, shard, 'direct', 25);
      const { handle: promoted } = await store.getOrCreate(shard, request('promoted', 25));
      const owner = await Owner.acquire(store, shard);
      const write = (...lsns: number[]) =>
        owner.write(
          ...lsns.flatMap((lsn) => [direct, promoted].map((handle, i) => entry(handle, at(lsn, i), '0123456789'))),
        );
      await write(1, 2, 3, 4);
      await snapshot(store, shard, promoted);
      await store.promote(shard, promoted, 1);
      await write(5, 6);
      await store.promote(shard, promoted, 3);
      await store.promote(shard, promoted, 3);
      await write(7, 8);
      const sizes = async (handle: string) => (await follow(store, shard, handle)).map((one) => one.length);
      expect(await sizes(direct)).toEqual([3, 3, 2]);
      expect(await sizes(promoted)).toEqual([3, 3, 2]);
    });

    test('what is promoted beyond the visible position stays hidden', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const { handle } = await store.getOrCreate(shard, request('t'));
      const owner = await Owner.acquire(store, shard);
      await owner.write(entry(handle, at(10)));
      const { visible: _, ...half } = owner.step([entry(handle, at(20))]);
      await owner.apply({ ...half, to: { ...half.to, openTxSeq: 2 } });
      await snapshot(store, shard, handle);
      expect(await store.promote(shard, handle, 100)).toBe(0);
      expect((await follow(store, shard, handle)).flat()).toEqual(['10_0']);
      await owner.write(entry(handle, at(20, 2)));
      expect((await follow(store, shard, handle)).flat()).toEqual(['10_0', '20_0', '20_2']);
    });
  });
}

function visibility(
  known: Partial<Record<'xmin' | 'xmax' | 'insertLsn', bigint> & { xip: bigint[] }>,
): SnapshotVisibility {
  const { xmin = 1n, xmax = 1n, xip = [], insertLsn = 0n } = known;
  return { xmin, xmax, xip, insertLsn: insertLsn as Lsn };
}
