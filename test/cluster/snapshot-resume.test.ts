import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startCluster, waitFor, type Cluster, type ClusterProcess } from '@shapecast/testkit';
import { Chance } from '../support/chance.ts';
import { canonicalRows } from '../support/rows.ts';
import { StrictReader } from '../support/strict-reader.ts';

const ROWS = Number(process.env['SHAPECAST_TEST_SNAPSHOT_ROWS'] ?? 20_000);
const SEED = Number(process.env['SHAPECAST_TEST_SEED'] ?? 20_261_121);

interface Snapshot {
  readonly table: string;
  readonly handle: string;
  readonly rows: number;
}

interface Line {
  readonly msg?: string;
  readonly handle?: string;
  readonly rows?: number;
  readonly segment?: number;
}

describe('a large snapshot that is interrupted', () => {
  let cluster: Cluster;
  let client: Client;
  const lines: Line[] = [];

  beforeAll(async () => {
    cluster = await startCluster({
      routers: 2,
      apis: 1,
      replicators: 1,
      env: {
        SHAPECAST_SNAPSHOT_RESUMABLE_BYTES: '1MiB',
        SHAPECAST_LEASE_SNAPSHOT: '2s',
        // A snapshot of 8 MB takes seconds, so that there is a middle of it, and readers have chunks of it by then.
        SHAPECAST_SNAPSHOT_MAX_BYTES_PER_S: '2MiB',
        ELECTRIC_SHAPE_CHUNK_BYTES_THRESHOLD: '300000',
      },
      onLog: (_name, line) => {
        if (line.includes('snapshot')) lines.push(JSON.parse(line) as Line);
      },
    });
    client = new Client({ connectionString: cluster.databaseUrl });
    await client.connect();
  });

  afterAll(async () => {
    await client.end();
    await cluster.stop();
  });

  /** Keys of several columns and types, of which the first is in the database's own order of texts. */
  const create = async (table: string): Promise<void> => {
    await client.query(`create table ${table} (a text, b numeric, v text, primary key (a, b))`);
    await client.query(
      `insert into ${table} select (array['a', 'B', 'ä', 'c/d', 'Z'])[1 + i % 5] || i / 500, i / 4.0, repeat('x', 200)
       from generate_series(1, ${ROWS}) i order by 1, 2`,
    );
    await client.query(`analyze ${table}`);
    // Published from here on.
    await new StrictReader(cluster.url, { table, where: `a = ''` }).catchUp(new AbortController().signal);
  };

  /** Inserts, updates, deletes and moves rows wherever they are, some transactions a tenth of a second long. */
  async function write(table: string, signal: AbortSignal): Promise<number> {
    const chance = new Chance(SEED);
    const writers = await Promise.all(
      Array.from({ length: 2 }, async () => {
        const writer = new Client({ connectionString: cluster.databaseUrl });
        await writer.connect();
        return writer;
      }),
    );
    const anyRow = () =>
      `(select ctid from ${table} where a >= $1 and b >= $2 order by a, b limit 1 for update skip locked)`;
    const statements = [
      `insert into ${table} values ($1, $2, 'new') on conflict do nothing`,
      `update ${table} set v = 'changed ' || $3::text where ctid = ${anyRow()}`,
      `delete from ${table} where ctid = ${anyRow()} and $3::text is not null`,
      `update ${table} set a = chr(97 + length(a || b::text || $3::text) % 26) || $3::text, b = -b where ctid = ${anyRow()}`,
    ];
    let committed = 0;
    const run = async (writer: Client): Promise<void> => {
      while (!signal.aborted) {
        await writer.query('begin');
        for (let n = chance.int(6); n >= 0; n -= 1) {
          const kind = chance.int(statements.length);
          const place = [chance.pick(['a', 'B', 'ä', 'c/d', 'Z']) + chance.int(ROWS / 500), chance.int(ROWS) / 4];
          const values = kind === 0 ? place : [...place, `${(committed += 1)}`];
          await writer.query(statements[kind] as string, values);
          if (chance.chance(0.05)) await writer.query('select pg_sleep(0.1)');
        }
        await writer.query(chance.chance(0.1) ? 'rollback' : 'commit');
        await writer.query('select pg_sleep(0.01)');
      }
    };
    await Promise.all(writers.map(run));
    await Promise.all(writers.map((writer) => writer.end()));
    return committed;
  }

  /** The router that takes a snapshot of a table, and how far it is. */
  const taking = (table: string) =>
    waitFor(
      async () => {
        for (const process of cluster.processes.filter(({ role }) => role === 'router')) {
          const found = (await snapshotsOf(process)).find((one) => one.table === `public.${table}`);
          if (found && found.rows > ROWS / 4) return { process, ...found };
        }
        return undefined;
      },
      { describe: () => `nobody takes a snapshot of ${table}` },
    );

  const snapshotsOf = async ({ url }: ClusterProcess): Promise<readonly Snapshot[]> => {
    const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(1_000) }).catch(() => undefined);
    const report = (await response?.json().catch(() => undefined)) as
      { readonly snapshots: { readonly snapshots: readonly Snapshot[] } } | undefined;
    return report?.snapshots.snapshots ?? [];
  };

  const isResumed = ({ handle, msg }: Line, wanted: string) =>
    handle === wanted && msg === 'snapshot resumed where it was interrupted';
  const resumedAt = (handle: string) => lines.findLast((line) => isResumed(line, handle))?.rows;

  /** Reads a table while it is written and its snapshot is interrupted; returns what the log told of going on. */
  async function readThrough(
    table: string,
    interrupt: (taken: Snapshot & { process: ClusterProcess }) => Promise<void>,
    isWritten = true,
  ) {
    await create(table);
    const stop = new AbortController();
    const reading = new AbortController();
    const writing = isWritten ? write(table, stop.signal) : Promise.resolve(Infinity);
    const reader = new StrictReader(cluster.url, { table });
    const following = reader.follow(reading.signal);
    try {
      await waitFor(() => reader.rows.size > 0);
      const taken = await taking(table);
      expect(taken.handle).toBe(reader.handle);
      const had = reader.rows.size;
      await interrupt(taken);
      await waitFor(() => reader.watermark > 0n, {
        describe: () => `${reader.rows.size} rows at ${reader.offset}, ${had} when it was interrupted`,
        timeoutMs: 90_000,
      });
      stop.abort();
      expect(await writing).toBeGreaterThan(100);
      const { rows } = await client.query<{ lsn: string }>(`select (pg_current_wal_insert_lsn() - '0/0')::text as lsn`);
      await client.query(`insert into ${table} values ('last', 0, '')`);
      await waitFor(() => reader.watermark >= BigInt(rows[0]?.lsn ?? 0));
      const expected = await client.query<Record<string, string>>(`select a, b::text, v from ${table}`);
      expect(canonicalRows(reader.rows.values())).toEqual(canonicalRows(expected.rows));
      expect([reader.violations, reader.rotations, reader.handle]).toEqual([[], 0, taken.handle]);
      const resumed = lines.filter((line) => isResumed(line, taken.handle));
      return { resumed, taken };
    } finally {
      stop.abort();
      reading.abort();
      await Promise.allSettled([writing, following]);
    }
  }

  test('by SIGKILL of its router: another one goes on behind the rows that are stored, and readers notice nothing', async () => {
    const { resumed, taken } = await readThrough('killed', ({ process }) => process.kill('SIGKILL'));
    expect(resumed).toMatchObject([{ segment: 2 }]);
    // What was read but not stored is less than a piece of at most 1 MiB.
    expect(resumed[0]?.rows).toBeGreaterThan(taken.rows - 4_000);
  });

  /** Returns how many snapshots it has hit. */
  const cut = async (): Promise<number> => {
    const { rowCount } = await client.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where application_name like 'shapecast snapshots%' and backend_xmin is not null and query like 'fetch%'`,
    );
    return rowCount ?? 0;
  };

  test('by the end of its connection, several times: the same router goes on', async () => {
    const { resumed, taken } = await readThrough('cut', async ({ process, handle }) => {
      for (let times = 0; times < 3;) {
        const hit = await cut();
        if (hit === 0) continue;
        times += hit;
        // And again once it goes on.
        await waitFor(() => lines.filter((line) => isResumed(line, handle)).length === times);
        await waitFor(async () => (await snapshotsOf(process)).some((one) => one.rows > (resumedAt(handle) ?? 0)));
      }
    });
    expect(resumed.map(({ segment }) => segment)).toEqual([2, 3, 4]);
    expect(resumed[0]?.rows).toBeGreaterThan(taken.rows - 4_000);
    const rows = resumed.map((line) => line.rows ?? 0);
    expect(rows.toSorted((a, b) => a - b)).toEqual(rows);
  });

  test('and with nobody writing, it does not wait for somebody who does', async () => {
    const { resumed } = await readThrough(
      'idle',
      async () => void (await waitFor(async () => (await cut()) > 0)),
      false,
    );
    expect(resumed).toMatchObject([{ segment: 2 }]);
  });
});
