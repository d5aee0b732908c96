import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startCluster, waitFor, type Cluster } from '@shapecast/testkit';
import { StrictReader } from '../support/strict-reader.ts';

let cluster: Cluster;
let client: Client;

beforeAll(async () => {
  cluster = await startCluster({ routers: 2, apis: 2, replicators: 2 });
  client = new Client({ connectionString: cluster.databaseUrl });
  await client.connect();
  await client.query('create table kept (id int primary key, v text)');
  await client.query(`insert into kept select i, 'v' from generate_series(1, 10) i`);
});

afterAll(async () => {
  await client.end();
  await cluster.stop();
});

test('a shape survives that every process dies at once: same handle, and what was written meanwhile arrives once', async () => {
  const reader = new StrictReader(cluster.url, { table: 'kept' });
  const stop = new AbortController();
  const following = reader.follow(stop.signal);
  await waitFor(() => reader.rows.size === 10, { describe: () => reader.rows.size });
  const handle = reader.handle;
  const before = cluster.processes.map((process) => process.pid);

  await Promise.all(cluster.processes.map((process) => process.kill()));
  await client.query(`insert into kept values (11, 'while nothing ran')`);
  await cluster.waitReady();
  await client.query(`update kept set v = 'after' where id = 1`);

  const changed = () => [...reader.rows.values()].some((row) => row['v'] === 'after');
  await waitFor(() => reader.rows.size === 11 && changed(), { describe: () => [...reader.rows.values()] });
  stop.abort();
  await following;
  expect(cluster.processes.map((process) => process.pid)).not.toEqual(before);
  expect(reader.handle).toBe(handle);
  expect(reader.rotations).toBe(0);
  expect(reader.violations).toEqual([]);
});
