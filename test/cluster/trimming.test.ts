import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startCluster, waitFor, type Cluster } from '@shapecast/testkit';
import { StrictReader } from '../support/strict-reader.ts';

let cluster: Cluster;
let client: Client;

beforeAll(async () => {
  const env = { SHAPECAST_STREAM_MAX_BYTES: '1MiB', SHAPECAST_CONFIRM_DELAY: '0s', SHAPECAST_SHARDS: '2' };
  cluster = await startCluster({ replicators: 1, routers: 1, apis: 1, env });
  client = new Client({ connectionString: cluster.databaseUrl });
  await client.connect();
  await client.query('create table filling (id int primary key, noise text)');
});

afterAll(async () => {
  await client.end();
  await cluster.stop();
});

test('F109, R 9.1.3 more than the tx stream holds gets through, because everybody has read it', async () => {
  const reader = new StrictReader(cluster.url, { table: 'filling' });
  const stop = new AbortController();
  const following = reader.follow(stop.signal);
  await waitFor(() => reader.handle !== undefined);
  const transactions = 16;
  for (let i = 1; i <= transactions; i += 1) {
    // 100 kB that no compression makes smaller by more than half.
    await client.query(
      `insert into filling select $1, string_agg(md5(random()::text), '') from generate_series(1, 3200)`,
      [i],
    );
  }
  await waitFor(() => reader.rows.size === transactions, { describe: () => `${reader.rows.size} of ${transactions}` });
  stop.abort();
  await following;
  expect({ rotations: reader.rotations, violations: reader.violations }).toEqual({ rotations: 0, violations: [] });
});
