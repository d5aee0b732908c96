import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startCluster, type Cluster } from '@shapecast/testkit';

describe('bad input', () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await startCluster({ routers: 1, apis: 1, replicators: 1 });
    const client = new Client({ connectionString: cluster.databaseUrl });
    await client.connect();
    await client.query('create table items (id int primary key, title text)');
    await client.query('create view items_view as select id from items');
    await client.end();
  });

  afterAll(() => cluster.stop());

  const cases: readonly (readonly [name: string, query: string, errors: Record<string, string[]>])[] = [
    ['a missing table', 'offset=-1', { table: ["can't be blank"] }],
    [
      'an unknown table',
      'table=nothing&offset=-1',
      {
        table: [
          'Table "public"."nothing" does not exist. If the table name contains capitals or special characters you must quote it.',
        ],
      },
    ],
    [
      'a view',
      'table=items_view&offset=-1',
      {
        table: [
          'Table "public"."items_view" does not exist. If the table name contains capitals or special characters you must quote it.',
        ],
      },
    ],
    [
      'an unknown column',
      'table=items&offset=-1&columns=id,nope',
      { columns: ['The following columns are not found on the table: nope'] },
    ],
    [
      'columns without the key',
      'table=items&offset=-1&columns=title',
      { columns: ['The list of columns must include all primary key columns, missing: id'] },
    ],
    ['a missing offset', 'table=items', { offset: ["can't be blank"] }],
    ['a malformed offset', 'table=items&offset=1_2_3', { offset: ['has invalid format'] }],
    ['a missing handle', 'table=items&offset=0_0', { handle: ["can't be blank when offset != -1"] }],
    ['live from the start', 'table=items&offset=-1&live=true', { live: ["can't be true when offset == -1"] }],
    [
      'a clause that does not parse',
      'table=items&offset=-1&where=1%20x%201',
      { where: ['At location 17: syntax error at or near "x"'] },
    ],
    [
      'an unknown column in the clause',
      'table=items&offset=-1&where=foo%20=%201',
      { where: ['At location 0: unknown reference foo'] },
    ],
    [
      'a clause that is not boolean',
      'table=items&offset=-1&where=1',
      { where: ['WHERE clause must return a boolean'] },
    ],
    [
      'parameters that are not numbered',
      'table=items&offset=-1&where=id%20=%20$1&params%5Ba%5D=1',
      { params: ['Parameters can only use numbers as keys'] },
    ],
    ['an unknown replica mode', 'table=items&offset=-1&replica=some', { replica: ['is invalid'] }],
  ];

  test.each(cases)('%s is a 400 that names the field', async (_name, query, errors) => {
    const response = await fetch(`${cluster.url}/v1/shape?${query}`);
    expect({ status: response.status, body: await response.json() }).toEqual({
      status: 400,
      body: { message: 'Invalid request', errors },
    });
    expect(response.headers.get('cache-control')).toBe('no-store');
  });

  test('an unknown handle is a 409 that names the current one', async () => {
    const response = await fetch(`${cluster.url}/v1/shape?table=items&offset=0_0&handle=12-34`);
    expect({ status: response.status, body: await response.json() }).toEqual({
      status: 409,
      body: [{ headers: { control: 'must-refetch' } }],
    });
    expect(response.headers.get('electric-handle')).toMatch(/^\d+-\d+$/);
  });

  test('malformed percent-encoding is a 400', async () => {
    const response = await fetch(`${cluster.url}/v1/shape?table=%zz&offset=-1`);
    expect(response.status).toBe(400);
    await response.body?.cancel();
  });
});
