import { Shape, ShapeStream, type Row } from '@electric-sql/client';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startCluster, waitFor, type Cluster } from '@shapecast/testkit';
import { canonicalRows, selectText } from '../support/rows.ts';

const COLUMNS = ['id', 'owner', 'title', 'done'];

describe('the official client, unmodified', () => {
  let cluster: Cluster;
  let client: Client;
  const abort = new AbortController();

  beforeAll(async () => {
    cluster = await startCluster({ routers: 2, apis: 2, replicators: 2 });
    client = new Client({ connectionString: cluster.databaseUrl });
    await client.connect();
    await client.query(
      'create table todos (id int primary key, owner text not null, title text, done bool not null default false)',
    );
    await client.query(`insert into todos select i, 'owner' || i % 3, 'todo ' || i from generate_series(1, 50) i`);
  });

  afterAll(async () => {
    abort.abort();
    await client.end();
    await cluster.stop();
  });

  function open(url: string, where?: string): Shape<Row> {
    const params = { table: 'todos', ...(where === undefined ? {} : { where }) };
    return new Shape(new ShapeStream({ url: `${url}/v1/shape`, params, signal: abort.signal }));
  }

  async function equalsPostgres(shape: Shape<Row>, where: string): Promise<void> {
    let expected: string[] = [];
    await waitFor(
      async () => {
        expected = await selectText(client, 'todos', COLUMNS, where);
        return canonicalRows(shape.currentRows).join('\n') === expected.join('\n');
      },
      { timeoutMs: 30_000, describe: () => `client has ${shape.currentRows.length} rows, Postgres ${expected.length}` },
    );
    expect(canonicalRows(shape.currentRows)).toEqual(expected);
  }

  test('gets the initial rows, then inserts, updates and deletes', async () => {
    const shape = open(cluster.url);
    expect((await shape.rows).length).toBe(50);
    await client.query(`insert into todos values (100, 'owner1', 'new')`);
    await client.query(`update todos set title = 'changed', done = true where id = 1`);
    await client.query(`delete from todos where id = 2`);
    await equalsPostgres(shape, '');
  });

  test('sees rows move in and out of its where clause', async () => {
    const shape = open(cluster.url, `owner = 'owner1'`);
    const before = (await shape.rows).length;
    await client.query(`update todos set owner = 'owner1' where id = 3`);
    await equalsPostgres(shape, `owner = 'owner1'`);
    expect(shape.currentRows.length).toBe(before + 1);
    await client.query(`update todos set owner = 'owner2' where owner = 'owner1' and id < 20`);
    await equalsPostgres(shape, `owner = 'owner1'`);
    expect(shape.currentRows.length).toBeLessThan(before);
  });

  test('two clients on two api pods end equal to Postgres and share one handle', async () => {
    const apis = cluster.processes.filter((process) => process.role === 'api');
    expect(apis.length).toBe(2);
    const shapes = apis.map((api) => open(api.url, `done`));
    await Promise.all(shapes.map((shape) => shape.rows));
    for (let i = 0; i < 20; i += 1) {
      await client.query('update todos set done = not done where id % 5 = $1', [i % 5]);
    }
    for (const shape of shapes) await equalsPostgres(shape, 'done');
    const handles = shapes.map((shape) => shape.stream.shapeHandle);
    expect(new Set(handles).size).toBe(1);
  });

  test('a key change arrives as a delete and an insert', async () => {
    const shape = open(cluster.url);
    await shape.rows;
    await client.query('update todos set id = id + 1000 where id between 30 and 35');
    await equalsPostgres(shape, '');
  });

  test('a truncate makes the client start over', async () => {
    await client.query('create table scratch (id int primary key, owner text, title text, done bool)');
    await client.query(`insert into scratch select i, 'o', 't', false from generate_series(1, 5) i`);
    const stream = new ShapeStream({
      url: `${cluster.url}/v1/shape`,
      params: { table: 'scratch' },
      signal: abort.signal,
    });
    const shape = new Shape(stream);
    expect((await shape.rows).length).toBe(5);
    const handle = stream.shapeHandle;
    await client.query('truncate scratch');
    await client.query(`insert into scratch values (9, 'o', 'after', true)`);
    await waitFor(() => shape.currentRows.length === 1 && shape.currentRows[0]?.['id'] === 9, {
      timeoutMs: 30_000,
      describe: () => JSON.stringify(shape.currentRows),
    });
    expect(stream.shapeHandle).not.toBe(handle);
  });
});
