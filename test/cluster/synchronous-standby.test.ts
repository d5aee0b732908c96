import { createConnection } from 'node:net';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startCluster, waitFor, type Cluster } from '@shapecast/testkit';
import { canonicalRows, selectText } from '../support/rows.ts';
import { StrictReader } from '../support/strict-reader.ts';

// 18.2.5: transactions whose commit waits for a synchronous standby that does not answer are decoded and sent, while no other
// session sees them. Here the standby does not exist, which to Postgres is one that never answers.

const signal = new AbortController().signal;
let cluster: Cluster;
let client: Client;

beforeAll(async () => {
  cluster = await startCluster({
    routers: 1,
    apis: 1,
    replicators: 1,
    postgres: { settings: { synchronous_standby_names: 'nobody', synchronous_commit: 'local' } },
    env: { SHAPECAST_SHARDS: '1', SHAPECAST_LEASE_SNAPSHOT: '2s' },
  });
  client = new Client({ connectionString: cluster.databaseUrl });
  await client.connect();
  for (const table of ['old_shard', 'new_shard', 'quiet']) {
    await client.query(`create table ${table} (id int primary key, v text)`);
    await client.query(`insert into ${table} values (1, 'before')`);
    // Published, and the replicator knows what it looks like: it asks the catalog with the first change.
    const reader = new StrictReader(cluster.url, { table, where: 'id < 0' });
    await reader.catchUp(signal);
    await client.query(`insert into ${table} values (-1, 'first')`);
    await waitFor(async () => {
      await reader.catchUp(signal);
      return reader.rows.size === 1;
    });
  }
});

afterAll(async () => {
  await client.end();
  await cluster.stop();
});

/** Commits that wait for the standby, until they are released. */
async function heldCommits(table: string): Promise<{ release(): Promise<void> }> {
  const writers = await Promise.all(
    [2, 3, 4].map(async (id) => {
      const writer = new Client({ connectionString: cluster.databaseUrl });
      writer.on('error', () => undefined);
      await writer.connect();
      await writer.query('set synchronous_commit = on');
      const done = writer.query(`insert into ${table} values (${id}, 'held')`);
      done.catch(() => undefined);
      return { writer, done };
    }),
  );
  const held = async () => {
    const { rows } = await client.query(`select 1 from pg_stat_activity where wait_event = 'SyncRep'`);
    return rows.length;
  };
  await waitFor(async () => (await held()) === 3);
  // Something else commits behind them, and arrives: so the stream is past them.
  await client.query(`insert into quiet select coalesce(max(id), 0) + 1, 'behind' from quiet`);
  return {
    async release() {
      await client.query(`select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'`);
      await Promise.all(writers.map(({ done }) => done));
      await Promise.all(writers.map(({ writer }) => writer.end()));
    },
  };
}

async function expectWhole(reader: StrictReader, table: string): Promise<void> {
  const expected = await selectText(client, table, ['id', 'v'], '');
  expect(expected.length).toBeGreaterThanOrEqual(4);
  await waitFor(
    async () => {
      await reader.catchUp(signal);
      return canonicalRows(reader.rows.values()).join('\n') === expected.join('\n');
    },
    { timeoutMs: 20_000, describe: () => `${reader.rows.size} rows, Postgres has ${expected.length}` },
  );
  expect(reader.violations).toEqual([]);
}

interface RouterReport {
  readonly snapshots: { readonly running: number };
  readonly shards: readonly { readonly cursorSeq: number; readonly shapes: number; readonly lag: number }[];
}

async function router(): Promise<RouterReport> {
  const { url } = cluster.process('router-1');
  return (await (await fetch(`${url}/health`)).json()) as RouterReport;
}

const snapshotsRunning = async () => (await router()).snapshots.running;
const cursorSeq = async () => (await router()).shards[0]?.cursorSeq ?? 0;

/** What arrives of the quiet table once the stream is past what was committed before. */
async function streamIsPast(): Promise<void> {
  const reader = new StrictReader(cluster.url, { table: 'quiet' });
  const expected = (await selectText(client, 'quiet', ['id', 'v'], '')).length;
  await waitFor(async () => {
    await reader.catchUp(signal);
    return reader.rows.size === expected;
  });
}

test('a hanging transaction that is the first to show a table to the stream holds up no other table', async () => {
  await client.query(`create table cold (id int primary key, v text)`);
  await new StrictReader(cluster.url, { table: 'quiet' }).catchUp(signal);
  const reader = new StrictReader(cluster.url, { table: 'cold' });
  await reader.catchUp(signal);
  const held = await heldCommits('cold');
  await streamIsPast();
  await held.release();
  await client.query(`insert into cold values (5, 'after')`);
  await expectWhole(reader, 'cold');
});

test('18.2.5 a shape of an old shard that is created meanwhile waits, and then has those rows', async () => {
  await new StrictReader(cluster.url, { table: 'quiet' }).catchUp(signal);
  const held = await heldCommits('old_shard');
  await streamIsPast();
  const reader = new StrictReader(cluster.url, { table: 'old_shard' });
  let ready = false;
  const caughtUp = reader.catchUp(signal).then(() => (ready = true));
  await waitFor(async () => (await snapshotsRunning()) > 0);
  expect(ready).toBe(false);
  await held.release();
  await caughtUp;
  await expectWhole(reader, 'old_shard');
});

test('18.2.5 a shape of a brand-new shard waits for its own table only, and then has those rows', async () => {
  const held = await heldCommits('new_shard');
  await streamIsPast();
  // So many records later that a shard which begins at the end of the stream does not look back at them.
  const heldAt = await cursorSeq();
  while ((await cursorSeq()) < heldAt + 300) {
    await client.query(`insert into quiet select max(id) + 1, 'later' from quiet`);
  }
  // All that was known of the shard is gone, and there is no shape when it is made again.
  await cluster.process('api-1').pause();
  await redisCommand('FLUSHALL');
  await waitFor(async () => {
    const shard = (await router()).shards[0];
    return shard?.shapes === 0 && shard.cursorSeq > heldAt + 300;
  });
  await cluster.process('api-1').resume();

  const other = new StrictReader(cluster.url, { table: 'quiet' });
  await waitFor(async () => {
    await other.catchUp(signal).catch(() => undefined);
    return other.rows.size > 1;
  });
  const reader = new StrictReader(cluster.url, { table: 'new_shard' });
  const stop = new AbortController();
  const following = reader.follow(stop.signal);
  await waitFor(async () => (await snapshotsRunning()) > 0);
  expect(reader.rows.size).toBe(0);
  await held.release();
  await waitFor(() => reader.rows.size >= 4, { describe: () => reader.rows.size });
  stop.abort();
  await following;
  await expectWhole(reader, 'new_shard');
});

async function redisCommand(text: string): Promise<void> {
  const { port } = new URL(cluster.redisUrl);
  const socket = createConnection(Number(port), '127.0.0.1');
  socket.write(`${text}\r\n`);
  await new Promise((resolve, reject) => socket.once('data', resolve).once('error', reject));
  socket.destroy();
}
