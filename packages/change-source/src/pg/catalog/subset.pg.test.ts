import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { RelationInfo } from '@shapecast/shape';
import { waitFor } from '@shapecast/testkit';
import { request, subsetRequest, takeSnapshot, takeSubset } from '../../contract/change-source.contract.ts';
import { deps, openPgWorld, type PgWorld } from '../../contract/pg-world.contract.ts';
import type { SubsetRequest } from '../../change-source.ts';
import type { SourceDatabase } from '../../source-database.ts';
import { openPgSourceDatabase } from '../pg-source-database.ts';

const never = new AbortController().signal;

describe('subsets from Postgres', () => {
  let world: PgWorld;
  let items: RelationInfo;

  beforeEach(async () => {
    world = await openPgWorld();
    items = (await world.database.introspect('public', 'items', never)) as RelationInfo;
  });

  afterEach(() => world.close());

  const open = (options: Partial<Parameters<typeof openPgSourceDatabase>[0]>): SourceDatabase =>
    openPgSourceDatabase({ url: world.url, publicationName: world.publicationName, ...options }, deps);

  const table = async (name: string): Promise<SubsetRequest> => {
    const relation = (await world.database.introspect('public', name, never)) as RelationInfo;
    return { ...subsetRequest(relation), columns: relation.columns.map((column) => column.name) };
  };

  const sessions = async (condition: string) => {
    const [row] = await world.sql(
      `select count(*)::int as n from pg_stat_activity where datname = current_database() and application_name = 'shapecast snapshots' and ${condition}`,
    );
    return row?.['n'];
  };

  test('rows meet every condition, each taken as a whole', async () => {
    await world.sql(`insert into items values ('1', 'a'), ('2', 'b'), ('3', 'a')`);
    const conditions = [`"id" = '1' OR "id" = '2'`, `"id" = '3' OR "value" = 'b'`];
    expect((await takeSubset(world.database, { ...subsetRequest(items), conditions })).rows).toEqual([['b', '2']]);
    const commenting = { ...subsetRequest(items), conditions: [`"id" = '1' --`, `"value" = 'b'`] };
    expect((await takeSubset(world.database, commenting)).rows).toEqual([]);
    const escaping = { ...subsetRequest(items), conditions: [`"id" = '1'`, 'true) --'] };
    await expect(takeSubset(world.database, escaping)).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
  });

  test('T39 quotes names, and orders by columns and not by their places', async () => {
    await world.sql('create table "Odd ""name" ("a ""b" int, "1" int, "SELECT" int, primary key ("SELECT"))');
    await world.sql('insert into "Odd ""name" values (1, 3, 1), (2, 2, 2), (3, 1, 3)');
    const odd = await table('Odd "name');
    const orderBy = [{ column: '1', descending: false }];
    expect((await takeSubset(world.database, { ...odd, columns: ['a "b'], orderBy })).rows).toEqual([
      ['3'],
      ['2'],
      ['1'],
    ]);
    const injected = [{ column: 'SELECT"; drop table items; --', descending: false }];
    await expect(takeSubset(world.database, { ...odd, orderBy: injected })).rejects.toMatchObject({
      code: 'SCHEMA_CHANGED',
    });
    expect(await world.sql(`select to_regclass('items')::text as name`)).toEqual([{ name: 'items' }]);
  });

  test('prints values as the stream does, whatever the database’s settings', async () => {
    const [row] = await world.sql('select current_database() as name');
    await world.sql(`alter database ${JSON.stringify(row?.['name'])} set datestyle = 'SQL, MDY'`);
    await world.sql('create table prints (id int primary key, d date, c char(4), b bytea, f float8)');
    await world.sql(`insert into prints values (1, '2024-02-03', 'x', '\\x01ff', 0.1)`);
    const database = open({});
    expect((await takeSubset(database, await table('prints'))).rows).toEqual([
      ['1', '2024-02-03', 'x   ', '\\x01ff', '0.1'],
    ]);
    await database.close();
  });

  test('every transaction it shows has a commit LSN at or below its LSN, also with asynchronous commits', async () => {
    await world.sql('create table stamps (id int primary key, xid text default pg_current_xact_id()::text)');
    const stamps = await table('stamps');
    const slot = `slot_${randomBytes(6).toString('hex')}`;
    await world.sql(`select pg_create_logical_replication_slot($1, 'test_decoding')`, [slot]);
    const writers = await Promise.all([world.connect(), world.connect(), world.connect()]);
    for (const writer of writers) await writer.query('set synchronous_commit = off');
    const enough = new AbortController();
    let next = 0;
    const writing = writers.map(async (writer) => {
      while (!enough.signal.aborted) await writer.query(`insert into stamps values (${(next += 1)})`);
    });
    const subsets = [];
    for (let i = 0; i < 40; i += 1) subsets.push(await takeSubset(world.database, stamps));
    enough.abort();
    await Promise.all(writing);
    // A synchronous commit writes all before it.
    await world.sql(`insert into items values ('last', null)`);

    const commits = await world.sql(
      `select substring(data from '^COMMIT (\\d+)') as xid, (lsn - '0/0'::pg_lsn)::text as lsn
       from pg_logical_slot_get_changes($1, null, null) where data like 'COMMIT%'`,
      [slot],
    );
    await world.sql('select pg_drop_replication_slot($1)', [slot]);
    expect(commits).toHaveLength(next + 1);
    let [shown, hidden] = [0, 0];
    for (const { info, rows } of subsets) {
      const visible = new Set(rows.map(([, xid]) => xid as string));
      for (const { xid, lsn } of commits as { xid: string; lsn: string }[]) {
        const id = BigInt(xid);
        // Rows and metadata are of one moment.
        expect(id < info.xmin || (id < info.xmax && !info.xip.includes(id))).toBe(visible.has(xid));
        if (visible.has(xid)) expect(BigInt(lsn)).toBeLessThanOrEqual(info.insertLsn);
        if (visible.has(xid)) shown += 1;
        else hidden += 1;
      }
    }
    expect([shown > 0, hidden > 0]).toEqual([true, true]);
  });

  test('says in Postgres’s words what only Postgres finds wrong with the request', async () => {
    await world.sql(`create type mood as enum ('sad', 'ok')`);
    await world.sql('create table moods (id int primary key, mood mood, j json)');
    await world.sql(`insert into moods values (1, 'sad', '{}')`);
    const moods = await table('moods');
    expect((await takeSubset(world.database, { ...moods, conditions: [`"mood" = 'sad'`] })).rows).toHaveLength(1);
    await expect(takeSubset(world.database, { ...moods, conditions: [`"mood" = 'nope'`] })).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
      message: 'invalid input value for enum mood: "nope"',
      details: { field: 'where' },
    });
    await expect(takeSubset(world.database, { ...moods, conditions: [`"id" ~ 'x'`] })).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
      message: 'operator does not exist: integer ~ unknown',
      details: { field: 'where' },
    });
    const orderBy = [{ column: 'j', descending: false }];
    const conditions = [`"mood" <> '\u{1F600} order by '::text::mood or true`];
    await expect(takeSubset(world.database, { ...moods, orderBy })).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
      message: 'could not identify an ordering operator for type json',
      details: { field: 'order_by' },
    });
    await expect(takeSubset(world.database, { ...moods, conditions, orderBy })).rejects.toMatchObject({
      details: { field: 'order_by' },
    });
    const limit = '9223372036854775808';
    await expect(takeSubset(world.database, { ...moods, limit })).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
  });

  test('does not show values of rows in errors', async () => {
    await world.sql(`insert into items values ('1', 'secret of the row')`);
    const casting = { ...subsetRequest(items), conditions: [`"value"::int = 1`] };
    const error = await takeSubset(world.database, casting).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'INVALID_REQUEST',
      message: 'the clause cannot be evaluated for a row',
      details: { field: 'where', code: '22P02' },
    });
    const dividing = { ...subsetRequest(items), conditions: [`1 / ("id"::int - 1) = 1`] };
    await expect(takeSubset(world.database, dividing)).rejects.toMatchObject({ message: 'division by zero' });
  });

  test('has one time limit for the query, whether before the first row or among the rows', async () => {
    await world.sql(`insert into items select n, 'a' from generate_series(1, 500) n`);
    const timedOut = {
      code: 'SNAPSHOT_FAILED',
      message:
        'Subset query took too long (cancelled after 300ms). Please ensure that subset queries are using an index.',
    };
    const slow = { ...subsetRequest(items), timeoutMs: 300, conditions: ['pg_sleep(600) is not null'] };
    await expect(takeSubset(world.database, slow)).rejects.toMatchObject(timedOut);
    // 100 rows come with the first fetch, within the limit.
    const steady = { ...slow, conditions: [`pg_sleep(0.0015) is not null`] };
    let batches = 0;
    const sink = { onSnapshot: async () => {}, onRows: async () => void (batches += 1) };
    await expect(world.database.subset(steady, sink, never)).rejects.toMatchObject(timedOut);
    expect(batches).toBeLessThanOrEqual(1);
    const waiting = await world.connect();
    await waiting.query('begin; lock table items in access exclusive mode');
    await expect(takeSubset(world.database, { ...slow, conditions: [] })).rejects.toMatchObject(timedOut);
    await waiting.query('rollback');
  });

  test('the time that the consumer takes is not counted, and holds no more than one batch', async () => {
    await world.sql(`insert into items select n, 'a' from generate_series(1, 300) n`);
    let rows = 0;
    const sink = {
      onSnapshot: async () => {},
      onRows: async (batch: readonly unknown[]) => {
        rows += batch.length;
        await world.sql('select pg_sleep(0.4)');
      },
    };
    await world.database.subset({ ...subsetRequest(items), timeoutMs: 300 }, sink, never);
    expect(rows).toBe(300);
  });

  test('aborting cancels the query in Postgres, or closes the cursor while rows are being taken', async () => {
    const reason = new Error('the client left');
    const stop = new AbortController();
    await world.sql(`insert into items select n, 'a' from generate_series(1, 500) n`);
    const slow = { ...subsetRequest(items), conditions: ['pg_sleep(600) is not null'] };
    const reading = takeSubset(world.database, slow, stop.signal);
    await waitFor(async () => (await sessions(`state = 'active'`)) === 1);
    stop.abort(reason);
    await expect(reading).rejects.toBe(reason);
    await waitFor(async () => (await sessions(`state = 'active'`)) === 0);

    const leave = new AbortController();
    const sink = {
      onSnapshot: async () => {},
      onRows: async () => {
        leave.abort(reason);
        throw reason;
      },
    };
    await expect(world.database.subset(subsetRequest(items), sink, leave.signal)).rejects.toBe(reason);
    await waitFor(async () => (await sessions(`state like 'idle in transaction%'`)) === 0);
    expect((await takeSubset(world.database, subsetRequest(items))).rows).toHaveLength(500);
  });

  test('explains which privilege is missing, and that the database is away', async () => {
    const role = `role_${randomBytes(6).toString('hex')}`;
    await world.sql(`create role ${role} login`);
    const url = new URL(world.url);
    url.username = role;
    const database = open({ queryUrl: url.href });
    await expect(takeSubset(database, subsetRequest(items))).rejects.toMatchObject({
      code: 'SNAPSHOT_FAILED',
      message: 'Unable to read the subset: permission denied for table items',
    });
    await database.close();
    await world.sql(`drop role ${role}`);
    url.port = '1';
    const away = open({ queryUrl: url.href });
    await expect(takeSubset(away, subsetRequest(items))).rejects.toMatchObject({
      code: 'SNAPSHOT_FAILED',
      details: { type: 'connection_refused' },
    });
    await away.close();
  });

  test('does not read a table that took over the name', async () => {
    await world.sql('alter table items rename to old_items');
    await expect(takeSubset(world.database, subsetRequest(items))).rejects.toMatchObject({ code: 'SCHEMA_CHANGED' });
    await world.sql('create table items (id text primary key, value text)');
    await expect(takeSubset(world.database, subsetRequest(items))).rejects.toMatchObject({ code: 'SCHEMA_CHANGED' });
    expect((await takeSnapshot(world.database, request(await newItems()))).rows).toEqual([]);
  });

  const newItems = async () => (await world.database.introspect('public', 'items', never)) as RelationInfo;
});
