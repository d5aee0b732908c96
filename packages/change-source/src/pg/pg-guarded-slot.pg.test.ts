import pg from 'pg';
import type { ReplicationClientConfig } from 'pg-logical-replication';
import { afterEach, describe, expect, test } from 'vitest';
import { startPostgres, waitFor, type TestPostgres } from '@shapecast/testkit';
import { deps, openPgWorld, type PgWorld } from '../contract/pg-world.contract.ts';
import { RecordingHandler, run } from '../contract/recording-handler.contract.ts';
import type { ConnectionPermits } from './connection-budget.ts';
import { openPgGuardedSlot } from './pg-guarded-slot.ts';
import { startReplication } from './sql/replication.ts';

const never = new AbortController().signal;
const ignore = () => {};

describe('the slot of a source on Postgres, from outside', () => {
  let world: PgWorld;
  let server: TestPostgres | undefined;

  afterEach(async () => {
    await world.close();
    await server?.stop();
    server = undefined;
  });

  const guardedBy = (permits?: ConnectionPermits) =>
    openPgGuardedSlot({ url: world.url, slotName: world.slotName }, { ...deps, permits });
  const slots = () => world.sql('select active from pg_replication_slots where slot_name = $1', [world.slotName]);

  test.each([14, 18])(
    'is told with what Postgres allows it, until Postgres has given it up, on Postgres %i',
    async (version) => {
      const settings = { max_slot_wal_keep_size: '3MB', max_wal_size: '32MB', min_wal_size: '32MB' };
      server = await startPostgres({ version, settings });
      world = await openPgWorld({ adminUrl: server.url });
      await (await world.source.open(ignore, never)).close();
      const report = await world.slot.report(never);
      expect(report).toMatchObject({ keepBytes: 3n * 1024n * 1024n, walStatus: 'reserved' });
      expect(report?.safeBytes).toBeGreaterThan(0n);
      await world.sql('create table noise (n int)');
      await waitFor(async () => {
        await world.sql('insert into noise select generate_series(1, 100)');
        await world.sql('select pg_switch_wal()');
        await world.sql('checkpoint');
        return (await world.slot.report(never)) === undefined;
      });
      expect(await slots()).toHaveLength(1);
    },
  );

  test('keeps WAL for a transaction that is open, though all of it is confirmed', async () => {
    world = await openPgWorld();
    const session = await world.source.open(ignore, never);
    const stream = run(session, new RecordingHandler());
    const other = await world.connect();
    await other.query('begin; create table held (id int)');
    await world.sql(`create table noise as select repeat('x', 1000) from generate_series(1, 2000)`);
    const kept = await waitFor(async () => {
      session.confirm((await world.slot.report(never))?.walLsn ?? session.slot.confirmedLsn);
      const report = await world.slot.report(never);
      return report !== undefined && report.confirmedLsn - report.restartLsn > 1_000_000n && report;
    });
    expect(kept && kept.walLsn >= kept.confirmedLsn).toBe(true);
    expect(kept && ('keepBytes' in kept || 'safeBytes' in kept)).toBe(false);
    await other.query('rollback');
    await stream.stop();
  });

  test('is dropped though somebody uses it who does not hold the lock', async () => {
    world = await openPgWorld();
    await (await world.source.open(ignore, never)).close();
    const config: ReplicationClientConfig = { connectionString: world.url, replication: 'database' };
    const user = new pg.Client(config);
    const ended = new Promise((resolve) => user.once('end', resolve));
    user.on('error', ignore);
    await user.connect();
    user.query(startReplication(world.slotName, 'Pub "quoted"')).catch(ignore);
    const active = async () => (await slots())[0]?.['active'] === true;
    await waitFor(active);
    const hold = await world.slot.drop(10_000, never);
    expect(await slots()).toEqual([]);
    await hold?.release();
    await ended;
  });

  test('is held no longer once the connection that holds it is cut', async () => {
    world = await openPgWorld();
    const hold = await world.slot.drop(10_000, never);
    await world.sql(`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name = 'shapecast guard'`);
    await waitFor(() => hold?.lost.aborted);
    await hold?.release();
    await (await world.source.open(ignore, never)).close();
    expect(await slots()).toHaveLength(1);
  });

  test('takes one connection of the budget at a time, and gives it back', async () => {
    world = await openPgWorld();
    let open = 0;
    let taken = 0;
    const permits: ConnectionPermits = {
      acquire: async () => {
        open += 1;
        taken += 1;
        return () => void (open -= 1);
      },
      contended: () => false,
      onContended: () => ignore,
    };
    const slot = guardedBy(permits);
    await slot.report(never);
    expect([open, taken]).toEqual([0, 1]);
    const hold = await slot.drop(0, never);
    expect([open, taken]).toEqual([1, 2]);
    await hold?.release();
    await hold?.release();
    expect(open).toBe(0);
    const stop = new AbortController();
    stop.abort(new Error('enough'));
    await expect(slot.report(stop.signal)).rejects.toThrow();
    expect(open).toBe(0);
  });

  test('says why it cannot be looked at', async () => {
    world = await openPgWorld();
    const url = new URL(world.url);
    url.pathname = '/nowhere';
    const slot = openPgGuardedSlot({ url: url.href, slotName: world.slotName }, deps);
    await expect(slot.report(never)).rejects.toMatchObject({ code: expect.stringMatching(/^SOURCE_/) as string });
    await expect(slot.drop(0, never)).rejects.toMatchObject({ code: expect.stringMatching(/^SOURCE_/) as string });
  });
});
