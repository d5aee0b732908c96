import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { copyNatsStore, startCluster, waitFor, type Cluster } from '@shapecast/testkit';
import { StrictReader } from '../support/strict-reader.ts';

let cluster: Cluster;
let client: Client;

beforeAll(async () => {
  // Nothing is confirmed to Postgres while the test runs, as with any loss that is noticed within the delay.
  const env = { SHAPECAST_CONFIRM_DELAY: '10min', SHAPECAST_STREAM_MAX_BYTES: '256MiB' };
  cluster = await startCluster({ nats: 3, replicators: 1, routers: 1, apis: 1, env });
  client = new Client({ connectionString: cluster.databaseUrl });
  await client.connect();
  await client.query('create table kept (id int primary key, v text)');
});

afterAll(async () => {
  await client.end();
  await cluster.stop();
});

test('F113 all NATS servers lose what they had acknowledged: shapes keep their handles, and no reader misses or repeats a row', async () => {
  const reader = new StrictReader(cluster.url, { table: 'kept' });
  const stop = new AbortController();
  const following = reader.follow(stop.signal);
  let written = 0;
  const write = async (count: number): Promise<void> => {
    for (const end = written + count; written < end;) {
      await client.query('insert into kept values ($1, $2)', [(written += 1), 'v']);
    }
  };
  const caughtUp = () =>
    waitFor(() => reader.rows.size === written, { describe: () => `${reader.rows.size} of ${written} rows` });
  await write(5);
  await caughtUp();
  const handle = reader.handle;
  const copy = await copyNatsStore(cluster.serversOf('nats'));
  await write(40);
  await caughtUp();
  await copy.restore();
  await copy.drop();
  await write(10);
  await caughtUp();
  stop.abort();
  await following;
  expect({ handle: reader.handle, rotations: reader.rotations, violations: reader.violations }).toEqual({
    handle,
    rotations: 0,
    violations: [],
  });
});
