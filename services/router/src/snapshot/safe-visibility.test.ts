import type { SnapshotInfo, Writers } from '@shapecast/change-source';
import type { Lsn } from '@shapecast/log';
import type { SafetyRing, ShapeRecord, ShardId } from '@shapecast/shape-store';
import { expect, test } from 'vitest';
import { SafeVisibility } from './safe-visibility.ts';

const shard: ShardId = { source: 's', incarnation: 1, shard: 0 };
const shape = { regLsn: 100n as Lsn, definition: { oid: 7 } } as ShapeRecord;
const shows = (xmin: bigint, xmax = xmin, xip: bigint[] = []): SnapshotInfo => ({
  xmin,
  xmax,
  xip,
  insertLsn: 500n as Lsn,
});

/** A store with one ring, and a database whose writers are those of the last `writers.push`. */
function parts(ring: SafetyRing, ...writers: Writers[]) {
  const state = { ring, looks: 0 };
  const store = {
    readRing: async () => state.ring,
    boundRing: async (_: ShardId, skipped: string, newest: bigint) => {
      if (state.ring.skipped !== skipped) return;
      const { skipped: _skipped, ...rest } = state.ring;
      state.ring = { ...rest, floor: newest };
    },
  };
  const database = {
    writers: async () => {
      state.looks += 1;
      return (writers.length > 1 ? writers.shift() : writers[0]) as Writers;
    },
  };
  const visibility = new SafeVisibility({ store, database }, shard, shape, new AbortController().signal);
  return { state, visibility };
}

const entry = (xid: bigint) => ({ lsn: 50n as Lsn, xid });

test('a snapshot that shows all of a complete ring is accepted, and no lock is looked at', async () => {
  const { state, visibility } = parts({ entries: [entry(10n), entry(12n)], floor: 0n });
  await visibility.prepare();
  expect(await visibility.accepts(shows(11n, 14n, [11n]))).toBe(true);
  expect(state.looks).toBe(0);
});

test('one that misses a transaction of the ring is refused while that one has locks of the table', async () => {
  const ring = { entries: [entry(10n), entry(12n)], floor: 0n };
  const { visibility } = parts(ring, { xids: [12n], newest: 30n });
  await visibility.prepare();
  expect(await visibility.accepts(shows(12n, 14n, [12n]))).toBe(false);
  expect(await visibility.accepts(shows(11n, 12n, [11n]))).toBe(false);
  expect(await visibility.accepts(shows(11n, 14n, [11n]))).toBe(true);
});

test('a commit that does not show holds back shapes of its own tables only', async () => {
  const { visibility } = parts({ entries: [entry(12n)], floor: 0n }, { xids: [], newest: 30n });
  await visibility.prepare();
  // The locks are looked at only now, and count from the next snapshot on.
  expect(await visibility.accepts(shows(12n, 14n, [12n]))).toBe(false);
  expect(await visibility.accepts(shows(12n, 14n, [12n]))).toBe(true);
});

test('what the ring dropped shows once nothing as old is running, and no lock is looked at then', async () => {
  const { visibility } = parts({ entries: [], floor: 20n }, { xids: [18n], newest: 30n });
  expect(await visibility.accepts(shows(20n, 31n, [20n]))).toBe(false);
  expect(await visibility.accepts(shows(21n))).toBe(true);
});

test('below the floor the locks decide that were there before the snapshot was taken', async () => {
  const writes = { xids: [18n], newest: 30n };
  const { state, visibility } = parts({ entries: [entry(15n)], floor: 20n }, writes, { xids: [], newest: 30n });
  await visibility.prepare();
  expect(state.looks).toBe(1);
  // An older writer of another table runs, which would hold back every shape of the shard.
  const while18Runs = shows(9n, 31n, [9n, 18n]);
  expect(await visibility.accepts(while18Runs)).toBe(false);
  // Nobody holds a lock any more, but that was seen after this snapshot was taken.
  expect(await visibility.accepts(shows(9n, 31n, [9n]))).toBe(true);
});

test('without having looked before the snapshot nothing below the floor is accepted', async () => {
  const { state, visibility } = parts({ entries: [], floor: 20n }, { xids: [], newest: 30n });
  expect(await visibility.accepts(shows(9n, 31n, [9n]))).toBe(false);
  expect(state.looks).toBe(1);
  expect(await visibility.accepts(shows(9n, 31n, [9n]))).toBe(true);
});

test('a shard that skipped transactions learns how new they can be from the first who looks', async () => {
  const { state, visibility } = parts({ entries: [], floor: 0n, skipped: 'new' }, { xids: [25n], newest: 30n });
  await visibility.prepare();
  expect(state.ring).toEqual({ entries: [], floor: 30n });
  expect(await visibility.accepts(shows(25n, 31n, [25n]))).toBe(false);
  expect(await visibility.accepts(shows(31n))).toBe(true);
});

test('while a shard goes on skipping, the newest xid is not taken for an answer', async () => {
  const { state, visibility } = parts({ entries: [], floor: 0n, skipped: 'first' }, { xids: [25n], newest: 30n });
  await visibility.prepare();
  state.ring = { entries: [], floor: 20n, skipped: 'second' };
  expect(await visibility.accepts(shows(25n, 31n, [25n]))).toBe(false);
  expect(await visibility.accepts(shows(31n))).toBe(true);
});
