import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startCluster, waitFor, type Cluster } from '@shapecast/testkit';
import { Chance } from '../support/chance.ts';
import { canonicalRows, selectText } from '../support/rows.ts';
import { StrictReader } from '../support/strict-reader.ts';

interface Message {
  readonly key?: string;
  readonly value?: Readonly<Record<string, string | null>>;
  readonly headers: Readonly<Record<string, unknown>>;
}

const never = new AbortController().signal;

describe('partitioned tables', () => {
  let cluster: Cluster;
  let db: Client;

  beforeAll(async () => {
    cluster = await startCluster({
      routers: 2,
      apis: 1,
      replicators: 1,
      env: { ELECTRIC_LONG_POLL_TIMEOUT: '2000', ELECTRIC_TWEAKS_SCHEMA_RECONCILER_PERIOD: '500' },
    });
    db = await connect();
  });

  afterAll(async () => {
    await db.end();
    await cluster.stop();
  });

  async function connect(): Promise<Client> {
    const client = new Client({ connectionString: cluster.databaseUrl, options: '-c TimeZone=UTC' });
    await client.connect();
    return client;
  }

  async function reader(params: Readonly<Record<string, string>>): Promise<StrictReader> {
    const opened = new StrictReader(cluster.url, params);
    await opened.catchUp(never);
    return opened;
  }

  async function expectEqual(
    shape: StrictReader,
    table: string,
    columns: readonly string[],
    where = '',
  ): Promise<void> {
    const expected = await selectText(db, table, columns, where);
    await waitFor(
      async () => {
        await shape.catchUp(never);
        return canonicalRows(shape.rows.values()).join('\n') === expected.join('\n');
      },
      {
        timeoutMs: 20_000,
        describe: () => ({
          table,
          rows: canonicalRows(shape.rows.values()).slice(0, 20),
          expected: expected.slice(0, 20),
        }),
      },
    );
    expect(shape.violations).toEqual([]);
  }

  /** The log of a shape after its snapshot. */
  async function log(params: Readonly<Record<string, string>>, count: number): Promise<readonly Message[]> {
    const changes: Message[] = [];
    let offset = '-1';
    let handle: string | undefined;
    await waitFor(
      async () => {
        const url = new URL('/v1/shape', cluster.url);
        for (const [name, value] of Object.entries({ ...params, offset, ...(handle ? { handle } : {}) })) {
          url.searchParams.set(name, value);
        }
        const answer = await fetch(url);
        expect(answer.status).toBe(200);
        offset = answer.headers.get('electric-offset') as string;
        handle = answer.headers.get('electric-handle') as string;
        const messages = (await answer.json()) as Message[];
        changes.push(...messages.filter(({ headers }) => headers['lsn'] !== undefined && headers['operation']));
        return changes.length >= count;
      },
      { describe: () => changes },
    );
    return changes;
  }

  test('C176 a row that moves between partitions is deleted and inserted under the name of the root', async () => {
    await db.query(`create table part (id int, region text, primary key (id, region)) partition by list (region);
      create table part_eu partition of part for values in ('eu');
      create table part_us partition of part for values in ('us');
      insert into part values (1, 'eu')`);
    const root = await reader({ table: 'part' });
    await db.query(`update part set region = 'us' where id = 1`);
    const changes = await log({ table: 'part' }, 2);
    expect(changes.map(({ key, headers }) => [headers['operation'], headers['relation'], key])).toEqual([
      ['delete', ['public', 'part'], '"public"."part"/"1"/"eu"'],
      ['insert', ['public', 'part'], '"public"."part"/"1"/"us"'],
    ]);
    expect(changes[0]?.headers['lsn']).toBe(changes[1]?.headers['lsn']);
    expect(changes.map(({ headers }) => headers['last'])).toEqual([undefined, true]);
    await expectEqual(root, 'part', ['id', 'region']);
    expect(root.rotations).toBe(0);
  });

  test('C177 a shape of a partition has its rows only, under its own name', async () => {
    const leaf = await reader({ table: 'part_eu' });
    await db.query(`insert into part values (7, 'eu'), (8, 'us')`);
    await db.query(`update part set region = 'us' where id = 7`);
    const changes = await log({ table: 'part_eu' }, 2);
    expect(changes.map(({ key, headers }) => [headers['operation'], headers['relation'], key])).toEqual([
      ['insert', ['public', 'part_eu'], '"public"."part_eu"/"7"/"eu"'],
      ['delete', ['public', 'part_eu'], '"public"."part_eu"/"7"/"eu"'],
    ]);
    await expectEqual(leaf, 'part_eu', ['id', 'region']);
    expect(leaf.rotations).toBe(0);
  });

  /** A root with a partition in another column order and with a dropped column, and one that is partitioned again. */
  async function createTree(root: string): Promise<void> {
    await db.query(`create table ${root} (id int, grp int, note text, n numeric(8, 2), primary key (grp, id))
        partition by range (grp);
      create table ${root}_a partition of ${root} for values from (0) to (10);
      create table ${root}_b (gone text, note text, n numeric(8, 2), id int not null, grp int not null);
      alter table ${root}_b drop column gone;
      alter table ${root} attach partition ${root}_b for values from (10) to (20);
      create table ${root}_c partition of ${root} for values from (20) to (40) partition by range (grp);
      create table ${root}_c1 partition of ${root}_c for values from (20) to (30);
      create table ${root}_c2 partition of ${root}_c for values from (30) to (40);
      insert into ${root} select i, i % 40, 'start', i from generate_series(1, 80) i`);
  }
  const COLUMNS = ['id', 'grp', 'note', 'n'];

  /** Random transactions on the rows whose id has this parity; ids stay unique among all partitions. */
  async function writeTree(parity: number, transactions: number): Promise<void> {
    const chance = new Chance(7 + parity);
    const writer = await connect();
    for (let i = 0; i < transactions; i += 1) {
      await writer.query('begin');
      for (let j = 1 + chance.int(3); j > 0; j -= 1) {
        const id = 2 * chance.int(50) + parity;
        const grp = chance.int(40);
        switch (chance.int(4)) {
          case 0:
            await writer.query(
              'insert into tree select $1::int, $2::int, $3, $4 where not exists (select from tree where id = $1)',
              [id, grp, `w${i}`, i],
            );
            break;
          case 1:
            await writer.query('update tree set note = $1, n = n + 1 where id = $2', [`u${i}`, id]);
            break;
          case 2:
            await writer.query('update tree set grp = $1 where id = $2', [grp, id]);
            break;
          default:
            await writer.query('delete from tree where id = $1', [id]);
        }
      }
      await writer.query(chance.chance(0.1) ? 'rollback' : 'commit');
    }
    await writer.end();
  }

  test('shapes on every level stay equal to Postgres under random writes to all partitions', async () => {
    await createTree('tree');
    const clauses: readonly (readonly [string, string])[] = [
      ['tree', ''],
      ['tree', `note LIKE '%1%' AND grp > 5`],
      ['tree', 'n > 30'],
      ['tree_c', ''],
      ['tree_b', ''],
      ['tree_c1', 'id < 40'],
    ];
    const readers: StrictReader[] = [];
    const reading = new AbortController();
    const following: Promise<void>[] = [];
    const start = ([table, where]: readonly [string, string]) => {
      const started = new StrictReader(cluster.url, { table, ...(where ? { where } : {}) });
      readers.push(started);
      following.push(started.follow(reading.signal));
    };
    for (const clause of clauses.slice(0, 3)) start(clause);
    const written = [0, 1].map((parity) => writeTree(parity, 150));
    // The other half begin among the writes.
    for (const clause of clauses.slice(3)) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      start(clause);
    }
    await Promise.all(written);
    reading.abort();
    await Promise.all(following);
    expect(readers.length).toBe(clauses.length);
    for (const [i, [table, where]] of clauses.entries()) {
      await expectEqual(readers[i] as StrictReader, table, COLUMNS, where);
      expect((readers[i] as StrictReader).rotations).toBe(0);
    }
  });

  test('a partition that is created under a live shape brings its changes, and gets full replica identity', async () => {
    await createTree('grow');
    const root = await reader({ table: 'grow' });
    const handle = root.handle;
    await db.query('create table grow_d partition of grow for values from (40) to (50)');
    await db.query(`insert into grow values (1, 40, 'first', 1)`);
    await expectEqual(root, 'grow', COLUMNS);
    expect(root.handle).toBe(handle);
    await waitFor(async () => (await identityOf('grow_d')) === 'f');
    await db.query(`update grow set note = 'changed' where grp = 40`);
    await db.query(`insert into grow values (2, 41, 'second', 2)`);
    await db.query('delete from grow where grp = 40');
    await expectEqual(root, 'grow', COLUMNS);
    expect(root.handle).toBe(handle);
  });

  test('rows of a partition that is created and filled in one transaction arrive', async () => {
    await createTree('quick');
    const root = await reader({ table: 'quick', where: `note <> 'no'` });
    const handle = root.handle;
    await db.query(`begin; create table quick_d partition of quick for values from (40) to (50);
      insert into quick values (1, 40, 'yes', 1), (2, 40, 'no', 1); commit`);
    await expectEqual(root, 'quick', COLUMNS, `note <> 'no'`);
    expect(root.handle).toBe(handle);
  });

  test('updates and deletes in a new partition before it has full replica identity end the shape, and it comes right', async () => {
    await createTree('early');
    const root = await reader({ table: 'early' });
    await db.query(`begin; create table early_d partition of early for values from (40) to (50);
      insert into early values (1, 40, 'a', 1), (2, 40, 'b', 2);
      update early set note = 'c' where grp = 40 and id = 1; delete from early where grp = 40 and id = 2; commit`);
    await waitFor(async () => {
      await root.catchUp(never);
      return root.rotations > 0;
    });
    await expectEqual(root, 'early', COLUMNS);
    await waitFor(async () => (await identityOf('early_d')) === 'f');
    const { handle } = root;
    await db.query(`update early set note = 'd' where grp = 40`);
    await db.query('delete from early where grp = 40');
    await expectEqual(root, 'early', COLUMNS);
    expect(root.handle).toBe(handle);
  });

  async function identityOf(table: string): Promise<unknown> {
    const { rows } = await db.query<{ relreplident: string }>(
      'select relreplident from pg_class where oid = $1::regclass',
      [table],
    );
    return rows[0]?.relreplident;
  }

  test('truncating a partition ends its shapes and those above it, truncating the root all', async () => {
    await createTree('cut');
    const [root, middle, leaf, other] = await Promise.all(
      ['cut', 'cut_c', 'cut_c1', 'cut_a'].map((table) => reader({ table })),
    );
    const all = [root, middle, leaf, other] as StrictReader[];
    await db.query('truncate cut_c1');
    await waitFor(async () => {
      for (const each of all) await each.catchUp(never);
      return all.slice(0, 3).every(({ rotations }) => rotations === 1);
    });
    expect(other?.rotations).toBe(0);
    await db.query('truncate cut');
    await waitFor(async () => {
      for (const each of all) await each.catchUp(never);
      return all.every(({ rows }) => rows.size === 0);
    });
    expect(all.map(({ rotations }) => rotations)).toEqual([2, 2, 2, 1]);
    for (const each of all) expect(each.violations).toEqual([]);
  });

  test.each([
    {
      what: 'attaching a table with rows',
      prepare: `create table $_d (like $ including all); insert into $_d values (5, 45, 'old', 5)`,
      act: 'alter table $ attach partition $_d for values from (40) to (50)',
    },
    {
      what: 'attaching a table that is created, filled and attached in one transaction, and writing to it',
      prepare: 'select 1',
      act: `begin; create table $_d (like $ including all); insert into $_d values (5, 45, 'old', 5);
        alter table $ attach partition $_d for values from (40) to (50); insert into $ values (6, 46, 'new', 6); commit`,
    },
    { what: 'detaching a partition', prepare: 'select 1', act: 'alter table $ detach partition $_a' },
    { what: 'dropping a partition', prepare: 'select 1', act: 'drop table $_a' },
    { what: 'dropping a partition further down', prepare: 'select 1', act: 'drop table $_c1' },
    {
      what: 'detaching a partition and attaching it again with other rows',
      prepare: 'select 1',
      act: `begin; alter table $ detach partition $_a; delete from $_a where id = 1; alter table $ attach partition $_a
        for values from (0) to (10); commit`,
    },
  ])('$what ends the shapes of the root, once', async ({ what, prepare, act }) => {
    const name = `t${what.length}_${what.replaceAll(/\W+/g, '_').slice(0, 40)}`;
    await createTree(name);
    await db.query(prepare.replaceAll('$', name));
    const root = await reader({ table: name });
    const leaf = await reader({ table: `${name}_b` });
    await db.query(act.replaceAll('$', name));
    await waitFor(async () => {
      await root.catchUp(never);
      return root.rotations > 0;
    });
    await expectEqual(root, name, COLUMNS);
    await db.query(`insert into ${name} values (900, 11, 'after', 1), (901, 31, 'after', 1)`);
    await expectEqual(root, name, COLUMNS);
    await expectEqual(leaf, `${name}_b`, COLUMNS);
    // Once for what happened, and once more at most where the new shape was just being made.
    expect(root.rotations).toBeLessThanOrEqual(2);
    expect(leaf.rotations).toBe(0);
  });

  test('children in classic inheritance are part of their parent, with the columns it has', async () => {
    await db.query(`create table parent (id int primary key, v text);
      create table child (extra int, primary key (id)) inherits (parent);
      insert into parent values (1, 'p'); insert into child values (2, 'c', 7)`);
    const parent = await reader({ table: 'parent' });
    const child = await reader({ table: 'child' });
    await db.query(`insert into child values (3, 'c', 8); update child set extra = 9; update parent set v = 'x'`);
    await db.query(`delete from parent where id = 2`);
    await expectEqual(parent, 'parent', ['id', 'v']);
    await expectEqual(child, 'child', ['id', 'v', 'extra']);
    expect([parent.rotations, child.rotations]).toEqual([0, 0]);
    await db.query(`create table late (primary key (id)) inherits (parent); insert into late values (10, 'l')`);
    await waitFor(async () => {
      await parent.catchUp(never);
      return parent.rotations > 0;
    });
    await db.query(`update late set v = 'm'; insert into late values (11, 'l')`);
    await expectEqual(parent, 'parent', ['id', 'v']);
  });
});
