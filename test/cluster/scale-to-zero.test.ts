import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startCluster, waitFor, type Cluster } from '@shapecast/testkit';
import { StrictReader } from '../support/strict-reader.ts';

// The shortest time there is: real processes do not go to sleep sooner, and most of this test waits for that.
const IDLE_MS = 30_000;
/** A request that begins with the last transaction outlives it. */
const LONG_POLL_MS = 40_000;

const signal = new AbortController().signal;
let cluster: Cluster;
let client: Client;

beforeAll(async () => {
  cluster = await startCluster({
    routers: 2,
    apis: 2,
    replicators: 2,
    env: {
      ELECTRIC_REPLICATION_IDLE_TIMEOUT: `${IDLE_MS}ms`,
      ELECTRIC_LONG_POLL_TIMEOUT: `${LONG_POLL_MS}ms`,
      SHAPECAST_CONFIRM_DELAY: '0',
    },
  });
  client = new Client({ connectionString: cluster.databaseUrl });
  await client.connect();
});

afterAll(async () => {
  await client.end();
  await cluster.stop();
});

/** Other than this test's own. */
async function backends(): Promise<readonly string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select application_name || ' ' || backend_type as name from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid()`,
  );
  return rows.map(({ name }) => name);
}

const url = (name: string) => cluster.process(name).url;

async function health(): Promise<readonly string[]> {
  const answers = ['api-1', 'api-2'].map(async (name) => {
    const answer = await fetch(`${url(name)}/v1/health`);
    return `${answer.status} ${((await answer.json()) as { status: string }).status}`;
  });
  return Promise.all(answers);
}

/** How often a replicator has said that it closed the connections. */
async function sleeps(): Promise<number> {
  const counts = ['replicator-1', 'replicator-2'].map(async (name) => {
    const report = (await (await fetch(`${url(name)}/health`)).json()) as { events?: Record<string, number> };
    return report.events?.['scaled_down_database_connections'] ?? 0;
  });
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

test('A2 an idle source has no connections to its database, and all it needs to go on when somebody asks', async () => {
  await client.query(`create table items (id int primary key, v text); create table others (id int primary key)`);
  await client.query(`insert into items values (1, 'before')`);
  const reader = new StrictReader(cluster.url, { table: 'items' });
  await reader.catchUp(signal);
  await client.query(`insert into items values (2, 'before')`);
  await waitFor(async () => {
    await reader.catchUp(signal);
    return reader.rows.size === 2;
  });
  expect((await backends()).length).toBeGreaterThan(0);
  const { handle, offset } = reader;

  const query = `table=items&offset=${offset}&handle=${handle}&live=true`;
  const earlier = fetch(`${url('api-1')}/v1/shape?${query}`).then(async (answer) => ({
    status: answer.status,
    handle: answer.headers.get('electric-handle'),
    body: (await answer.json()) as readonly { readonly headers: { readonly control?: string } }[],
  }));
  let answered = false;
  void earlier.finally(() => (answered = true));
  await waitFor(async () => (await backends()).length === 0, { timeoutMs: 2 * IDLE_MS, describe: () => 'connections' });
  expect(answered).toBe(false);
  await waitFor(async () => (await sleeps()) === 1, { timeoutMs: 5_000, describe: () => 'the event' });
  expect(await health()).toEqual(['200 active', '200 active']);

  // Who starts to read what is there needs no database.
  await client.query(`insert into items values (3, 'meanwhile')`);
  for (const name of ['api-1', 'api-2']) {
    const again = new StrictReader(url(name), { table: 'items' });
    await again.catchUp(signal);
    expect([...again.rows.keys()].sort()).toEqual([...reader.rows.keys()].sort());
    expect(again.handle).toBe(handle);
  }
  const { status, body, handle: after } = await earlier;
  expect({ status, after }).toEqual({ status: 200, after: handle });
  expect(body.map(({ headers }) => headers.control)).toEqual(['up-to-date']);
  expect(await backends()).toEqual([]);
  expect(await health()).toEqual(['200 active', '200 active']);

  // A live request wakes it, and gets what was written meanwhile.
  const seen: string[] = [];
  let watching = true;
  const watched = (async () => {
    while (watching) seen.push(...(await health()));
  })();
  await reader.step(signal, true);
  expect(reader.rows.size).toBe(3);
  expect(reader.handle).toBe(handle);
  const other = new StrictReader(cluster.url, { table: 'others' });
  await client.query('insert into others values (1)');
  await other.catchUp(signal);
  expect(other.rows.size).toBe(1);
  watching = false;
  await watched;
  expect(new Set(seen)).toEqual(new Set(['200 active']));
  await client.query(`insert into items values (4, 'after')`);
  await waitFor(async () => {
    await reader.catchUp(signal);
    return reader.rows.size === 4;
  });
  expect(reader.handle).toBe(handle);
  expect([...reader.violations, ...other.violations]).toEqual([]);
});
