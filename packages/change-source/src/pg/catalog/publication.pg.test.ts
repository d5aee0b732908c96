import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '@shapecast/service-kit';
import { startPostgres, waitFor, type TestPostgres } from '@shapecast/testkit';
import { deps, openPgWorld, type PgWorld } from '../../contract/pg-world.contract.ts';
import { sharePublication } from '../../source-publication.ts';
import type { SourceDatabase, TableToPublish } from '../../source-database.ts';
import { openPgSourceDatabase, type PgSourceDatabaseOptions } from '../pg-source-database.ts';

const never = new AbortController().signal;
const always = () => true;
const BY_HAND = '/* by hand */';

/**
 * 14 has neither row filters nor column lists, 15 and later have; 18 publishes generated columns. What is the same everywhere runs
 * on 18 only: servers of three versions share two cores here.
 */
describe.each([14, 15, 18])('the publication on Postgres %i', (version) => {
  let server: TestPostgres;
  let world: PgWorld;
  let items: TableToPublish;
  const opened: SourceDatabase[] = [];

  beforeAll(async () => {
    const settings = { log_statement: 'ddl', logging_collector: 'on', log_directory: 'log', log_filename: 'all.log' };
    server = await startPostgres({ version, settings: { ...settings, max_prepared_transactions: '5' } });
  });
  afterAll(() => server.stop());

  beforeEach(async () => {
    world = await openPgWorld({ adminUrl: server.url });
    await world.sql(
      `create publication "Pub ""quoted"""${version >= 18 ? ' with (publish_generated_columns = stored)' : ''}`,
    );
    items = await tableOf('items');
  });
  afterEach(async () => {
    for (const database of opened.splice(0)) await database.close();
    await world.close();
  });

  async function tableOf(name: string): Promise<TableToPublish> {
    const relation = await world.database.introspect('public', name, never);
    if (!relation) throw new Error(`no table ${name}`);
    return { oid: relation.oid, schema: 'public', name };
  }

  function open(options: Partial<PgSourceDatabaseOptions> = {}, clock = systemClock): SourceDatabase {
    const { url, publicationName } = world;
    const database = openPgSourceDatabase({ url, publicationName, ...options }, { ...deps, clock });
    opened.push(database);
    return database;
  }

  /** What the server was asked to alter, all of it and without what this test did by hand. */
  async function loggedDdl(): Promise<{ readonly all: number; readonly ours: readonly string[] }> {
    const path = join(server.dataDir, 'log', 'all.log');
    // Another process writes the log, later, and in the order in which it hears of things.
    const mark = `comment on schema public is 'mark ${randomUUID()}'`;
    await world.sql(mark);
    let text = '';
    await waitFor(async () => (text = await readFile(path, 'utf8')).includes(mark));
    const lines = text
      .split('\n')
      .filter((line) => /LOG: +(statement|execute [^:]*):.*\b(alter|publication)\b/i.test(line));
    return { all: lines.length, ours: lines.filter((line) => !line.includes(BY_HAND)) };
  }

  const byHand = (text: string) => world.sql(`${BY_HAND} ${text}`);
  const sightOf = async (oid: number) =>
    (await world.database.publication.sight([oid], never)).tables.get(oid) ?? 'no table';
  const PUB = '"Pub ""quoted"""';
  const missing = (table: string, why: string) =>
    `Database table "public.${table}" is missing from the publication "${world.publicationName}" and ${why}`;
  const MANUALLY = 'the ELECTRIC_MANUAL_TABLE_PUBLISHING setting prevents Electric from adding it';

  test('A9 with manual publishing nothing is altered, and each message says what is to be done next', async () => {
    const database = open({ manualPublishing: true });
    const before = await loggedDdl();
    const refused = (message: string) =>
      expect(database.publish(items, never)).rejects.toMatchObject({ code: 'SOURCE_MISCONFIGURED', message });
    const identity = 'Database table "public.items" does not have its replica identity set to FULL';
    const flaws = async () =>
      (await database.publication.verify([items.oid], never)).flaws.map(({ message }) => message);

    await refused(missing('items', MANUALLY));
    expect(await flaws()).toEqual([missing('items', MANUALLY)]);
    await byHand(`alter publication ${PUB} add table items`);
    await refused(identity);
    await expect(database.repairReplicaIdentity(items.oid, never)).rejects.toMatchObject({ message: identity });
    await byHand('alter table items replica identity full');
    expect(await database.publish(items, never)).toBe(await sightOf(items.oid));
    expect(await flaws()).toEqual([]);
    await byHand(`alter publication ${PUB} drop table items`);
    await refused(missing('items', MANUALLY));
    await byHand(`alter publication ${PUB} set (publish = 'insert')`);
    const operations = `Publication "${world.publicationName}" does not publish all required operations: INSERT, UPDATE, DELETE, TRUNCATE`;
    await refused(operations);
    expect((await database.publication.verify([items.oid], never)).problem).toBe(operations);
    // T34: it is never taken out of, or completed, either.
    await database.publication.complete(never);
    await byHand(`alter publication ${PUB} set (publish = 'insert, update, delete, truncate')`);
    await byHand(`alter publication ${PUB} add table items`);
    expect(await database.publication.unpublish(items, always, never)).toBe(false);
    const after = await loggedDdl();
    expect(after.ours.slice(before.ours.length)).toEqual([]);
    // It would have been seen.
    expect(after.all - before.all).toBe(6);
  });

  test('A10 a role that does not own the publication or the table learns which', async () => {
    const role = `role_${version}_${Math.floor(Math.random() * 1e9)}`;
    await world.sql(`create role ${role} login`);
    const url = new URL(world.url);
    url.username = role;
    const database = open({ url: url.href });
    const refused = (message: string) =>
      expect(database.publish(items, never)).rejects.toMatchObject({ code: 'SOURCE_MISCONFIGURED', message });
    await refused(missing('items', 'Electric lacks privileges to add it'));
    const check = await database.publication.verify([], never);
    expect(check).toMatchObject({
      publication: 'foreign',
      restriction: `Publication "${world.publicationName}" is not owned by the provided user`,
    });
    expect(check.problem).toBeUndefined();
    await world.sql(`grant create on database "${new URL(world.url).pathname.slice(1)}" to ${role}`);
    await world.sql(`alter publication ${PUB} owner to ${role}`);
    await refused(missing('items', 'Electric lacks privileges to add it'));
    await world.sql(`alter publication ${PUB} owner to current_user`);
    await world.sql(`alter publication ${PUB} add table items`);
    await refused('Database table "public.items" does not have its replica identity set to FULL');
    await world.sql('alter table items replica identity full');
    await database.publish(items, never);
    await database.close();
    await world.sql(`drop owned by ${role}`);
    await world.sql(`drop role ${role}`);
  });

  test.runIf(version === 18)(
    'T30 a burst of requests is one pass behind the one at hand, and a table that fails fails alone',
    async () => {
      const names = Array.from({ length: 8 }, (_, i) => `burst_${i}`);
      for (const name of names) await world.sql(`create table ${name} (id int primary key)`);
      const tables = await Promise.all(names.map(tableOf));
      const locked = await world.connect();
      await locked.query('begin; lock table burst_3 in row exclusive mode');
      const database = open({ lockTimeoutMs: 300, alterDebounceMs: 50 });
      const requests = tables.flatMap((table) => Array.from({ length: 25 }, () => database.publish(table, never)));
      const outcomes = await Promise.allSettled(requests);
      const failed = new Set(outcomes.flatMap(({ status }, i) => (status === 'rejected' ? [Math.floor(i / 25)] : [])));
      expect([...failed]).toEqual([3]);
      const members = await world.sql('select count(*)::int as n from pg_publication_rel');
      // The membership of the one that failed is taken back with it.
      expect(members).toEqual([{ n: 7 }]);
      const statements = (await loggedDdl()).ours.filter(
        (line) => line.includes('"burst_') && line.includes('alter publication'),
      );
      // 200 requests, and each table was added once, or tried.
      expect(statements).toHaveLength(8);
      await locked.query('commit');
      await database.publish(tables[3] as TableToPublish, never);
    },
  );

  test.runIf(version === 18)('a lock that was not to be had is not asked for again while others have one', async () => {
    await world.sql('alter table items replica identity default');
    const busy = await world.connect();
    await busy.query(`begin; insert into items values ('1', 'a')`);
    const database = open({ lockTimeoutMs: 50 });
    const asked = async () => (await loggedDdl()).ours.filter((line) => line.includes('replica identity full')).length;
    const before = await asked();
    for (let i = 0; i < 4; i += 1) {
      await expect(database.publish(items, never)).rejects.toMatchObject({
        code: 'NOT_READY',
        message: 'Snapshot timed out while waiting for a table lock',
      });
    }
    expect((await asked()) - before).toBe(1);
    await busy.query('commit');
    // Not before the backoff is over, but as soon as nobody has a lock.
    await database.publish(items, never);
  });

  test('T31 what is published is read from the catalog: a table removed behind our back is added again, and is another one', async () => {
    const first = await world.database.publish(items, never);
    expect(await sightOf(items.oid)).toBe(first);
    expect(sharePublication(first, await world.database.publish(items, never))).toBe(true);
    await world.sql(`alter publication ${PUB} drop table items`);
    expect(await sightOf(items.oid)).toBe('');
    expect((await world.database.publication.verify([items.oid], never)).flaws).toEqual([{ ...items, harmful: false }]);
    const second = await world.database.publish(items, never);
    expect(second).not.toBe('');
    expect(sharePublication(first, second)).toBe(false);
    expect((await world.database.publication.verify([items.oid], never)).flaws).toEqual([]);
  });

  test.runIf(version === 18)('a snapshot tells by what its table is published as it shows it', async () => {
    const published = await world.database.publish(items, never);
    const request = { schema: 'public', table: 'items', oid: items.oid, columns: ['id'], where: '', rows: true };
    const seen: unknown[] = [];
    await world.database.snapshot(
      request,
      {
        onSnapshot: async (info) => {
          // Too late for this snapshot.
          await world.sql(`alter publication ${PUB} drop table items`);
          return seen.push(info.published) > 0 ? 'use' : 'retry';
        },
        onRows: async () => undefined,
      },
      never,
    );
    expect(seen).toEqual([published]);
  });

  test('T32 neither row filters nor column lists are used, and those that are there are taken away or named', async () => {
    await world.database.publish(items, never);
    const [row] = await world.sql(
      `select to_jsonb(r) ->> 'prqual' as filter, to_jsonb(r) ->> 'prattrs' as list from pg_publication_rel r`,
    );
    expect(row).toEqual({ filter: null, list: null });
    if (version < 15) return;
    for (const restriction of ['(id)', `where (id <> '')`]) {
      const before = await sightOf(items.oid);
      await world.sql(`alter publication ${PUB} set table items ${restriction}`);
      expect(await sightOf(items.oid)).toBe('');
      const message = `Database table "public.items" has a row filter or a column list in the publication "${world.publicationName}": remove it`;
      const manual = open({ manualPublishing: true });
      await expect(manual.publish(items, never)).rejects.toMatchObject({ code: 'SOURCE_MISCONFIGURED', message });
      expect(sharePublication(before, await world.database.publish(items, never))).toBe(false);
      expect(await world.sql(`select to_jsonb(r) ->> 'prattrs' as list from pg_publication_rel r`)).toEqual([
        { list: null },
      ]);
    }
  });

  // On 14 partitions make us alter it ourselves.
  test.runIf(version >= 15)(
    'a publication that was altered and altered back is another one: it may have left out operations meanwhile',
    async () => {
      const before = await world.database.publish(items, never);
      await world.sql('create table others (id int primary key)');
      await world.database.publish(await tableOf('others'), never);
      expect(await sightOf(items.oid)).toBe(before);
      await world.sql(`alter publication ${PUB} set (publish = 'update, delete')`);
      await world.sql(`alter publication ${PUB} set (publish = 'insert, update, delete, truncate')`);
      const after = await sightOf(items.oid);
      expect(after).not.toBe('');
      expect(sharePublication(before, after)).toBe(false);
    },
  );

  test('publications of everything count, and of a schema', async () => {
    const published = await world.database.publish(items, never);
    await world.sql(`drop publication ${PUB}`);
    const all = version >= 18 ? 'for all tables with (publish_generated_columns = stored)' : 'for all tables';
    await world.sql(`create publication ${PUB} ${all}`);
    const everything = await world.database.publish(items, never);
    expect(everything).toMatch(version < 15 ? /^all:\d+$/ : /^all:\d+@\d+$/);
    expect(sharePublication(published, everything)).toBe(false);
    if (version < 15) return;
    await world.sql(`drop publication ${PUB}`);
    await world.sql(`create publication ${PUB} for tables in schema public`);
    expect(await world.database.publish(items, never)).toMatch(/^schema:\d+@\d+$/);
    expect(await world.sql('select from pg_publication_rel')).toEqual([]);
  });

  test('a partition is published by its root: in manual mode that has to do, else it gets a membership of its own', async () => {
    await world.sql('create table root (id int primary key) partition by range (id)');
    await world.sql('create table leaf partition of root for values from (0) to (10)');
    await world.sql(`alter publication ${PUB} add table root; alter table leaf replica identity full`);
    const [root, leaf] = [await tableOf('root'), await tableOf('leaf')];
    const byRoot = await open({ manualPublishing: true }).publish(leaf, never);
    expect(byRoot).toBe(await sightOf(root.oid));
    const own = await world.database.publish(leaf, never);
    expect(own.split(' ')).toHaveLength(2);
    expect(sharePublication(byRoot, own)).toBe(true);
    // What is above a table in use, or below it, is not in it for nothing.
    const unneeded = async (used: number[]) =>
      (await world.database.publication.verify(used, never)).unneeded.map(({ name }) => name);
    expect(await unneeded([leaf.oid])).toEqual([]);
    expect(await unneeded([root.oid])).toEqual([]);
    expect(await unneeded([])).toEqual(['leaf', 'root']);
    await world.sql('alter table root detach partition leaf');
    expect(sharePublication(own, await sightOf(leaf.oid))).toBe(true);
  });

  test.runIf(version === 18)(
    'a table is taken out when it may go, whatever it is called by then, and again without effect',
    async () => {
      await world.database.publish(items, never);
      const { publication } = world.database;
      expect(await publication.unpublish(items, () => false, never)).toBe(false);
      expect(await sightOf(items.oid)).not.toBe('');
      await world.sql('alter table items rename to things; create table items (id int primary key)');
      const other = await tableOf('items');
      await world.database.publish(other, never);
      expect(await publication.unpublish(items, always, never)).toBe(true);
      expect(await sightOf(items.oid)).toBe('');
      expect(await sightOf(other.oid)).not.toBe('');
      expect(await publication.unpublish(items, always, never)).toBe(true);
      await world.sql('drop table things');
      expect(await publication.unpublish(items, always, never)).toBe(true);
    },
  );

  test.runIf(version === 18)(
    'the gap of a table that is FULL already is waited for, also for a prepared transaction and by a new leader once',
    async () => {
      await world.sql('alter table items replica identity full');
      const writer = await world.connect();
      await writer.query(`begin; insert into items values ('1', 'a')`);
      await writer.query(`prepare transaction 'gap_${items.oid}'`);
      const database = open();
      let published: string | undefined;
      const publishing = database.publish(items, never).then((ways) => (published = ways));
      await waitFor(async () => (await sightOf(items.oid)) !== '');
      await expect(open({ gapTimeoutMs: 100 }).publish(items, never)).rejects.toMatchObject({ code: 'NOT_READY' });
      expect(published).toBeUndefined();
      await writer.query(`commit prepared 'gap_${items.oid}'`);
      await publishing;
      await writer.query(`begin; insert into items values ('2', 'b')`);
      // A leader that hears from a shape that the gap was closed does not wait again.
      const next = open({ gapTimeoutMs: 100 });
      await expect(next.publish(items, never)).rejects.toMatchObject({ code: 'NOT_READY' });
      expect(await next.publish({ ...items, gapClosedFor: published as string }, never)).toBe(published);
      await writer.query('rollback');
    },
  );

  test.runIf(version === 18)(
    'T37 catalog and publication answer while every connection for snapshots is taken',
    async () => {
      const database = open({ poolSize: 4 });
      const held = Promise.withResolvers<void>();
      const request = { schema: 'public', table: 'items', oid: items.oid, columns: ['id'], where: '', rows: true };
      let began = 0;
      const sink = {
        onSnapshot: async () => {
          began += 1;
          await held.promise;
          return 'use' as const;
        },
        onRows: async () => undefined,
      };
      const snapshots = Array.from({ length: 12 }, () => database.snapshot(request, sink, never));
      await waitFor(() => began >= 3);
      await world.sql('create table others (id int primary key)');
      expect(await database.introspect('public', 'items', never)).toMatchObject({ oid: items.oid });
      expect(await database.publish(await tableOf('others'), never)).not.toBe('');
      expect((await database.progress(never)).walLsn).toBeGreaterThan(0n);
      expect(began).toBe(3);
      held.resolve();
      await Promise.all(snapshots);
    },
  );

  test.runIf(version >= 18)(
    'generated columns that Postgres would refuse updates for are found, and put right or named',
    async () => {
      await world.database.publish(items, never);
      const { publication } = world.database;
      const harmful = () => publication.hasHarmful([items.oid], never);
      const update = () => world.sql(`update items set value = 'b'`);
      await world.sql(`insert into items values ('1', 'a')`);
      expect(await harmful()).toBe(false);

      await world.sql(`alter table items add column twice text generated always as (value || value) stored`);
      await world.sql(`alter publication ${PUB} set (publish_generated_columns = none)`);
      await expect(update()).rejects.toThrow('cannot update table "items"');
      expect(await harmful()).toBe(true);
      expect(await publication.verify([items.oid], never)).toMatchObject({ incomplete: true });
      await publication.complete(never);
      await update();
      expect(await harmful()).toBe(false);

      await world.sql(`alter table items add column once text generated always as (value) virtual`);
      await expect(update()).rejects.toThrow('cannot update table "items"');
      expect(await harmful()).toBe(true);
      const { flaws } = await publication.verify([], never);
      expect(flaws).toEqual([
        { ...items, harmful: true, message: expect.stringContaining('has virtual generated columns') as string },
      ]);
      await publication.unpublish(items, always, never);
      await update();
      expect(await harmful()).toBe(false);
    },
  );
});
