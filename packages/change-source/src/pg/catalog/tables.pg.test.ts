import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { PoolClient } from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock, type Clock } from '@shapecast/service-kit';
import { buildDefinition, buildFingerprint, catalogMismatch, type RelationInfo } from '@shapecast/shape';
import { waitFor } from '@shapecast/testkit';
import { openPgWorld, type PgWorld } from '../../contract/pg-world.contract.ts';
import type { TableSight, TableSights } from '../../source-database.ts';
import { readTables } from './tables.ts';

const never = new AbortController().signal;
const TRIGGER = new URL('../../../../../deploy/postgres/ddl-trigger.sql', import.meta.url);

let world: PgWorld;

beforeEach(async () => {
  world = await openPgWorld();
  await world.sql('create publication "Pub ""quoted"""');
});

afterEach(() => world.close());

async function introspect(name: string): Promise<RelationInfo> {
  const relation = await world.database.introspect('public', name, never);
  if (!relation) throw new Error(`no table ${name}`);
  return relation;
}

async function look(oids: readonly number[], known: ReadonlyMap<number, string> = new Map()): Promise<TableSights> {
  const looks: TableSights[] = [];
  await world.database.readTables({ oids, known }, (sights) => looks.push(sights), never);
  return {
    moment: (looks[0] as TableSights).moment,
    tables: looks.flatMap(({ tables }) => tables),
    gone: looks.flatMap(({ gone }) => gone),
  };
}

async function sightOf(oid: number): Promise<TableSight> {
  return (await look([oid])).tables[0] as TableSight;
}

describe('a look at tables', () => {
  test('describes those that are new or changed, and names those that are gone', async () => {
    await world.sql('create table others (id int primary key, v text)');
    const [items, others] = [await introspect('items'), await introspect('others')];
    const first = await look([items.oid, 1, others.oid]);
    expect(first.gone).toEqual([1]);
    expect(first.tables.map(({ details }) => details?.relation)).toEqual([items, others]);
    const known = new Map(first.tables.map(({ oid, digest }) => [oid, digest]));
    expect((await look([items.oid, others.oid], known)).tables.map(({ details }) => details)).toEqual([
      undefined,
      undefined,
    ]);
    await world.sql('alter table others alter v set not null');
    const changed = (await look([items.oid, others.oid], known)).tables.filter(({ details }) => details);
    expect(changed.map(({ oid }) => oid)).toEqual([others.oid]);
    await world.sql('drop table others');
    expect(await look([items.oid, others.oid], known)).toMatchObject({
      tables: [{ oid: items.oid }],
      gone: [others.oid],
    });
  });

  test('reads any number of tables, in batches of one moment', async () => {
    const names = Array.from({ length: 520 }, (_, i) => `t${i}`);
    await world.sql(names.map((name) => `create table ${name} (id int primary key)`).join(';'));
    const rows = await world.sql(`select oid::int from pg_class where relname ~ '^t[0-9]+$'`);
    const oids = rows.map((row) => Number(row['oid']));
    const looks: TableSights[] = [];
    await world.database.readTables({ oids, known: new Map() }, (sights) => looks.push(sights), never);
    expect(looks.map(({ tables }) => tables.length)).toEqual([0, 500, 20]);
    expect(new Set(looks.map(({ moment }) => `${moment.xmax} ${moment.running}`)).size).toBe(1);
    expect(looks.flatMap(({ tables }) => tables.map(({ oid }) => oid)).sort()).toEqual([...oids].sort());
  });

  test('gives up after five seconds', async () => {
    const { oid } = await introspect('items');
    // Who connects while the catalog is locked is not let in.
    const reader = (await world.connect()) as PoolClient;
    const holder = await world.connect();
    await holder.query('begin');
    await holder.query('lock table pg_enum, pg_attribute');
    const limits: number[] = [];
    const hurried: Clock = {
      ...systemClock,
      after: (ms, callback) => {
        limits.push(ms);
        return systemClock.after(ms / 100, callback);
      },
    };
    const request = { oids: [oid], known: new Map<number, string>() };
    const looking = readTables(reader, hurried, world.publicationName, request, () => undefined, never);
    await expect(looking).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' });
    expect(limits).toEqual([5_000]);
    await holder.query('rollback');
    expect((await look([oid])).tables).toHaveLength(1);
  });

  test('tells when rows were written to a new place, and which columns were touched', async () => {
    const { oid } = await introspect('items');
    const before = await sightOf(oid);
    await world.sql('vacuum full items');
    const moved = await sightOf(oid);
    expect(moved.filenode).not.toBe(before.filenode);
    expect(moved.digest).toBe(before.digest);
    await world.sql(`alter table items alter value type text using value || '!'`);
    const recomputed = await sightOf(oid);
    expect(recomputed.filenode).not.toBe(moved.filenode);
    const xids = (sight: TableSight) => [...(sight.details?.columnXids.values() ?? [])];
    expect(xids(recomputed)[0]).toBe(xids(before)[0]);
    expect(xids(recomputed)[1]).toBeGreaterThan(xids(before)[1] as bigint);
  });

  test('tells what is below a table, since when, and whether it is published', async () => {
    await world.sql('create table root (id int primary key) partition by range (id)');
    await world.sql('create table low partition of root for values from (0) to (10)');
    await world.sql('create table parent (id int)');
    const publish = async (name: string) => world.database.publish(await introspect(name), never);
    const oids: number[] = [];
    for (const name of ['root', 'parent', 'items']) {
      oids.push((await introspect(name)).oid);
      await publish(name);
    }
    const read = async () => {
      const { tables, moment } = await look(oids);
      return tables.map(({ details, members, incomplete }) => {
        const since = [...members.values()].map(({ joinedXid }) =>
          joinedXid === undefined ? 'born' : joinedXid < moment.xmax ? 'joined' : 'never',
        );
        return [details?.relation.name, since.sort().join(), incomplete];
      });
    };
    const sorted = (rows: unknown[][]) => rows.sort(([a], [b]) => (String(a) < String(b) ? -1 : 1));
    expect(sorted(await read())).toEqual([
      ['items', '', false],
      ['parent', '', false],
      ['root', 'born', false],
    ]);
    await world.sql('create table high (id int primary key)');
    await world.sql('alter table root attach partition high for values from (10) to (20)');
    await world.sql('create table child () inherits (parent)');
    expect(sorted(await read())).toEqual([
      ['items', '', false],
      ['parent', 'never', true],
      ['root', 'born,joined', true],
    ]);
    for (const name of ['root', 'parent']) await publish(name);
    expect(sorted(await read())).toEqual([
      ['items', '', false],
      ['parent', 'joined', false],
      ['root', 'born,joined', false],
    ]);
  });
});

describe('types that are made of others', () => {
  /** Whether a shape of these columns, taken before `ddl`, must rotate after it; by the catalog. */
  async function after(columns: readonly string[], ddl: string): Promise<string | undefined> {
    const relation = await introspect('moods');
    const definition = buildDefinition({ relation, columns, replica: 'default', log: 'full' });
    const fingerprint = buildFingerprint(definition, relation);
    expect(catalogMismatch(fingerprint, relation, definition)).toBeUndefined();
    const { oid } = relation;
    const before = await sightOf(oid);
    await world.sql(ddl);
    const now = await sightOf(oid);
    expect(now.digest).not.toBe(before.digest);
    return catalogMismatch(fingerprint, now.details?.relation as RelationInfo, definition);
  }

  beforeEach(async () => {
    await world.sql(`create type mood as enum ('sad', 'ok');
      create type pair as (a int, m mood);
      create domain feeling as mood check (value <> 'sad');
      create type many as (list pair[]);
      create table moods (id int primary key, m mood, d feeling, l mood[], p pair, n many, plain text)`);
  });

  test.each(['m', 'd', 'l', 'p', 'n'])('a renamed label shows in %s', async (column) => {
    expect(await after(['id', column], `alter type mood rename value 'ok' to 'fine'`)).toMatch(/^type \d+ changed$/);
  });

  test('a renamed label does not concern other columns', async () => {
    expect(await after(['id', 'plain'], `alter type mood rename value 'ok' to 'fine'`)).toBeUndefined();
  });

  test.each([`add value 'great'`, `add value 'awful' before 'sad'`])(
    'a new label is of no consequence: %s',
    async (ddl) => {
      expect(await after(['id', 'm', 'l', 'n'], `alter type mood ${ddl}`)).toBeUndefined();
    },
  );

  test('an attribute that comes or goes shows in composites, a new name does not', async () => {
    expect(await after(['id', 'n'], 'alter type pair add attribute b text')).toMatch(/^type \d+ changed$/);
    expect(await after(['id', 'n'], 'alter type pair drop attribute b')).toMatch(/^type \d+ changed$/);
    const relation = await introspect('moods');
    const definition = buildDefinition({ relation, columns: ['id', 'n'], replica: 'default', log: 'full' });
    const fingerprint = buildFingerprint(definition, relation);
    await world.sql('alter type pair rename attribute a to z');
    expect(catalogMismatch(fingerprint, await introspect('moods'), definition)).toBeUndefined();
  });
});

describe('listening for DDL', () => {
  /** Counts what is heard until the world closes. */
  function listen() {
    const heard = { count: 0, stop: new AbortController(), listening: Promise.resolve() };
    heard.listening = world.database.listenForDdl(() => (heard.count += 1), heard.stop.signal);
    // Tests that do not look at it end it with their database.
    heard.listening.catch(() => {});
    return heard;
  }

  test('ends at once where there is no trigger', async () => {
    const heard = listen();
    await heard.listening;
    expect(heard.count).toBe(0);
  });

  test('hears of a transaction with DDL once, and of nothing else', async () => {
    await world.sql(await readFile(TRIGGER, 'utf8'));
    // Installing it again changes nothing.
    await world.sql(await readFile(TRIGGER, 'utf8'));
    const heard = listen();
    await waitFor(() => heard.count === 1);
    await world.sql('begin; alter table items add a int; alter table items add b int; drop table items; rollback');
    await world.sql(
      `insert into items values ('1', 'x'); create index on items (value); comment on table items is 'x'`,
    );
    await world.sql('begin; alter table items add a int; alter table items add b int; commit');
    await waitFor(() => heard.count >= 2, { describe: () => heard.count });
    for (const ddl of [
      `create type mood as enum ('ok')`,
      `alter type mood rename value 'ok' to 'fine'`,
      'drop table items',
    ]) {
      const before = heard.count;
      await world.sql(ddl);
      // CREATE TYPE of something that no table has yet is not told of.
      if (!ddl.startsWith('create'))
        await waitFor(() => heard.count === before + 1, { describe: () => [ddl, heard.count] });
    }
    expect(heard.count).toBe(4);
    heard.stop.abort(new Error('enough'));
    await expect(heard.listening).rejects.toThrow('enough');
  });

  test('does not make DDL fail, not even where a role may not look at the queue', async () => {
    await world.sql(await readFile(TRIGGER, 'utf8'));
    const heard = listen();
    await waitFor(() => heard.count === 1);
    const role = `role_${randomBytes(6).toString('hex')}`;
    await world.sql(`create role ${role}; grant create on schema public to ${role}; set role ${role}`);
    await world.sql('create table theirs (id int)');
    await waitFor(() => heard.count === 2, { describe: () => heard.count });
    await world.sql('reset role; revoke execute on function pg_notification_queue_usage() from public');
    await world.sql(`set role ${role}; alter table theirs add c int`);
    await world.sql('reset role; alter table items add c int');
    await waitFor(() => heard.count === 3, { describe: () => heard.count });
    expect((await introspect('theirs')).columns.map(({ name }) => name)).toEqual(['id', 'c']);
    await world.sql(`drop owned by ${role}; drop role ${role}`);
  });

  test('notices that its connection ended', async () => {
    await world.sql(await readFile(TRIGGER, 'utf8'));
    const heard = listen();
    await waitFor(() => heard.count === 1);
    await world.sql(`select pg_terminate_backend(pid) from pg_stat_activity where query = 'listen shapecast_ddl'`);
    await expect(heard.listening).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' });
  });
});
