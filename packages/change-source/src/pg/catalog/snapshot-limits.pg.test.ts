import { startPostgres, waitFor, type TestPostgres } from '@shapecast/testkit';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { RelationInfo } from '@shapecast/shape';
import { request, takeSnapshot } from '../../contract/change-source.contract.ts';
import { deps, openPgWorld, type PgWorld } from '../../contract/pg-world.contract.ts';
import { openPgSourceDatabase } from '../pg-source-database.ts';

const never = new AbortController().signal;

describe('what could end or spoil a snapshot', () => {
  let world: PgWorld;
  let items: RelationInfo;

  beforeEach(async () => {
    world = await openPgWorld();
    items = (await world.database.introspect('public', 'items', never)) as RelationInfo;
  });

  afterEach(() => world.close());

  const waiting = async () => {
    const rows = await world.sql(
      `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
         and application_name = 'shapecast snapshots'`,
    );
    return rows.length > 0;
  };

  test('time limits of the database do not end a snapshot whose rows flow', async () => {
    await world.sql(`insert into items select n, repeat('x', 100000) from generate_series(1, 130) n`);
    const [version] = await world.sql(
      `select current_setting('server_version_num')::int as n, current_database() as d`,
    );
    const database = pg.escapeIdentifier(version?.['d'] as string);
    const limits = ['statement_timeout', 'idle_in_transaction_session_timeout'];
    if ((version?.['n'] as number) >= 170_000) limits.push('transaction_timeout');
    for (const limit of limits) await world.sql(`alter database ${database} set ${limit} = '250ms'`);

    // They do end others.
    const other = await world.connect();
    const gone = new Promise((resolve) => other.once('error', resolve));
    await other.query('begin');
    expect(String(await gone)).toMatch(/timeout/);

    const source = openPgSourceDatabase({ url: world.url, publicationName: world.publicationName }, deps);
    let rows = 0;
    await source.snapshot(
      request(items),
      {
        onSnapshot: async () => 'use',
        onRows: async (batch) => {
          rows += batch.length;
          await new Promise((resolve) => setTimeout(resolve, 400));
        },
      },
      never,
    );
    expect(rows).toBe(130);
    await source.close();
  });

  test('who alters the table is waited for only so long', async () => {
    const database = openPgSourceDatabase(
      { url: world.url, publicationName: world.publicationName, snapshotLockTimeoutMs: 150 },
      deps,
    );
    const other = await world.connect();
    await other.query('begin; lock table items in access exclusive mode');
    await expect(takeSnapshot(database, request(items))).rejects.toMatchObject({
      code: 'SNAPSHOT_FAILED',
      message: 'Snapshot timed out while waiting for a table lock',
      details: { type: 'table_lock_timeout' },
    });
    await other.query('rollback');
    expect((await takeSnapshot(database, request(items))).rows).toEqual([]);
    await database.close();
  });

  test.each([
    ['rewritten', 'alter table items add column extra float default random()', 3],
    ['truncated', 'truncate items', 0],
  ])('a table that is %s while the snapshot waits for it is read again', async (_, ddl, expected) => {
    await world.sql(`insert into items values ('1', 'a'), ('2', 'b'), ('3', 'c')`);
    const other = await world.connect();
    await other.query('begin');
    const [row] = (await other.query<{ x: string }>('select pg_current_xact_id()::text as x')).rows;
    await other.query(ddl);
    const taking = takeSnapshot(world.database, request(items));
    await waitFor(waiting);
    await other.query('commit');
    const { rows, info } = await taking;
    // The snapshot that waited saw the old files, of which nothing is left.
    expect(rows).toHaveLength(expected);
    // Others, of other databases of the server, may be older and still run.
    const xid = BigInt(row?.x ?? 0);
    expect(xid < info.xmax && !info.xip.includes(xid)).toBe(true);
  });

  test('tells how many rows the planner expects, of partitions too', async () => {
    await world.sql('create table root (id int primary key) partition by range (id)');
    await world.sql('create table low partition of root for values from (0) to (100)');
    await world.sql('create table high partition of root for values from (100) to (1000)');
    const root = (await world.database.introspect('public', 'root', never)) as RelationInfo;
    const estimate = async () => {
      let estimated: number | undefined;
      const sink = {
        onSnapshot: async (_info: unknown, table: { readonly estimatedRows?: number }) => {
          estimated = table.estimatedRows;
          return 'use' as const;
        },
        onRows: async () => {},
      };
      await world.database.snapshot({ ...request(root), columns: ['id'] }, sink, never);
      return estimated;
    };
    expect(await estimate()).toBeUndefined();
    await world.sql('insert into root select generate_series(50, 349)');
    await world.sql('analyze low, high');
    expect(await estimate()).toBe(300);
  });
});

describe('who writes to a table and does not show yet', () => {
  let server: TestPostgres;
  let world: PgWorld;

  beforeAll(async () => {
    server = await startPostgres({
      settings: { synchronous_standby_names: 'nobody', synchronous_commit: 'local', max_prepared_transactions: '2' },
    });
    world = await openPgWorld({ adminUrl: server.url });
  });

  afterAll(async () => {
    await world.close();
    await server.stop();
  });

  test('a commit that waits for its standby is named, with 64 bits, and an open or a finished transaction is not', async () => {
    await world.sql('create table root (id int primary key) partition by range (id)');
    await world.sql('create table low partition of root for values from (0) to (100)');
    await world.sql('create table elsewhere (id int primary key)');
    const root = (await world.database.introspect('public', 'root', never)) as RelationInfo;
    const low = (await world.database.introspect('public', 'low', never)) as RelationInfo;
    const elsewhere = (await world.database.introspect('public', 'elsewhere', never)) as RelationInfo;
    const begun = async (statement: string) => {
      const client = await world.connect();
      await client.query('begin');
      await client.query(statement);
      const { rows } = await client.query<{ x: string }>('select pg_current_xact_id()::text as x');
      return { client, xid: BigInt(rows[0]?.x ?? 0) };
    };
    const open = await begun('insert into root values (1)');
    const other = await begun('insert into elsewhere values (1)');
    const held = await begun('insert into low values (2); savepoint s; insert into low values (3)');
    await held.client.query('set synchronous_commit = on');
    const committed = held.client.query('commit');
    await waitFor(async () => {
      const rows = await world.sql(`select 1 from pg_stat_activity where wait_event = 'SyncRep'`);
      return rows.length > 0;
    });

    const { xids, newest } = await world.database.writers(root.oid, never);
    expect(xids[0]).toBe(held.xid);
    expect(xids).not.toContain(open.xid);
    expect(xids).not.toContain(other.xid);
    expect(newest).toBeGreaterThanOrEqual(held.xid);
    expect((await world.database.writers(low.oid, never)).xids).toContain(held.xid);
    expect((await world.database.writers(elsewhere.oid, never)).xids).toEqual([]);
    // It is in nobody's snapshot although its commit is in the log.
    expect((await takeSnapshot(world.database, { ...request(root), columns: ['id'] })).rows).toEqual([]);

    await world.sql(`select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'`);
    await committed;
    expect((await world.database.writers(root.oid, never)).xids).toEqual([]);
    await open.client.query('rollback');
    await other.client.query('rollback');
  });
});
