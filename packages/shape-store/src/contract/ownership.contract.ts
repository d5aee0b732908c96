import { POSITION_ZERO } from '@shapecast/log';
import { describe, expect, test } from 'vitest';
import type { ShardMeta } from '../shape-store.ts';
import {
  at,
  disposable,
  entry,
  FAILURE,
  liveShape,
  newShard,
  Owner,
  read,
  request,
  type OpenStore,
} from './fixtures.ts';

/** Who may write (spec R 13.2, 13.3): at most one owner makes progress, and only with the state it computed from. */
export function describeOwnership(open: OpenStore): void {
  describe('ownership', () => {
    test('a shard that nobody has used has no meta', async () => {
      await using store = disposable(await open());
      expect(await store.readMeta(newShard())).toBeUndefined();
    });

    test('F134 new shapes wait while the owner holds them, until its next append; what exists is found at once', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const owner = await Owner.acquire(store, shard);
      const existing = await store.getOrCreate(shard, request('t'));
      const stranger = { epoch: 99, owner: 'nobody' };
      await store.hold(shard, stranger);
      expect((await store.getOrCreate(shard, request('u'))).created).toBe(true);

      const { ver, epoch, owner: token } = (await store.readMeta(shard)) as ShardMeta;
      await store.hold(shard, { epoch, owner: token });
      let made = false;
      const making = store.getOrCreate(shard, request('v')).then((result) => {
        made = true;
        return result;
      });
      expect((await store.getOrCreate(shard, request('t'))).handle).toBe(existing.handle);
      expect([made, (await store.readMeta(shard))?.ver]).toEqual([false, ver]);
      await owner.apply({
        entries: [],
        transactions: [],
        to: { seq: 7, position: at(70), openTxSeq: 0 },
        visible: at(70),
      });
      expect((await making).created).toBe(true);

      // An owner that is gone does not keep them for ever.
      await store.hold(shard, { epoch, owner: token });
      expect((await store.getOrCreate(shard, request('w'))).created).toBe(true);
    });

    test('the first owner finds an empty shard at the beginning of the stream', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const meta = await store.acquire(shard, 'one');
      expect(meta).toMatchObject({
        epoch: 1,
        owner: 'one',
        cursor: { seq: 0, position: POSITION_ZERO, openTxSeq: 0 },
        visible: POSITION_ZERO,
        watermark: 0n,
      });
      expect(meta.ver).not.toBe('');
      const { maybeLost, ...rest } = meta;
      expect(maybeLost).toBe(false);
      expect(await store.readMeta(shard)).toEqual(rest);
      expect(await store.loadShapes(shard)).toEqual({ ver: meta.ver, shapes: [] });
    });

    test('a new owner finds the shard where the last one left it, and its epoch is larger', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const first = await Owner.acquire(store, shard);
      await first.apply({
        entries: [],
        transactions: [],
        to: { seq: 7, position: at(70, 3), openTxSeq: 6 },
        visible: at(60, 2),
        watermark: at(65).lsn,
      });
      const meta = await store.acquire(shard, 'two');
      expect(meta).toMatchObject({
        epoch: 2,
        owner: 'two',
        cursor: { seq: 7, position: at(70, 3), openTxSeq: 6 },
        visible: at(60, 2),
        watermark: 65n,
      });
      const { maybeLost, ...rest } = meta;
      expect(maybeLost).toBe(false);
      expect(await store.readMeta(shard)).toEqual(rest);
    });

    test('a shard that a reader made is as new to its first owner as one that it made itself', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      await store.getOrCreate(shard, request('t'));
      expect((await store.acquire(shard, 'one')).maybeLost).toBe(false);
    });

    test('an owner vouches for what it knows, and for nothing else', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const { state } = await Owner.acquire(store, shard);
      expect(await store.vouch(shard, state)).toBe(true);
      expect(await store.vouch(shard, { ...state, ver: '1:0123456789abcdef' })).toBe(false);
      expect(await store.vouch(shard, { ...state, cursor: { ...state.cursor, seq: 1 } })).toBe(false);
      await store.acquire(shard, 'two');
      expect(await store.vouch(shard, state)).toBe(false);
      expect(await store.vouch(newShard(), state)).toBe(false);
    });

    test('a connection has a name as long as it lives', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      await store.readMeta(shard);
      const name = store.connectionOf(shard);
      expect(name).not.toBe('');
      await store.acquire(shard, 'one');
      expect(store.connectionOf(shard)).toBe(name);
    });

    test('an owner that was replaced cannot write', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const handle = await liveShape(store, shard, 't');
      const old = await Owner.acquire(store, shard);
      await old.refresh();
      await Owner.acquire(store, shard);
      expect(await old.try(old.step([entry(handle, at(10))]))).toBe('epoch');
      expect((await read(store, shard, handle)).offsets).toEqual([]);
      expect((await store.readMeta(shard))?.cursor.seq).toBe(0);
    });

    test('of two writers with the same state one wins', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const handle = await liveShape(store, shard, 't');
      const owner = await Owner.acquire(store, shard);
      await owner.refresh();
      const step = owner.step([entry(handle, at(10))]);
      const outcomes = await Promise.all([
        store.append(shard, owner.state, step),
        store.append(shard, owner.state, step),
        store.append(shard, owner.state, step),
      ]);
      expect(outcomes.toSorted()).toEqual(['cursor', 'cursor', 'ok']);
      expect((await read(store, shard, handle)).offsets).toEqual(['10_0']);
    });

    test('an epoch that became current again does not let its former owner write', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const owner = await Owner.acquire(store, shard, 'after the failover');
      const former = { ...owner.state, owner: 'before the failover' };
      expect(await store.append(shard, former, owner.step([], 5n))).toBe('epoch');
    });

    test('a version counter that became current again does not pass for the version', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const owner = await Owner.acquire(store, shard);
      const [counter] = owner.state.ver.split(':');
      const former = { ...owner.state, ver: `${counter}:0123456789abcdef` };
      expect(await store.append(shard, former, owner.step([], 5n))).toBe('ver');
      expect(await store.loadDelta(shard, former.ver)).toBe('regressed');
    });

    test('a step that was computed before a shape came, changed or went is refused', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const owner = await Owner.acquire(store, shard);
      const refused = async () => {
        expect(await owner.try(owner.step([], 5n))).toBe('ver');
        await owner.refresh();
      };
      const { handle } = await store.getOrCreate(shard, request('t'));
      await refused();
      await store.snapshotBegin(shard, handle, 'a');
      await refused();
      await store.snapshotFailed(shard, handle, 'a', FAILURE);
      await refused();
      const other = await liveShape(store, shard, 'u');
      await refused();
      await store.rotate(shard, other, FAILURE);
      await refused();
      expect(await owner.try(owner.step([], 5n))).toBe('ok');
    });

    test('each part of the cursor counts', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const owner = await Owner.acquire(store, shard);
      const to = { seq: 3, position: at(9223372036854775807n, 4), openTxSeq: 2 };
      await owner.apply({ entries: [], transactions: [], to });
      const step = owner.step([], 9223372036854775900n);
      for (const cursor of [
        { ...to, seq: 4 },
        { ...to, openTxSeq: 0 },
        { ...to, position: at(9223372036854775806n, 4) },
        { ...to, position: at(9223372036854775807n, 5) },
      ]) {
        expect(await store.append(shard, { ...owner.state, cursor }, step)).toBe('cursor');
      }
      expect(await owner.try(step)).toBe('ok');
    });

    test('release ends the ownership, but only that of its caller', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const first = await Owner.acquire(store, shard);
      const second = await Owner.acquire(store, shard);
      await store.release(shard, first.state);
      expect(await second.try(second.step([], 5n))).toBe('ok');
      await store.release(shard, second.state);
      expect(await second.try(second.step([], 6n))).toBe('epoch');
      expect((await store.acquire(shard, 'third')).epoch).toBe(3);
    });

    test('shards, incarnations and sources do not meet', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const others = [
        { ...shard, shard: 1 },
        { ...shard, incarnation: 2 },
        { ...shard, source: `${shard.source}}.{x` },
      ];
      const { handle } = await store.getOrCreate(shard, request('t'));
      for (const other of others) {
        expect(await store.readMeta(other)).toBeUndefined();
        expect(await store.find(other, request('t').digest)).toBeUndefined();
        expect(await store.readHead(other, handle)).toBeUndefined();
        expect((await store.getOrCreate(other, request('t'))).created).toBe(true);
      }
    });

    test('a shard that does not exist cannot be written, and release does not create it', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const owner = await Owner.acquire(store, newShard());
      await store.release(shard, owner.state);
      expect(await store.append(shard, owner.state, owner.step([], 5n))).toBe('epoch');
      expect(await store.readMeta(shard)).toBeUndefined();
    });
  });
}
