import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startCluster, waitFor, type Cluster } from '@shapecast/testkit';

const POOL_SIZE = 4;
const SHAPES = 24;

let cluster: Cluster;
let admin: pg.Client;

beforeAll(async () => {
  cluster = await startCluster({
    routers: 3,
    apis: 1,
    replicators: 2,
    // An autovacuum has the table described anew to the replicator, which then has to look it up.
    postgres: { settings: { max_connections: '16', autovacuum: 'off' } },
    env: { ELECTRIC_DB_POOL_SIZE: String(POOL_SIZE) },
  });
  admin = await connect();
  await admin.query('create table items (id int primary key, note text); create table later (id int primary key)');
  await admin.query(`insert into items select n, repeat('x', 200) from generate_series(1, 5000) n`);
});
afterAll(async () => {
  await admin?.end();
  await cluster?.stop();
});

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: cluster.databaseUrl, application_name: 'test' });
  client.on('error', () => {});
  await client.connect();
  return client;
}

const read = (query: string) => fetch(`${cluster.url}/v1/shape?${query}`, { signal: AbortSignal.timeout(30_000) });

/** Ordinary connections of all processes; the walsenders, one of the leader and one of its standby, come on top. */
async function backends(): Promise<number> {
  const { rows } = await admin.query<{ n: number }>(
    `select count(*)::int as n from pg_stat_activity where application_name like 'shapecast%' and backend_type = 'client backend'`,
  );
  return rows[0]?.n ?? 0;
}

test('all processes together stay within the connections of the source, however many shapes are made at once', async () => {
  let most = 0;
  let done = false;
  const shapes = Array.from({ length: SHAPES }, async (_, n) => {
    const response = await read(`table=items&where=id>${n}&offset=-1`);
    const text = await response.text();
    return response.status === 200 ? 200 : text;
  });
  const all = Promise.all(shapes).finally(() => (done = true));
  while (!done) most = Math.max(most, await backends());
  expect(await all).toEqual(shapes.map(() => 200));
  expect(most).toBeGreaterThan(1);
  expect(most).toBeLessThanOrEqual(POOL_SIZE);
});

test('A5 connection slots that are all taken at run time: shapes that exist are read and followed, new ones come once some are free', async () => {
  const first = await read('table=items&where=id>4990&offset=-1');
  const handle = first.headers.get('electric-handle');
  await first.arrayBuffer();
  /** Whether the row comes to a reader that follows the shape from its beginning. */
  const arrives = async (note: string) => {
    const response = await read(`table=items&where=id>4990&handle=${handle}&offset=0_0`);
    return (await response.text()).includes(note);
  };
  // A table's first change is looked up in the catalog, which has to be reached for that (F13).
  await admin.query(`insert into items values (9000, 'before')`);
  await waitFor(() => arrives('before'));
  const held: pg.Client[] = [];
  // Theirs are ended, ours take the places, until they have none.
  await waitFor(async () => {
    await admin.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'shapecast%' and backend_type = 'client backend'`,
    );
    const more = await Promise.all(Array.from({ length: 4 }, () => connect().catch(() => undefined)));
    held.push(...more.filter((client) => client !== undefined));
    return more.includes(undefined) && (await backends()) === 0;
  });
  try {
    const refused = await read('table=later&offset=-1');
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).not.toBeNull();
    const again = await read(`table=items&where=id>4990&offset=-1&handle=${handle}`);
    expect([again.status, again.headers.get('electric-handle')]).toEqual([200, handle]);
    expect((await again.text()).includes('5000')).toBe(true);
    await admin.query(`insert into items values (9001, 'while all were taken')`);
    await waitFor(() => arrives('while all were taken'));
  } finally {
    await Promise.all(held.map((client) => client.end()));
  }
  await waitFor(async () => {
    const response = await read('table=later&offset=-1');
    await response.arrayBuffer();
    return response.status === 200;
  });
  const after = await read(`table=items&where=id>4990&offset=-1&handle=${handle}`);
  expect([after.status, after.headers.get('electric-handle')]).toEqual([200, handle]);
});
