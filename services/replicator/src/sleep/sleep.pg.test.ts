import { silentLogger, systemClock } from '@shapecast/service-kit';
import { BUCKETS, SourceSleep, type RouterRecord, processKey, type ProcessRecord } from '@shapecast/messaging';
import { sharedNatsUrl, startPostgres, waitFor, type TestServer } from '@shapecast/testkit';
import { afterEach, describe, expect, test } from 'vitest';
import type { Replicator } from '../replicator.ts';
import { openPgWorld, type PgWorld, type PgWorldOptions } from '../testing/pg-world.contract.ts';

const deps = { clock: systemClock, log: silentLogger };

let world: PgWorld;
let server: TestServer | undefined;
let sleep: SourceSleep;

afterEach(async () => {
  await world.stop();
  await server?.stop();
  server = undefined;
});

async function open(options: PgWorldOptions = {}): Promise<void> {
  world = await openPgWorld(sharedNatsUrl(), options);
  sleep = new SourceSleep({ ...deps, registries: world.messaging.registries }, world.source);
}

async function started(holder: string, idleTimeoutMs = 300): Promise<Replicator> {
  return (await world.start(holder, { idleTimeoutMs })).replicator;
}

const report = (replicator: Replicator) => replicator.report();
const leads = (replicator: Replicator) =>
  report(replicator).status === 'active' && report(replicator)['asleep'] !== true;

/** Of all roles and processes; the question has one of its own, by another name. */
async function connections(): Promise<number> {
  const [row] = await world.ask(
    `select count(*)::int as n from pg_stat_activity where datname = current_database() and application_name like 'shapecast%'`,
  );
  return row?.['n'] as number;
}

async function asleep(...replicators: readonly Replicator[]): Promise<void> {
  await waitFor(() => replicators.every((each) => report(each)['asleep'] === true), {
    describe: () => replicators.map(report),
  });
  await waitFor(async () => (await connections()) === 0);
}

/** As an API pod does it. */
async function wake(): Promise<void> {
  await sleep.check();
  await sleep.wake('test');
}

describe('a source where nothing happens', () => {
  test('has no connection left, says that it is active, and goes on with what was written meanwhile once it is woken', async () => {
    await open();
    const one = await started('one');
    await waitFor(() => leads(one));
    await world.publish();
    await world.sql(`insert into items values (1, 'before')`);
    await waitFor(async () => (await world.insertedIds()).length === 1);
    await asleep(one);
    expect(report(one)).toMatchObject({ ready: true, status: 'active' });
    await world.sql(`insert into items values (2, 'meanwhile'), (3, 'meanwhile')`);
    expect(await connections()).toBe(0);
    await wake();
    await waitFor(async () => (await world.insertedIds()).length === 3);
    // The same history: nothing rotates.
    expect(report(one)['incarnation']).toBe(1);
    expect(await world.insertedIds()).toEqual([1, 2, 3]);
    // It forgets what it was told to do, and sleeps again.
    await asleep(one);
  });

  test('is not woken by who waits for the lock, nor by who starts meanwhile', async () => {
    await open();
    const one = await started('one');
    await waitFor(() => leads(one));
    const two = await started('two');
    await waitFor(() => report(two).status === 'waiting');
    await asleep(one, two);
    const three = await started('three');
    await asleep(one, two, three);
    await wake();
    await waitFor(() => [one, two, three].filter(leads).length === 1);
  });

  test('stays awake while a router is busy', async () => {
    await open();
    const { name, ttlMs } = BUCKETS.routers;
    const routers = await world.messaging.registries.open<RouterRecord>(name, { ttlMs });
    await routers.put(`${world.source}.r`, { id: world.source, owned: [], busy: true });
    const { processes } = BUCKETS;
    const alive = await world.messaging.registries.open<ProcessRecord>(processes.name, { ttlMs: processes.ttlMs });
    await alive.put(processKey(world.source), { v: 1, id: world.source });
    const one = await started('one', 100);
    await waitFor(() => leads(one));
    const { epoch } = report(one);
    // Many times as long as it would take.
    const since = systemClock.now();
    await waitFor(() => systemClock.now() - since > 2_500);
    expect(leads(one)).toBe(true);
    expect(report(one)['epoch']).toBe(epoch);
    await routers.delete(`${world.source}.r`);
    await asleep(one);
  });

  test('is woken by a replicator that must not let it sleep', async () => {
    await open();
    await asleep(await started('one'));
    const other = await started('other', 0);
    await waitFor(async () => !(await sleep.check()));
    await waitFor(() => other.report().status === 'waiting' || leads(other));
  });

  test('whose slot was lost meanwhile starts anew when it is woken', async () => {
    const settings = { max_slot_wal_keep_size: '1MB', max_wal_size: '32MB', min_wal_size: '32MB' };
    server = await startPostgres({ settings });
    await open({ adminUrl: server.url });
    const one = await started('one');
    await waitFor(() => leads(one));
    await asleep(one);
    await world.sql('create table noise (n int)');
    await waitFor(async () => {
      await world.sql('insert into noise select generate_series(1, 100)', 'select pg_switch_wal()', 'checkpoint');
      const [slot] = await world.ask('select wal_status from pg_replication_slots');
      return slot?.['wal_status'] === 'lost';
    });
    expect(report(one)).toMatchObject({ status: 'active', asleep: true });
    await wake();
    await waitFor(() => leads(one) && report(one)['incarnation'] === 2, { describe: () => report(one) });
  });
});
