import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { waitFor } from '@shapecast/testkit';
import type { RelationInfo } from '@shapecast/shape';
import { request, takeSnapshot } from '../../contract/change-source.contract.ts';
import { deps, openPgWorld, type PgWorld } from '../../contract/pg-world.contract.ts';
import type { SourceDatabase } from '../../source-database.ts';
import { openPgSourceDatabase } from '../pg-source-database.ts';

const never = new AbortController().signal;

describe('snapshots from Postgres', () => {
  let world: PgWorld;
  let items: RelationInfo;

  beforeEach(async () => {
    world = await openPgWorld();
    items = (await world.database.introspect('public', 'items', never)) as RelationInfo;
  });

  afterEach(() => world.close());

  const open = (options: Partial<Parameters<typeof openPgSourceDatabase>[0]>): SourceDatabase =>
    openPgSourceDatabase({ url: world.url, publicationName: world.publicationName, ...options }, deps);

  const running = async (text: string) => {
    const rows = await world.sql(
      `select pid from pg_stat_activity where datname = current_database() and state = 'active' and pid <> pg_backend_pid() and query like $1`,
      [`%${text}%`],
    );
    return rows.length > 0;
  };

  test('lists transactions in progress and does not show what they do', async () => {
    const writer = await world.connect();
    await writer.query('begin');
    await writer.query(`insert into items values ('1', 'a')`);
    const xid = BigInt((await writer.query<{ x: string }>('select pg_current_xact_id()::text as x')).rows[0]?.x ?? 0);
    await world.sql(`insert into items values ('2', 'b')`);
    const { info, rows } = await takeSnapshot(world.database, request(items));
    expect(rows).toEqual([['b', '2']]);
    expect(info.xip).toContain(xid);
    expect(info.xmin).toBeLessThanOrEqual(xid);
    expect(info.xmax).toBeGreaterThan(xid);
    await writer.query('rollback');
  });

  test('bounds asynchronous commits that are visible but not yet written', async () => {
    await world.sql('set synchronous_commit = off');
    await world.sql(`insert into items select n, repeat('x', 500) from generate_series(1, 200) n`);
    const [row] = await world.sql('select pg_current_wal_insert_lsn() - $1::pg_lsn as n', ['0/0']);
    const committed = BigInt(row?.['n'] as string);
    const { info, rows } = await takeSnapshot(world.database, request(items));
    expect(rows).toHaveLength(200);
    expect(info.insertLsn).toBeGreaterThanOrEqual(committed);
  });

  test('keeps the where clause to itself', async () => {
    await world.sql(`insert into items values ('1', 'a'), ('2', 'b')`);
    const { rows } = await takeSnapshot(world.database, { ...request(items), where: `"id" = '1' OR "value" = 'b'` });
    expect(rows).toHaveLength(2);
    await expect(takeSnapshot(world.database, { ...request(items), where: 'true) --' })).rejects.toMatchObject({
      code: 'SNAPSHOT_FAILED',
    });
  });

  test('quotes names', async () => {
    await world.sql('create table "Odd ""name" ("a ""b" text, "SELECT" int)');
    await world.sql(`insert into "Odd ""name" values ('x', 1)`);
    const table = (await world.database.introspect('public', 'Odd "name', never)) as RelationInfo;
    const { rows } = await takeSnapshot(world.database, { ...request(table), columns: ['SELECT', 'a "b'] });
    expect(rows).toEqual([['1', 'x']]);
  });

  test('keeps batches of wide rows small', async () => {
    await world.sql(`insert into items select n, repeat('x', 100000) from generate_series(1, 300) n`);
    const { rows, batches } = await takeSnapshot(world.database, request(items));
    expect(rows).toHaveLength(300);
    expect(Math.max(...batches.slice(1))).toBeLessThanOrEqual(11);
  });

  test('leaves no settings behind on the connection', async () => {
    await world.sql(`insert into items values ('1', 'a')`);
    await world.sql(
      `alter database ${JSON.stringify((await world.sql('select current_database() as n'))[0]?.['n'])} set datestyle = 'SQL, MDY'`,
    );
    const database = open({ poolSize: 2 });
    await takeSnapshot(database, request(items));
    await world.sql('create table shown (style text default current_setting($$datestyle$$), id int primary key)');
    await world.sql('create view style as select current_setting($$datestyle$$) as style');
    const { rows } = await takeSnapshot(database, {
      ...request(items),
      where: `current_setting('datestyle') = 'ISO, DMY'`,
    });
    expect(rows).toHaveLength(1);
    const sessions = await world.sql(
      `select count(*)::int as n from pg_stat_activity where application_name = 'shapecast snapshots' and state like 'idle in transaction%' and datname = current_database()`,
    );
    expect(sessions).toEqual([{ n: 0 }]);
    await database.close();
  });

  test('cancels the query in Postgres when aborted', async () => {
    const stop = new AbortController();
    const reason = new Error('nobody waits any more');
    await world.sql(`insert into items values ('1', 'a')`);
    const slow = { ...request(items), where: `pg_sleep(600) is not null or value = 'slow one'` };
    const snapshot = takeSnapshot(world.database, slow, stop.signal);
    await waitFor(() => running('fetch 1'));
    stop.abort(reason);
    await expect(snapshot).rejects.toBe(reason);
    await waitFor(async () => !(await running('fetch 1')));
    expect((await takeSnapshot(world.database, request(items))).rows).toHaveLength(1);
  });

  test('gives up when the first row takes too long, but not while rows flow', async () => {
    const database = open({ firstRowTimeoutMs: 200 });
    await world.sql(`insert into items select n, 'a' from generate_series(1, 40) n`);
    const slow = { ...request(items), where: 'pg_sleep(600) is not null' };
    await expect(takeSnapshot(database, slow)).rejects.toMatchObject({
      code: 'SNAPSHOT_FAILED',
      message:
        'Snapshot query took too long to return data (cancelled after 200ms). ' +
        'Please ensure snapshot queries are using an index to avoid taking up all database connections.',
    });
    const steady = { ...request(items), where: 'pg_sleep(0.02) is not null' };
    expect((await takeSnapshot(database, steady)).rows).toHaveLength(40);
    await database.close();
  });

  test('gives up when no snapshot is safe in time', async () => {
    const database = open({ safetyTimeoutMs: 120 });
    let offered = 0;
    const sink = {
      onSnapshot: async () => {
        offered += 1;
        return 'retry' as const;
      },
      onRows: async () => {},
    };
    await expect(database.snapshot(request(items), sink, never)).rejects.toMatchObject({ code: 'SNAPSHOT_FAILED' });
    expect(offered).toBeGreaterThan(1);
    await database.close();
  });

  test('reads no further than the sink takes', async () => {
    await world.sql(`insert into items select n, 'a' from generate_series(1, 10000) n`);
    const broken = new Error('no room');
    let batches = 0;
    const sink = {
      onSnapshot: async () => 'use' as const,
      onRows: async () => {
        batches += 1;
        throw broken;
      },
    };
    await expect(world.database.snapshot(request(items), sink, never)).rejects.toBe(broken);
    expect(batches).toBe(1);
  });

  test('does not serve a table that took over the name', async () => {
    await world.sql('alter table items rename to old_items');
    await expect(takeSnapshot(world.database, request(items))).rejects.toMatchObject({ code: 'SCHEMA_CHANGED' });
    await world.sql('create table items (id text primary key, value text)');
    await expect(takeSnapshot(world.database, request(items))).rejects.toMatchObject({ code: 'SCHEMA_CHANGED' });
  });

  test('explains which privilege is missing', async () => {
    const role = `role_${randomBytes(6).toString('hex')}`;
    await world.sql(`create role ${role} login`);
    const url = new URL(world.url);
    url.username = role;
    const database = open({ queryUrl: url.href });
    await expect(takeSnapshot(database, request(items))).rejects.toMatchObject({
      code: 'SNAPSHOT_FAILED',
      message: 'Unable to create initial snapshot: permission denied for table items',
    });
    await database.close();
    await world.sql(`drop role ${role}`);
  });

  test('says that the clause cannot be evaluated for a row, not which row or value', async () => {
    await world.sql(`insert into items values ('1', 'secret')`);
    const clause = (where: string) => takeSnapshot(world.database, { ...request(items), where });
    await expect(clause('1 / (length(value) - 6) > 0')).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
      message: 'division by zero',
    });
    await expect(clause('value::int4 > 0')).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
      message: 'the clause cannot be evaluated for a row',
      details: { field: 'where', code: '22P02' },
    });
  });

  test('admin work goes on while every snapshot connection is busy', async () => {
    const database = open({ poolSize: 2 });
    const stop = new AbortController();
    await world.sql(`insert into items values ('1', 'a')`);
    const slow = { ...request(items), where: 'pg_sleep(600) is not null' };
    const first = takeSnapshot(database, slow, stop.signal);
    await waitFor(() => running('fetch 1'));
    const queued = takeSnapshot(database, request(items), never);
    expect(await database.introspect('public', 'items', never)).toEqual(items);
    stop.abort();
    await expect(first).rejects.toThrow(/abort/);
    expect((await queued).rows).toHaveLength(1);
    await database.close();
  });

  test('says that the database is away', async () => {
    const url = new URL(world.url);
    url.port = '1';
    const database = open({ url: url.href });
    await expect(takeSnapshot(database, request(items))).rejects.toMatchObject({ code: 'SNAPSHOT_FAILED' });
    await expect(database.introspect('public', 'items', never)).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' });
    await database.close();
  });
});
