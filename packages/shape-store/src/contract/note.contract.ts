import { describe, expect, test } from 'vitest';
import type { EntryOrigin } from '../applied-note.ts';
import {
  at,
  disposable,
  entry,
  FAILURE,
  headOf,
  liveShape,
  newShard,
  Owner,
  request,
  type OpenStore,
} from './fixtures.ts';

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

/** What is noted with the newest entry of a shape, and shown with its head. */
export function describeNotes(open: OpenStore): void {
  const origin: EntryOrigin = { committedMs: 1_700_000_000_000, publishedMs: 1_700_000_000_012 };

  describe('the note of a shape', () => {
    test('is of its newest entry, with when the step was applied', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const [a, b, c] = [
        await liveShape(store, shard, 'a'),
        await liveShape(store, shard, 'b'),
        await liveShape(store, shard, 'c'),
      ];
      const owner = await Owner.acquire(store, shard);
      const later = {
        committedMs: origin.committedMs + 5,
        publishedMs: origin.publishedMs + 5,
        traceparent: TRACEPARENT,
      };
      const batch = owner.step([
        { ...entry(a, at(10)), origin },
        { ...entry(b, at(10, 2)), origin },
        { ...entry(a, at(11)), origin: later },
      ]);
      await owner.apply({ ...batch, appliedMs: 1_700_000_000_030 });
      const heads = await store.readHeads(shard, [a, b, c]);
      expect(heads.map((head) => head?.note)).toEqual([
        { ...later, appliedMs: 1_700_000_000_030 },
        { ...origin, appliedMs: 1_700_000_000_030 },
        undefined,
      ]);
    });

    test('may be of a clock that is behind, and of fractions of milliseconds', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const a = await liveShape(store, shard, 'a');
      const owner = await Owner.acquire(store, shard);
      const batch = owner.step([{ ...entry(a, at(10)), origin: { ...origin, publishedMs: origin.committedMs - 7 } }]);
      await owner.apply({ ...batch, appliedMs: origin.committedMs - 9.25 });
      const { note } = await headOf(store, shard, a);
      expect(note).toMatchObject({ committedMs: origin.committedMs, publishedMs: origin.committedMs - 7 });
      expect(Math.round(note?.appliedMs ?? 0)).toBe(origin.committedMs - 9);
    });

    test('is not told before its entry can be read, nor of an entry that has none, nor of a dead shape', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const a = await liveShape(store, shard, 'a');
      const owner = await Owner.acquire(store, shard);
      const { visible: _, ...half } = owner.step([{ ...entry(a, at(10)), origin }]);
      await owner.apply({ ...half, to: { ...half.to, openTxSeq: 1 }, appliedMs: 1 });
      expect((await headOf(store, shard, a)).note).toBeUndefined();

      await owner.apply({ ...owner.step([{ ...entry(a, at(10, 2)), origin }]), appliedMs: 2 });
      expect((await headOf(store, shard, a)).note?.appliedMs).toBe(2);

      await owner.write(entry(a, at(11)));
      expect((await headOf(store, shard, a)).note).toBeUndefined();

      await owner.apply({ ...owner.step([{ ...entry(a, at(12)), origin }]), appliedMs: 3 });
      await store.rotate(shard, a, FAILURE);
      const dead = await headOf(store, shard, a);
      expect(dead.error).toEqual(FAILURE);
      expect(dead.note).toBeUndefined();
    });

    test('the request that made a shape is known to whoever takes its snapshot, if it is traced', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const traced = await store.getOrCreate(shard, { ...request('traced'), traceparent: TRACEPARENT });
      const plain = await store.getOrCreate(shard, request('plain'));
      const { shapes } = await store.loadShapes(shard);
      const of = (handle: string) => shapes.find((shape) => shape.handle === handle);
      expect(of(traced.handle)).toMatchObject({ traceparent: TRACEPARENT, chunkBytes: 10_485_760 });
      expect(of(traced.handle)?.definition).toEqual(request('traced').definition);
      expect(of(plain.handle)?.traceparent).toBeUndefined();
      const again = await store.getOrCreate(shard, request('traced'));
      expect(again).toEqual({ handle: traced.handle, created: false });
    });

    test('is not made by entries that the log already has', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const a = await liveShape(store, shard, 'a');
      const owner = await Owner.acquire(store, shard);
      await owner.apply({ ...owner.step([{ ...entry(a, at(10)), origin }]), appliedMs: 1 });
      await owner.apply({ ...owner.step([{ ...entry(a, at(10)), origin }]), appliedMs: 2 });
      expect((await headOf(store, shard, a)).note?.appliedMs).toBe(1);
    });
  });
}
