import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { randomBytes } from 'node:crypto';
import { systemClock, type Clock } from '@shapecast/service-kit';
import { waitFor } from '@shapecast/testkit';
import { deps, openPgWorld, type PgWorld } from '../../contract/pg-world.contract.ts';
import type { PublicationAction } from '../../source-publication.ts';
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

  test('tells what it has done to the publication, and what Postgres refused', async () => {
    const actions: PublicationAction[] = [];
    const onAction = (action: PublicationAction) => void actions.push(action);
    const options = { url: world.url, publicationName: 'Pub "quoted"', lockTimeoutMs: 50 };
    const database = openPgSourceDatabase(options, { ...deps, onAction });
    try {
      await publish('items', database);
      await publish('items', database);
      expect(actions).toEqual([
        { action: 'add', ok: true },
        { action: 'identity', ok: true },
      ]);
      const relation = await database.introspect('public', 'items', never);
      await database.publication.unpublish(relation!, () => true, never);
      expect(actions.at(-1)).toEqual({ action: 'drop', ok: true });
      await world.sql('create table other (id int primary key)');
      const writer = await world.connect();
      await writer.query('begin; insert into other values (1)');
      await expect(publish('other', database)).rejects.toMatchObject({ details: { type: 'table_lock_timeout' } });
      await writer.query('rollback');
      expect(actions.slice(3).every(({ ok }) => !ok)).toBe(true);
      expect(actions.length).toBeGreaterThan(3);
    } finally {
      await database.close();
    }
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

  test('does what is missing for partitions that came later, and for one that is named', async () => {
    await world.sql('create table root (id int primary key) partition by range (id)');
    await publish('root');
    await world.sql('create table low partition of root for values from (0) to (10)');
    await publish('root');
    expect(await identity('low')).toBe('f');
    await world.sql('create table high partition of root for values from (10) to (20)');
    for (const name of ['high', 'root']) {
      const relation = await world.database.introspect('public', name, never);
      await world.database.repairReplicaIdentity(relation?.oid as number, never);
    }
    expect(await identity('high')).toBe('f');
  });

  test('publishes children in classic inheritance each by itself', async () => {
    await world.sql('create table parent (id int primary key)');
    await world.sql('create table child () inherits (parent)');
    await publish('parent');
    expect(await members()).toEqual(['child', 'parent']);
    await world.sql('create table grandchild () inherits (child)');
    await publish('parent');
    expect(await members()).toEqual(['child', 'grandchild', 'parent']);
    expect([await identity('parent'), await identity('grandchild')]).toEqual(['f', 'f']);
  });

  test('refuses what has parts that leave nothing in the WAL', async () => {
    await world.sql('create table parent (id int)');
    await world.sql('create unlogged table child () inherits (parent)');
    await expect(publish('parent')).rejects.toMatchObject({
      code: 'SOURCE_MISCONFIGURED',
      message: expect.stringContaining('"public.child" is foreign, unlogged or temporary') as string,
    });
  });

  test('refuses partitions where the publication gives their changes to the root', async () => {
    await world.sql('alter publication "Pub ""quoted""" set (publish_via_partition_root = true)');
    await world.sql('create table root (id int) partition by range (id)');
    await world.sql('create table low partition of root for values from (0) to (10)');
    for (const name of ['root', 'low']) {
      await expect(publish(name)).rejects.toMatchObject({
        code: 'SOURCE_MISCONFIGURED',
        message: expect.stringContaining('publish_via_partition_root') as string,
      });
    }
    await publish('items');
  });

  test('has stored generated columns carried where the server can, and leaves a table with virtual ones alone', async () => {
    await world.sql('create table gen (id int primary key, twice int generated always as (id * 2) stored)');
    await publish('gen');
    expect(await members()).toEqual(['gen']);
    const [version] = await world.sql(`select current_setting('server_version_num')::int as n`);
    if (Number(version?.['n']) < 180000) return;
    expect(await world.sql('select pubgencols from pg_publication')).toEqual([{ pubgencols: 's' }]);
    await world.sql('create table virt (id int primary key, twice int generated always as (id * 2) virtual)');
    await expect(publish('virt')).rejects.toMatchObject({
      code: 'SOURCE_MISCONFIGURED',
      message: expect.stringContaining('"public.virt" has virtual generated columns') as string,
    });
    expect(await identity('virt')).toBe('d');
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
    const [version] = await world.sql(`select current_setting('server_version_num')::int as n`);
    if (Number(version?.['n']) >= 180000) {
      await world.sql('create table gen (id int primary key, twice int generated always as (id * 2) stored)');
      await world.sql('alter publication "Pub ""quoted""" add table gen');
      await world.sql('alter table gen replica identity full');
      await expect(publish('gen', database)).rejects.toMatchObject({
        code: 'SOURCE_MISCONFIGURED',
        message:
          `Publication "${world.publicationName}" does not publish generated columns. This is a feature introduced in ` +
          `PostgreSQL 18 and requires setting the publication parameter 'publish_generated_columns' to 'stored'. ` +
          `Alternatively, you can exclude them from the shape by explicitly listing which columns to fetch in the 'columns' query param.`,
      });
    }
    await database.close();
    await world.sql(`drop role ${role}`);
  });
});
