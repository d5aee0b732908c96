import { SourceRemoval } from '@shapecast/change-source';
import { BUCKETS } from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { openMemoryShapeStore } from '@shapecast/shape-store';
import { sharedNatsUrl, waitFor } from '@shapecast/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ReplicatorSettings } from './replicator.ts';
import { findRemains, removeSource } from './remove-source.ts';
import { openPgWorld, type PgWorld } from './testing/pg-world.contract.ts';

const never = new AbortController().signal;
let world: PgWorld;
let database: SourceRemoval;
beforeEach(async () => {
  world = await openPgWorld(sharedNatsUrl());
  const { url, slotName, publicationName } = world;
  database = new SourceRemoval({ clock: systemClock, log: silentLogger }, { url, slotName, publicationName });
});
afterEach(async () => {
  database.close();
  await world.stop();
});

const deps = () => ({ database, messaging: world.messaging, clock: systemClock, log: silentLogger });
const options = (manualPublishing = false) => ({ sourceId: world.source, manualPublishing });

async function lead(settings?: Partial<ReplicatorSettings>): Promise<Awaited<ReturnType<PgWorld['start']>>> {
  const started = await world.start('a', settings);
  await waitFor(() => started.replicator.report().status === 'active');
  return started;
}

test('T64 removes slot, publication, streams and records of a source, and nothing twice', async () => {
  const { replicator } = await lead();
  await replicator.stop();
  const before = await findRemains(deps(), options(), never);
  expect(before).toMatchObject({ publication: true, slot: true, streams: [1], leader: undefined });
  expect(before.keys).toContain(`shapecast_sources/${world.source}`);
  await removeSource(deps(), options(), never);
  const gone = { publication: false, slot: false, streams: [], keys: [] };
  expect(await findRemains(deps(), options(), never)).toMatchObject(gone);
  await removeSource(deps(), options(), never);
  expect(await findRemains(deps(), options(), never)).toMatchObject(gone);
  // Set up again it does not use an incarnation that perhaps still has shapes somewhere.
  await world.start('b');
  await waitFor(async () => (await findRemains(deps(), options(), never)).streams.includes(2));
});

test('T64 goes on after a failure, and ends a walsender that is left behind', async () => {
  const { connection } = await lead({ heartbeatMs: 3_600_000 });
  // Its process is gone, its connection to Postgres is not.
  connection.kill();
  const leaders = await world.messaging.registries.open(BUCKETS.leaders.name, BUCKETS.leaders);
  await waitFor(() => leaders.get(world.source));
  await leaders.delete(world.source);
  let failures = 3;
  const flaky = {
    look: (signal: AbortSignal) => database.look(signal),
    dropPublication: (signal: AbortSignal) => database.dropPublication(signal),
    dropSlot: (signal: AbortSignal) =>
      --failures >= 0 ? Promise.reject(new Error('not now')) : database.dropSlot(signal),
  };
  await removeSource({ ...deps(), database: flaky }, options(), never);
  expect(failures).toBeLessThan(0);
  expect(await database.look(never)).toMatchObject({ publication: false, slot: false });
});

test('leaves a publication that is looked after by hand', async () => {
  await (await lead()).replicator.stop();
  await removeSource(deps(), options(true), never);
  expect(await database.look(never)).toMatchObject({ publication: true, slot: false });
});

test('does nothing while a replicator leads', async () => {
  await lead();
  await waitFor(async () => (await findRemains(deps(), options(), never)).leader === 'a');
  await expect(removeSource(deps(), options(), never)).rejects.toMatchObject({ code: 'NOT_READY' });
  expect(await database.look(never)).toMatchObject({ publication: true, slot: true });
});

test('T64 removes the shapes of a source from the store, and those of no other source', async () => {
  const { replicator } = await lead();
  await replicator.stop();
  const store = openMemoryShapeStore(systemClock);
  const of = (source: string, incarnation: number) => ({ source, incarnation, shard: 3 });
  for (const incarnation of [1, 2]) await store.acquire(of(world.source, incarnation), 'x');
  await store.acquire(of('another', 1), 'x');
  await removeSource({ ...deps(), store }, options(), never);
  expect(await store.readMeta(of(world.source, 1))).toBeUndefined();
  expect(await store.readMeta(of(world.source, 2))).toBeUndefined();
  expect(await store.readMeta(of('another', 1))).toBeDefined();
});
