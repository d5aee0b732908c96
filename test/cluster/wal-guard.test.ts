import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startCluster, waitFor, type Cluster, type ClusterProcess } from '@shapecast/testkit';
import { StrictReader } from '../support/strict-reader.ts';

const signal = new AbortController().signal;
const MIB = 1_048_576n;

interface Health {
  readonly status: string;
  readonly lastError?: string;
  readonly wal?: { readonly stage?: string; readonly retainedBytes?: string; readonly staleSince?: string };
}

/** Spec R 6.3, O 10; policy `drop`, a budget of 48 MiB, looks every 300 ms. */
describe('WAL that Postgres keeps for the slot', () => {
  let cluster: Cluster;
  let client: Client;

  beforeAll(async () => {
    cluster = await startCluster({
      replicators: 2,
      routers: 1,
      apis: 1,
      postgres: { settings: { max_wal_size: '64MB', min_wal_size: '32MB' } },
      env: {
        SHAPECAST_WAL_BUDGET: '48MiB',
        SHAPECAST_WAL_GUARD: 'drop',
        SHAPECAST_WAL_GUARD_INTERVAL: '300ms',
        SHAPECAST_WAL_GUARD_PAUSE: '15s',
        SHAPECAST_CONFIRM_DELAY: '200ms',
        ELECTRIC_LONG_POLL_TIMEOUT: '1s',
      },
    });
    client = new Client({ connectionString: cluster.databaseUrl });
    await client.connect();
    await client.query('create table items (id int primary key, v text)');
    await client.query('create table noise (v text)');
  });

  afterAll(async () => {
    await client.end();
    await cluster.stop();
  });

  /** About a MiB of WAL that concerns no shape. */
  const write = () => client.query(`insert into noise select repeat('x', 1000) from generate_series(1, 950)`);
  const slots = async () => {
    const { rows } = await client.query<{ file: string }>(
      'select pg_walfile_name(restart_lsn) as file from pg_replication_slots',
    );
    return rows.map(({ file }) => file);
  };
  const shape = (query: string) => fetch(`${cluster.url}/v1/shape?table=items&${query}`);
  const health = async () => {
    const response = await fetch(`${cluster.url}/v1/health`);
    return [response.status, await response.text()];
  };
  const replicators = () => cluster.processes.filter(({ role }) => role === 'replicator');
  let seen: readonly unknown[] = [];
  const reports = async (): Promise<Health[]> => {
    const ask = ({ url }: ClusterProcess) => fetch(`${url}/health`, { signal: AbortSignal.timeout(2_000) });
    const answers = await Promise.all(replicators().map((process) => ask(process).catch(() => undefined)));
    const health = await Promise.all(answers.flatMap((answer) => (answer ? [answer.json() as Promise<Health>] : [])));
    seen = health;
    return health;
  };
  const leader = async () => (await reports()).find(({ status }) => status === 'active');

  test('because of an open transaction: from two thirds of the budget on new shapes are refused, and only those', async () => {
    const reader = new StrictReader(cluster.url, { table: 'items' });
    await reader.catchUp(signal);
    const open = new Client({ connectionString: cluster.databaseUrl });
    await open.connect();
    await open.query('begin; create table held (id int)');
    await waitFor(
      async () => {
        await write();
        return (await leader())?.wal?.stage === 'high';
      },
      { intervalMs: 50, describe: () => seen },
    );
    const refused = await waitFor(async () => {
      const response = await shape('offset=-1&where=id%20%3E%201');
      return response.status === 503 ? response : undefined;
    });
    expect(refused.headers.get('retry-after')).toBe('30');
    expect(await refused.json()).toEqual({
      message: expect.stringMatching(/^New shapes are not accepted at the moment/) as string,
    });
    expect(await health()).toEqual([200, '{"status":"active"}']);
    const following = new AbortController();
    const follow = reader.follow(following.signal);
    await client.query(`insert into items values (1, 'while shedding')`);
    await waitFor(() => reader.rows.size === 1);
    following.abort();
    await follow;
    expect([reader.violations, reader.rotations]).toEqual([[], 0]);

    await open.query('rollback');
    await open.end();
    // What is still kept afterwards goes with the next look of Postgres at who runs.
    await waitFor(
      async () => {
        await client.query('checkpoint');
        return (await leader())?.wal?.stage === 'ok';
      },
      { intervalMs: 200 },
    );
    await waitFor(async () => (await shape('offset=-1&where=id%20%3E%201')).status === 200);
  });

  test('with NATS down and no replicator that ever reached it: the slot goes, and the source is stale until it starts anew', async () => {
    const reader = new StrictReader(cluster.url, { table: 'items' });
    await reader.catchUp(signal);
    const { handle, offset } = reader;
    const nats = cluster.server('nats');
    await nats.kill();
    // The leader goes on looking, though connections are counted in NATS.
    const kept = (report?: Health) => BigInt(report?.wal?.retainedBytes ?? 0);
    const before = kept(await leader());
    await waitFor(
      async () => {
        await write();
        return kept(await leader()) > before + 4n * MIB;
      },
      { intervalMs: 50, describe: () => seen },
    );
    for (const process of replicators()) await process.kill('SIGKILL');
    await client.query(`insert into items values (2, 'nobody reads this')`);
    const [pinned] = await slots();
    await waitFor(
      async () => {
        await write();
        return (await slots()).length === 0;
      },
      { intervalMs: 50, describe: () => seen },
    );
    const stale = await waitFor(async () => (await reports()).find(({ status }) => status === 'stale'));
    expect(stale?.lastError).toMatch(/^Postgres keeps \d+ of 48 MiB of WAL for the replication slot/);
    // Postgres is free to forget it, and nobody pins it anew.
    await client.query('checkpoint');
    await waitFor(async () => {
      const { rows } = await client.query<{ oldest: string }>(
        `select min(name) as oldest from pg_ls_waldir() where name ~ '^[0-9A-F]{24}$'`,
      );
      return String(rows[0]?.oldest) > String(pinned);
    });
    expect(await slots()).toEqual([]);

    await nats.start();
    const answer = await waitFor(
      async () => {
        const response = await shape(`offset=${offset}&handle=${handle}&live=true`);
        return response.status === 503 ? response : undefined;
      },
      { describe: () => seen },
    );
    expect(answer.headers.get('retry-after')).toBe('10');
    expect(await answer.json()).toEqual({
      message: expect.stringMatching(/^The source is stale/) as string,
    });
    expect(await health()).toEqual([202, '{"status":"starting"}']);
    const first = await shape('offset=-1');
    expect([first.status, first.headers.has('electric-up-to-date')]).toEqual([200, false]);

    const following = new AbortController();
    const follow = reader.follow(following.signal);
    await waitFor(() => reader.rows.size === 2, { describe: () => seen });
    await client.query(`insert into items values (3, 'flows again')`);
    await waitFor(() => reader.rows.size === 3);
    following.abort();
    await follow;
    expect([reader.violations, reader.rotations]).toEqual([[], 1]);
    expect(reader.handle).not.toBe(handle);
    const gone = await shape(`offset=${offset}&handle=${handle}&live=true`);
    expect([gone.status, gone.headers.get('electric-handle')]).toEqual([409, reader.handle]);
    expect(await health()).toEqual([200, '{"status":"active"}']);
    const report = await waitFor(leader);
    expect(report?.wal).toMatchObject({ stage: 'ok' });
    expect(BigInt(report?.wal?.retainedBytes ?? -1)).toBeLessThan(16n * MIB);
  });
});
