import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { randomBytes } from 'node:crypto';
import { systemClock, type Clock } from '@shapecast/service-kit';
import { waitFor } from '@shapecast/testkit';
import { deps, openPgWorld, type PgWorld } from '../../contract/pg-world.contract.ts';
import { openPgSourceDatabase } from '../pg-source-database.ts';

const never = new AbortController().signal;

describe('publishing a table', () => {
  let world: PgWorld;

  beforeEach(async () => {
    world = await openPgWorld();
    await world.sql('create publication "Pub ""quoted"""');
  });

  afterEach(() => world.close());

  async function publish(name: string, database = world.database) {
    const relation = await database.introspect('public', name, never);
    if (!relation) throw new Error(`no table ${name}`);
    return database.publish(relation, never);
  }

  async function members(): Promise<unknown[]> {
    const rows = await world.sql('select prrelid::regclass::text as name from pg_publication_rel order by 1');
    return rows.map((row) => row['name']);
  }

  async function identity(name: string): Promise<unknown> {
    return (await world.sql('select relreplident from pg_class where relname = $1', [name]))[0]?.['relreplident'];
  }

  test('adds it with full replica identity, whatever its name, and again without effect', async () => {
    await world.sql('create schema "My ""schema"');
    await world.sql('create table "My ""schema"."Täble.1" ("a b" int)');
    const relation = await world.database.introspect('My "schema', 'Täble.1', never);
    if (!relation) throw new Error('no table');
    await world.database.publish(relation, never);
    await world.database.publish(relation, never);
    expect(await members()).toEqual(['"My ""schema"."Täble.1"']);
    expect(await identity('Täble.1')).toBe('f');
  });

  test('does what is missing: the membership or the replica identity', async () => {
    await world.sql('alter publication "Pub ""quoted""" add table items');
    await publish('items');
    expect(await identity('items')).toBe('f');
    await world.sql('alter publication "Pub ""quoted""" drop table items');
    await publish('items');
    expect(await members()).toEqual(['items']);
  });

  test('publishes many tables at the same time', async () => {
    const names = Array.from({ length: 12 }, (_, index) => `table_${index}`);
    for (const name of names) await world.sql(`create table ${name} (id int primary key)`);
    await Promise.all(names.flatMap((name) => [publish(name), publish(name)]));
    expect(await members()).toEqual([...names].sort());
  });

  test('sets the replica identity on the leaves of a partitioned table', async () => {
    await world.sql('create table root (id int primary key, v text) partition by range (id)');
    await world.sql('create table low partition of root for values from (0) to (10) partition by range (id)');
    await world.sql('create table lowest partition of low for values from (0) to (5)');
    await world.sql('create table high partition of root for values from (10) to (20)');
    await publish('root');
    expect(await members()).toEqual(['root']);
    expect([await identity('lowest'), await identity('high')]).toEqual(['f', 'f']);
  });

  test('waits for transactions that wrote to the table before it was published', async () => {
    await world.sql('alter table items replica identity full');
    const writer = await world.connect();
    await writer.query('begin');
    await writer.query(`insert into items values ('1', 'a')`);
    let polls = 0;
    const counting: Clock = {
      ...systemClock,
      sleep: (ms, signal) => {
        polls += 1;
        return systemClock.sleep(ms, signal);
      },
    };
    const options = { url: world.url, publicationName: world.publicationName };
    const database = openPgSourceDatabase(options, { ...deps, clock: counting });
    let done = false;
    const publishing = publish('items', database).then(() => (done = true));
    await waitFor(() => polls >= 3);
    expect(await members()).toEqual(['items']);
    expect(done).toBe(false);
    // Writers that come later do not hold it up.
    const later = await world.connect();
    await later.query('begin');
    await later.query(`insert into items values ('2', 'b')`);
    await writer.query('commit');
    await publishing;
    await later.query('rollback');
    await database.close();
  });

  test('does not wait for readers, nor for writers of a table that was published before', async () => {
    await publish('items');
    const busy = await world.connect();
    await busy.query('begin');
    await busy.query(`insert into items values ('1', 'a')`);
    await publish('items');
    await busy.query('rollback');
    await busy.query('begin');
    await busy.query('select id from items');
    await world.sql('create table others (id int primary key)');
    await publish('others');
    expect(await members()).toEqual(['items', 'others']);
  });

  test('says so when the gap does not close in time', async () => {
    await world.sql('alter table items replica identity full');
    const writer = await world.connect();
    await writer.query('begin');
    await writer.query(`insert into items values ('1', 'a')`);
    const options = { url: world.url, publicationName: world.publicationName, gapTimeoutMs: 100 };
    const database = openPgSourceDatabase(options, deps);
    await expect(publish('items', database)).rejects.toMatchObject({ code: 'NOT_READY' });
    await writer.query('commit');
    await publish('items', database);
    await database.close();
  });

  test('gives up soon when the table is locked, and works once it is free', async () => {
    const writer = await world.connect();
    await writer.query('begin');
    await writer.query(`insert into items values ('1', 'a')`);
    const options = { url: world.url, publicationName: world.publicationName, lockTimeoutMs: 50 };
    const database = openPgSourceDatabase(options, deps);
    await expect(publish('items', database)).rejects.toMatchObject({
      code: 'NOT_READY',
      message: 'Snapshot timed out while waiting for a table lock',
    });
    expect(await members()).toEqual([]);
    await writer.query('commit');
    await publish('items', database);
    expect(await members()).toEqual(['items']);
    await database.close();
  });

  test('explains what is missing', async () => {
    await world.sql(`alter publication "Pub ""quoted""" set (publish = 'insert')`);
    await expect(publish('items')).rejects.toMatchObject({
      code: 'SOURCE_MISCONFIGURED',
      message: `Publication "${world.publicationName}" does not publish all required operations: INSERT, UPDATE, DELETE, TRUNCATE`,
    });
    await world.sql('drop publication "Pub ""quoted"""');
    await expect(publish('items')).rejects.toMatchObject({
      code: 'SOURCE_MISCONFIGURED',
      message: `Publication "${world.publicationName}" not found in the database`,
    });
  });

  test('refuses a membership with a column list, where Postgres knows such', async () => {
    await world.sql('create table listed (id int primary key, v text)');
    const [version] = await world.sql(`select current_setting('server_version_num')::int as n`);
    const adding = world.sql('alter publication "Pub ""quoted""" add table listed (id)');
    if (Number(version?.['n']) < 150000) return expect(adding).rejects.toThrow(/syntax/);
    await adding;
    await expect(publish('listed')).rejects.toMatchObject({ code: 'SOURCE_MISCONFIGURED' });
  });

  test('explains which privilege a role lacks', async () => {
    const role = `role_${randomBytes(6).toString('hex')}`;
    await world.sql(`create role ${role} login`);
    const url = new URL(world.url);
    url.username = role;
    const database = openPgSourceDatabase({ url: url.href, publicationName: world.publicationName }, deps);
    await expect(publish('items', database)).rejects.toMatchObject({
      code: 'SOURCE_MISCONFIGURED',
      message: `Database table "public.items" is missing from the publication "${world.publicationName}" and Electric lacks privileges to add it`,
    });
    await world.sql('alter publication "Pub ""quoted""" add table items');
    await expect(publish('items', database)).rejects.toMatchObject({
      code: 'SOURCE_MISCONFIGURED',
      message: 'Database table "public.items" does not have its replica identity set to FULL',
    });
    await database.close();
    await world.sql(`drop role ${role}`);
  });
});
