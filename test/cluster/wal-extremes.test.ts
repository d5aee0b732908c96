import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parseOffset } from '@shapecast/log';
import { ageTo, startCluster, startPostgres, waitFor, type Cluster } from '@shapecast/testkit';
import { canonicalRows, selectText } from '../support/rows.ts';
import { StrictReader } from '../support/strict-reader.ts';

const never = new AbortController().signal;
const WRAP = 1n << 32n;

/** A cluster on a server whose WAL stands at `lsn`, and which gives `nextXid` next. */
async function clusterAt(lsn: bigint, nextXid: bigint) {
  const folder = await mkdtemp(join(tmpdir(), 'shapecast-extremes-'));
  await chmod(folder, 0o755);
  // Commits that ask for it wait for a standby that never comes: in the WAL, and not visible.
  const settings = { synchronous_standby_names: 'nobody', synchronous_commit: 'local' };
  const server = await startPostgres({ dataDir: join(folder, 'data'), durable: false, settings });
  onTestFinished(async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });
  await ageTo(server, nextXid, lsn);
  // One shard: what one shape was told, all others are past.
  const env = { SHAPECAST_SHARDS: '1' };
  const cluster = await startCluster({ databaseUrl: server.url, routers: 1, apis: 1, replicators: 1, env });
  onTestFinished(() => cluster.stop());
  const client = new Client({ connectionString: server.url, options: '-c TimeZone=UTC' });
  await client.connect();
  onTestFinished(() => client.end());
  return { cluster, client };
}

const currentXid = async (client: Client): Promise<bigint> => {
  const { rows } = await client.query<{ xmax: string }>('select pg_snapshot_xmax(pg_current_snapshot())::text as xmax');
  return BigInt(rows[0]?.xmax ?? '0');
};

async function expectEqual(client: Client, reader: StrictReader): Promise<void> {
  const expected = await selectText(client, 'busy', ['id', 'v'], '');
  await waitFor(
    async () => {
      await reader.catchUp(never);
      return canonicalRows(reader.rows.values()).join('\n') === expected.join('\n');
    },
    { timeoutMs: 30_000, describe: () => `reader has ${reader.rows.size} rows, Postgres ${expected.length}` },
  );
  expect(reader.violations).toEqual([]);
  expect(reader.rotations).toBe(0);
}

/** Everything a shape's clients are sent, from the start to the end of its log, and what the services say of themselves. */
async function everythingSent(cluster: Cluster): Promise<{ bodies: string[]; offsets: string[] }> {
  const bodies: string[] = [];
  const offsets: string[] = [];
  let query = 'table=busy&offset=-1';
  for (let upToDate = false; !upToDate;) {
    const response = await fetch(`${cluster.url}/v1/shape?${query}`);
    bodies.push(await response.text());
    const offset = response.headers.get('electric-offset') ?? '';
    offsets.push(offset);
    query = `table=busy&handle=${response.headers.get('electric-handle')}&offset=${offset}`;
    upToDate = response.headers.has('electric-up-to-date');
  }
  for (const process of cluster.processes) {
    const path = process.role === 'api' ? '/v1/health' : '/health';
    bodies.push(await (await fetch(`${process.url}${path}`)).text());
  }
  return { bodies, offsets };
}

/** The whole numbers of a JSON text, as they are written there. */
const numbersIn = (json: string): bigint[] =>
  [...json.replaceAll(/"(?:[^"\\]|\\.)*"/g, '""').matchAll(/-?\d+(?![\d.eE])/g)].map(([digits]) => BigInt(digits));

/**
 * A transaction that the stream has and snapshots do not show, whose id is from before the wrap while theirs are from behind it:
 * a shape that is created now must not start from one of them (R 10.6.7).
 */
async function createAroundHeldCommit(cluster: Cluster, client: Client, whole: StrictReader): Promise<StrictReader> {
  // Where a transaction describes the table, the stream waits until it is visible.
  await client.query(`update busy set v = 'described' where id = 1`);
  const sees = (v: string) =>
    waitFor(async () => {
      await whole.catchUp(never);
      return [...whole.rows.values()].some((row) => row['v'] === v);
    });
  await sees('described');
  const holder = new Client({ connectionString: cluster.databaseUrl });
  await holder.connect();
  await holder.query('set synchronous_commit = on');
  const { rows } = await holder.query<{ pid: number }>('select pg_backend_pid() as pid');
  const committed = holder.query(`insert into busy values (5000, 'held')`);
  await sees('held');
  expect((await client.query(`select 1 from busy where v = 'held'`)).rowCount).toBe(0);
  const held = await currentXid(client);
  while ((await currentXid(client)) % WRAP > WRAP / 2n) await client.query('select pg_current_xact_id()');
  expect(held / WRAP).toBeLessThan((await currentXid(client)) / WRAP);
  const reader = new StrictReader(cluster.url, { table: 'busy', where: 'id > -1000' });
  const created = reader.catchUp(never).then(() => 'created');
  const first = await Promise.race([created, new Promise((resolve) => setTimeout(resolve, 1_500))]);
  await client.query('select pg_cancel_backend($1)', [rows[0]?.pid]);
  await committed;
  await holder.end();
  await created;
  expect(first).toBeUndefined();
  return reader;
}

describe.each([
  { at: '7FFFFFFF/00000000', lsn: 0x7fff_ffff_0000_0000n, nextXid: 2n * WRAP - 300n, hold: true },
  { at: 'FFFFFFFF/00000000', lsn: 0xffff_ffff_0000_0000n, nextXid: 3n * WRAP - 500n, hold: false },
])('WAL from $at on', ({ lsn, nextXid, hold }) => {
  const title = hold
    ? 'A16, T15 a commit that is in the WAL and not visible while transaction ids wrap is not lost'
    : 'A16, T15 shapes created under writes across the wrap of transaction ids neither lose nor double rows (R 18.2.7)';

  test(title, async () => {
    const { cluster, client } = await clusterAt(lsn, nextXid);
    await client.query('create table busy (id int primary key, v text)');
    await client.query(`insert into busy select i, 'start' from generate_series(1, 200) i`);
    const whole = new StrictReader(cluster.url, { table: 'busy' });
    await whole.catchUp(never);
    const wrapped = (nextXid / WRAP + 1n) * WRAP;
    expect(await currentXid(client)).toBeLessThan(wrapped);
    const readers: StrictReader[] = [];
    if (hold) readers.push(await createAroundHeldCommit(cluster, client, whole));

    let writing = true;
    const writers = [1, 2, 3].map(async (n) => {
      const writer = new Client({ connectionString: cluster.databaseUrl });
      await writer.connect();
      for (let i = 0; writing; i += 1) {
        // Left open for a moment: they have to be told from those that a snapshot shows.
        const id = 1 + ((i * 7 + n * 31) % 200);
        await writer.query(`begin; delete from busy where id = ${id}`);
        await new Promise((resolve) => setTimeout(resolve, n * 2));
        await writer.query(`insert into busy values (${id}, 'w${n} ${i}') on conflict do nothing; commit`);
      }
      await writer.end();
    });
    // Of the newest transaction id when a shape was created.
    const createdAt: bigint[] = [];
    const after = () => createdAt.filter((xid) => xid >= wrapped).length;
    try {
      while (after() < 6) {
        createdAt.push(await currentXid(client));
        const reader = new StrictReader(cluster.url, { table: 'busy', where: `id > ${-readers.length}` });
        readers.push(reader);
        await reader.catchUp(never);
      }
    } finally {
      writing = false;
      await Promise.all(writers);
    }
    if (!hold) expect(createdAt.length - after()).toBeGreaterThan(0);
    for (const reader of [whole, ...readers]) await expectEqual(client, reader);

    // What is stored and read again, too.
    await Promise.all(cluster.processes.map((process) => process.kill()));
    await client.query(`insert into busy values (1001, 'while nothing ran')`);
    await cluster.waitReady();
    await client.query(`insert into busy values (1002, 'after')`);
    for (const reader of [whole, ...readers]) await expectEqual(client, reader);

    const { bodies, offsets } = await everythingSent(cluster);
    const numbers = bodies.flatMap(numbersIn);
    expect(numbers.length).toBeGreaterThan(100);
    expect(numbers.filter((value) => value > 2n ** 53n || value < -(2n ** 53n))).toEqual([]);
    const last = parseOffset(offsets.at(-1) ?? '');
    expect(last?.tx).toBeGreaterThan(lsn);
    expect(last?.tx).toBeLessThan(lsn + WRAP);
    expect(whole.watermark).toBeGreaterThanOrEqual(last?.tx ?? 0n);
  });
});
