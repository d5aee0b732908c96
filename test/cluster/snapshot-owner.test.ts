import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startCluster, waitFor, type Cluster, type ClusterProcess } from '@shapecast/testkit';
import { StrictReader } from '../support/strict-reader.ts';

const signal = new AbortController().signal;

interface Snapshots {
  readonly running: number;
  readonly snapshots: readonly { readonly table: string; readonly handle: string; readonly bytes: number }[];
}

describe('a snapshot whose router goes away', () => {
  let cluster: Cluster;
  let client: Client;

  beforeAll(async () => {
    cluster = await startCluster({
      routers: 2,
      apis: 1,
      replicators: 1,
      // A snapshot of 5 MB takes seconds, so that there is a middle of it.
      env: { SHAPECAST_LEASE_SNAPSHOT: '2s', SHAPECAST_SNAPSHOT_MAX_BYTES_PER_S: '2MiB' },
    });
    client = new Client({ connectionString: cluster.databaseUrl });
    await client.connect();
    await client.query('create table small (id int primary key, v text)');
    await client.query(`insert into small select i, 'v' from generate_series(1, 50) i`);
    await client.query('create table big (id int primary key, v text)');
    await client.query(`insert into big select i, repeat('x', 1000) from generate_series(1, 5000) i`);
    // Published from here on.
    for (const table of ['small', 'big']) {
      await new StrictReader(cluster.url, { table, where: 'id < 0' }).catchUp(signal);
    }
  });

  afterAll(async () => {
    await client.end();
    await cluster.stop();
  });

  const snapshotsOf = async ({ url }: ClusterProcess): Promise<Snapshots | undefined> => {
    const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(1_000) }).catch(() => undefined);
    const report = (await response?.json().catch(() => undefined)) as { readonly snapshots: Snapshots } | undefined;
    return report?.snapshots;
  };

  /** The router that takes a snapshot of a table, and of which handle. */
  const taking = (table: string) =>
    waitFor(
      async () => {
        for (const process of cluster.processes.filter(({ role }) => role === 'router')) {
          const found = (await snapshotsOf(process))?.snapshots.find((one) => one.table === `public.${table}`);
          if (found) return { process, ...found };
        }
        return undefined;
      },
      { describe: () => `nobody takes a snapshot of ${table}` },
    );

  const first = (where: string, table = 'big') =>
    fetch(`${cluster.url}/v1/shape?table=${table}&where=${encodeURIComponent(where)}&offset=-1`);

  /** Follows the shape to its end through whatever happens, and finds it equal to the table. */
  async function expectWhole(where: string, rows: number): Promise<StrictReader> {
    const reader = new StrictReader(cluster.url, { table: 'big', where });
    const stop = new AbortController();
    const following = reader.follow(stop.signal);
    await waitFor(() => reader.rows.size === rows && reader.offset !== '-1' && reader.watermark > 0n, {
      describe: () => `${reader.rows.size} rows at ${reader.offset}`,
    });
    stop.abort();
    await following;
    expect(reader.violations).toEqual([]);
    return reader;
  }

  test('by SIGKILL before the first row: another one takes it under the same handle, and who waits notices nothing', async () => {
    const blocker = new Client({ connectionString: cluster.databaseUrl });
    await blocker.connect();
    await blocker.query('begin; lock table small in access exclusive mode');
    const waiting = first('id > 0', 'small');
    const { process, handle } = await taking('small');
    await process.kill('SIGKILL');
    await blocker.query('rollback');
    await blocker.end();
    const response = await waiting;
    expect([response.status, response.headers.get('electric-handle')]).toEqual([200, handle]);
    const rows = (await response.json()) as { readonly key?: string }[];
    expect(rows.filter(({ key }) => key !== undefined)).toHaveLength(50);
  });

  test('by SIGKILL after rows could be read: the handle ends, and the next one has all rows', async () => {
    const response = await first('id > 1');
    const handle = response.headers.get('electric-handle');
    const { process, handle: taken } = await taking('big');
    expect(taken).toBe(handle);
    await process.kill('SIGKILL');
    // Never a part of it presented as the whole.
    await expect(response.text()).rejects.toThrow();
    const reader = await expectWhole('id > 1', 4_999);
    expect(reader.handle).not.toBe(handle);
    const old = await fetch(
      `${cluster.url}/v1/shape?table=big&where=${encodeURIComponent('id > 1')}&offset=0_0&handle=${handle}`,
    );
    expect(old.status).toBe(409);
  });

  test('18.2.3 by a pause past its lease: what it wakes up with gets nowhere', async () => {
    const response = await first('id > 2');
    const handle = response.headers.get('electric-handle');
    const { process } = await taking('big');
    await process.pause();
    try {
      void response.text().catch(() => undefined);
      const reader = await expectWhole('id > 2', 4_998);
      expect(reader.handle).not.toBe(handle);
      await process.resume();
      await waitFor(async () => (await snapshotsOf(process))?.running === 0);
      // The same bytes as before it woke up, and from the beginning.
      const again = await expectWhole('id > 2', 4_998);
      expect(again.handle).toBe(reader.handle);
      expect([...again.rows.keys()].sort()).toEqual([...reader.rows.keys()].sort());
    } finally {
      await process.resume();
    }
  });

  test('and one that nobody waits for any more is finished', async () => {
    const leave = new AbortController();
    const response = await fetch(`${cluster.url}/v1/shape?table=big&where=${encodeURIComponent('id > 3')}&offset=-1`, {
      signal: leave.signal,
    });
    const handle = response.headers.get('electric-handle');
    const { process } = await taking('big');
    leave.abort();
    await waitFor(async () => (await snapshotsOf(process))?.running === 0);
    const reader = await expectWhole('id > 3', 4_997);
    expect([reader.handle, reader.rotations]).toEqual([handle, 0]);
  });
});
