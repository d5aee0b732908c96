import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startCluster, waitFor, type Cluster } from '@shapecast/testkit';
import { canonicalRows, selectText } from '../support/rows.ts';
import { StrictReader } from '../support/strict-reader.ts';

const never = new AbortController().signal;
const COLUMNS = ['id', 'n', 'doubled'];

/** Postgres 18, whatever the rest runs on: earlier ones publish none, and refuse them with the texts of C085. */
describe('generated columns', () => {
  let cluster: Cluster;
  let db: Client;

  beforeAll(async () => {
    cluster = await startCluster({
      routers: 1,
      apis: 1,
      replicators: 1,
      postgres: { version: 18 },
      env: { ELECTRIC_LONG_POLL_TIMEOUT: '2000' },
    });
    db = new Client({ connectionString: cluster.databaseUrl });
    await db.connect();
    const stored = 'n int, doubled int generated always as (n * 2) stored';
    await db.query(`create table gen (id int primary key, ${stored});
      create table mixed (id int primary key, ${stored}, virt int generated always as (n + 1) virtual);
      create table keyed (${stored}, id int generated always as (n + 1) stored primary key);
      create table split (id int, ${stored}, primary key (id)) partition by range (id);
      create table split_a (n int, id int not null, doubled int generated always as (n * 2) stored);
      alter table split attach partition split_a for values from (0) to (100)`);
  });

  afterAll(async () => {
    await db.end();
    await cluster.stop();
  });

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
        return canonicalRows(shape.rows.values()).join() === expected.join();
      },
      { timeoutMs: 20_000, describe: () => ({ rows: canonicalRows(shape.rows.values()), expected }) },
    );
    expect(shape.violations).toEqual([]);
  }

  async function answer(query: Readonly<Record<string, string>>) {
    const search = new URLSearchParams({ offset: '-1', ...query }).toString();
    const response = await fetch(`${cluster.url}/v1/shape?${search}`);
    const body: unknown = await response.json();
    return { status: response.status, body };
  }

  test.each([
    ['gen', {}, COLUMNS, ''],
    ['gen', { where: 'doubled >= 10', replica: 'full' }, COLUMNS, 'doubled >= 10'],
    ['gen', { columns: 'id,doubled' }, ['id', 'doubled'], ''],
    ['keyed', {}, ['n', 'doubled', 'id'], ''],
    ['split', {}, COLUMNS, ''],
  ] as const)(
    'a shape of %s with %o has the stored ones from snapshot and log',
    async (table, params, columns, where) => {
      const insert =
        table === 'keyed' ? `insert into keyed (n) values ($1)` : `insert into ${table} (id, n) values ($1, $1)`;
      await db.query(`delete from ${table}`);
      for (const n of [1, 5, 20]) await db.query(insert, [n]);
      const shape = new StrictReader(cluster.url, { table, ...params });
      await expectEqual(shape, table, columns, where);
      await db.query(`update ${table} set n = n + 3 where n < 10`);
      await db.query(insert, [30]);
      await db.query(`delete from ${table} where n = 20`);
      await expectEqual(shape, table, columns, where);
      expect(shape.rotations).toBe(0);
    },
  );

  test('virtual ones are refused, selected or referred to', async () => {
    const text = 'The following columns are generated and cannot be included in the shape: virt';
    const hint =
      ". You can exclude them from the shape by explicitly listing which columns to fetch in the 'columns' query param";
    const refused = (errors: object) => ({ status: 400, body: { message: 'Invalid request', errors } });
    expect(await answer({ table: 'mixed' })).toEqual(refused({ columns: [text + hint] }));
    expect(await answer({ table: 'mixed', columns: 'id,virt' })).toEqual(refused({ columns: [text] }));
    expect(await answer({ table: 'mixed', columns: 'id,n', where: 'virt > 3' })).toEqual(
      refused({ where: [expect.stringContaining('unknown reference virt')] }),
    );
  });

  test('a table with a virtual one is not published at all: the application could not update it any more', async () => {
    const { status, body } = await answer({ table: 'mixed', columns: 'id,n' });
    expect(status).toBe(503);
    expect(JSON.stringify(body)).toContain('Database table \\"public.mixed\\" has virtual generated columns');
    await db.query('insert into mixed values (1, 1)');
    await db.query('update mixed set n = 2');
    await db.query('delete from mixed');
  });

  test('when the publication stops carrying them, shapes that use them start over and it carries them again', async () => {
    const shape = new StrictReader(cluster.url, { table: 'gen', where: 'id > 0' });
    const without = new StrictReader(cluster.url, { table: 'gen', columns: 'id,n' });
    await shape.catchUp(never);
    await without.catchUp(never);
    await db.query('alter publication electric_publication_default set (publish_generated_columns = none)');
    // Postgres refuses updates now, because old rows would lack a column; inserts come without it.
    await db.query('insert into gen (id, n) values (1000, 7)');
    await waitFor(async () => {
      await shape.catchUp(never);
      return shape.rotations > 0;
    });
    await waitFor(async () => {
      const { rows } = await db.query<{ pubgencols: string }>('select pubgencols from pg_publication');
      return rows[0]?.pubgencols === 's';
    });
    await db.query('update gen set n = n + 1');
    await expectEqual(shape, 'gen', COLUMNS, 'id > 0');
    await expectEqual(without, 'gen', ['id', 'n']);
    // It starts over too: whoever alters the publication may have had it publish less for a moment (ADR 18).
    expect([...shape.violations, ...without.violations]).toEqual([]);
  });
});
