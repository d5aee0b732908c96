import { openPgGuardedSlot } from '@shapecast/change-source';
import { BUCKETS, type GuardRecord, type SourceRecord } from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { startNats, waitFor, type TestServer } from '@shapecast/testkit';
import { afterEach, expect, test } from 'vitest';
import type { Replicator } from '../replicator.ts';
import { SessionGate } from '../session-gate.ts';
import { openPgWorld, type PgWorld } from '../testing/pg-world.contract.ts';
import { WalGuard } from './wal-guard.ts';

const BUDGET = 8n * 1_048_576n;

let world: PgWorld;
let nats: TestServer;
let stop: AbortController;
let running: Promise<void>;
afterEach(async () => {
  stop.abort();
  await running;
  await world.stop();
  await nats.stop();
});

/** A world whose replicator `a` has a guard that looks ten times a second, with the policy `drop` and a budget of 8 MiB. */
async function guarded(patienceMs: number): Promise<WalGuard> {
  nats = await startNats();
  stop = new AbortController();
  const gate = new SessionGate();
  world = await openPgWorld(nats.url, { gates: { a: gate } });
  const deps = { clock: systemClock, log: silentLogger };
  const { url, slotName, source: sourceId } = world;
  const slot = openPgGuardedSlot({ url, slotName }, deps);
  const guard = new WalGuard(
    { ...deps, slot, gate },
    { sourceId, policy: 'drop', budget: { bytes: BUDGET, ageMs: 0 }, intervalMs: 100, pauseMs: 300, patienceMs },
  );
  guard.connect(world.messaging.registries);
  return guard;
}

const active = (replicator: Replicator) =>
  waitFor(() => replicator.report().status === 'active', { describe: () => replicator.report() });
const insert = (from: number) =>
  world.sql(`insert into items select ${from} + i, repeat('x', 1000) from generate_series(1, 500) i`);
const slots = () => world.ask(`select 1 from pg_replication_slots where slot_name = '${world.slotName}'`);

test('a source that comes back with more than its budget behind it catches up, and keeps its slot and its incarnation', async () => {
  const guard = await guarded(60_000);
  const first = (await world.start('before', { confirmDelayMs: 1_000 })).replicator;
  await active(first);
  await world.publish();
  await first.stop();
  for (let n = 0; n < 30; n += 1) await insert(n * 500);
  const second = (await world.start('a', { confirmDelayMs: 1_000 })).replicator;
  await active(second);
  const stages = new Set<string | undefined>();
  running = guard.run(stop.signal);
  await waitFor(
    async () => {
      // Otherwise Postgres notices every 15 s that it may forget what is confirmed.
      await world.sql('checkpoint');
      stages.add(guard.report.stage ?? guard.report.staleSince);
      return guard.report.stage === 'ok' || guard.report.staleSince !== undefined;
    },
    { describe: () => [guard.report, second.report()] },
  );
  expect([...stages]).toContain('exceeded');
  expect([...stages].at(-1)).toBe('ok');
  const stored = await world.insertedIds();
  expect(new Set(stored).size).toBe(15_000);
  expect(await slots()).toHaveLength(1);
  const sources = await world.messaging.registries.open<SourceRecord>(BUCKETS.sources.name);
  expect((await sources.get(world.source))?.value.incarnation).toBe(1);
});

test('a leader that NATS stores nothing for gives up its slot, though a standby waits for the lock', async () => {
  const guard = await guarded(500);
  const sourceId = world.source;
  running = guard.run(stop.signal);
  const { registries } = world.messaging;
  const guards = await registries.open<GuardRecord>(BUCKETS.guards.name);
  const sources = await registries.open<SourceRecord>(BUCKETS.sources.name);
  const records: GuardRecord[] = [];
  const stopWatching = await guards.watch(sourceId, (_key, entry) => void (entry && records.push(entry.value)));

  const { replicator } = await world.start('a');
  await active(replicator);
  const standby = (await world.start('b')).replicator;
  await waitFor(() => standby.report().status === 'waiting', { describe: () => standby.report() });
  await world.publish();
  await world.sql(`insert into items values (1, 'stored')`);
  await waitFor(async () => (await world.insertedIds()).includes(1));
  await waitFor(() => records.at(-1)?.stage === 'ok');
  expect(guard.report).toMatchObject({ stage: 'ok', budgetBytes: String(BUDGET) });

  await nats.kill();
  let id = 1;
  await waitFor(
    async () => {
      await insert(id);
      id += 500;
      return (await slots()).length === 0;
    },
    { describe: () => guard.report },
  );
  expect(replicator.report()).toMatchObject({
    status: 'starting',
    lastError: 'The source is paused, because Postgres kept too much WAL for it.',
  });
  // The pause is over long before: it is NATS that is missing, and whoever had the lock would make a slot.
  const since = await waitFor(() => guard.report.staleSince);
  await waitFor(() => Date.now() - Date.parse(since) > 1_000);
  expect([await slots(), guard.report.staleSince]).toEqual([[], since]);

  await nats.start();
  await waitFor(async () => (await sources.get(sourceId).catch(() => undefined))?.value.incarnation === 2, {
    describe: () => [replicator.report(), standby.report()],
  });
  await waitFor(() => [replicator, standby].some((one) => one.report().status === 'active'));
  expect(records.filter(({ stale }) => stale !== undefined)).not.toEqual([]);
  expect(new Set(records.map(({ stale }) => stale?.incarnation))).toEqual(new Set([undefined, 1]));
  await world.publish();
  await world.sql(`insert into items values (1000000, 'stored again')`);
  await waitFor(async () => (await world.insertedIds(2)).includes(1_000_000));
  stopWatching();
});
