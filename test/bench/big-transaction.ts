import { Client } from 'pg';
import { startCluster, waitFor, type Cluster } from '@shapecast/testkit';
import { CountingReader } from './counting-reader.ts';
import { cpuSeconds, peakRssMiB } from './cpu.ts';

export interface BigTransactionOptions {
  /** Text of the transaction's rows, in MiB. */
  readonly mib: number;
  readonly rows: number;
  readonly routers: number;
  readonly apis: number;
  readonly replicators: number;
}

/** Rows are spread over this many groups. */
const GROUPS = 1_000;

/**
 * One transaction of many rows, among shapes of which one takes none of it, one a thousandth, one half, and others come while
 * it is being applied. The clock runs from the commit until every shape has what is its own; each is then compared with
 * Postgres by the number and the sum of its rows. What each process took at most is the point (spec R 9.5.1).
 */
export async function bigTransaction(options: BigTransactionOptions): Promise<Readonly<Record<string, unknown>>> {
  const { mib, rows } = options;
  const cluster = await startCluster({
    routers: options.routers,
    apis: options.apis,
    replicators: options.replicators,
    env: { SHAPECAST_LOG_LEVEL: 'warning', SHAPECAST_STREAM_MAX_BYTES: '40GiB' },
    postgres: { settings: { max_wal_size: '8GB', logical_decoding_work_mem: '256MB' } },
  });
  try {
    const client = new Client({ connectionString: cluster.databaseUrl });
    await client.connect();
    await client.query('create table big (id int primary key, grp int not null, body text not null)');
    const half = GROUPS / 2;
    const shapes = { nothing: 'grp = -1', small: 'grp = 7', large: `grp < ${half}`, late0: 'grp = 8' };
    const readers = new Map<string, { reader: CountingReader; where: string }>();
    const open = (name: string, where: string) => {
      const reader = new CountingReader(cluster.url, { table: 'big', where });
      readers.set(name, { reader, where });
      return reader;
    };
    for (const name of ['nothing', 'small', 'large'] as const) await open(name, shapes[name]).catchUp();
    const before = peaks(cluster);

    const width = Math.max(1, Math.floor((mib * 1024 * 1024) / rows) - 12);
    const written = performance.now();
    await client.query(
      `insert into big select i, i % ${GROUPS}, left(repeat(md5(i::text), ${Math.ceil(width / 32)}), ${width})
       from generate_series(1, $1::int) i`,
      [rows],
    );
    const committed = performance.now();
    const writeSeconds = (committed - written) / 1000;
    const late = createWhileApplied(committed, writeSeconds, (index) => open(`late${index}`, `grp = ${8 + index}`));

    const done: Record<string, number> = {};
    const expected = new Map<string, { n: number; sum: bigint }>();
    const expect = async (where: string) => {
      const sql = `select count(*)::int as n, coalesce(sum(id), 0)::text as sum from big where ${where}`;
      const [row] = (await client.query<{ n: number; sum: string }>(sql)).rows;
      return { n: row?.n ?? 0, sum: BigInt(row?.sum ?? 0) };
    };
    for (const { where } of readers.values()) expected.set(where, await expect(where));
    const finish = async (name: string) => {
      const { reader, where } = readers.get(name) as { reader: CountingReader; where: string };
      const want = expected.get(where) ?? (await expect(where));
      await waitFor(
        async () => {
          if (reader.rows < want.n) await reader.catchUp();
          return reader.rows >= want.n;
        },
        { timeoutMs: 3_600_000, intervalMs: 250, describe: () => `${name}: ${reader.rows} of ${want.n} rows` },
      );
      done[name] = round((performance.now() - committed) / 1000);
      if (reader.rows !== want.n || reader.sum !== want.sum || reader.violations.length > 0) {
        throw new Error(`${name}: ${reader.rows} rows, sum ${reader.sum}; Postgres ${want.n}, ${want.sum}`);
      }
    };
    await finish('small');
    const visibleSeconds = done['small'] as number;
    const lateNames = await late.stop();
    for (const name of ['nothing', ...lateNames, 'large']) await finish(name);
    const rotations = Object.fromEntries([...readers].map(([name, { reader }]) => [name, reader.rotations]));
    await client.end();
    return {
      ...options,
      rowBytes: width,
      writeSeconds: round(writeSeconds),
      visibleSeconds,
      rowsPerSecond: Math.round(rows / visibleSeconds),
      readSeconds: done,
      rotations,
      peakRssMiB: peaks(cluster),
      peakRssBeforeMiB: before,
      cpuSeconds: Object.fromEntries(cluster.processes.map(({ name, pid }) => [name, round(cpuSeconds(pid))])),
      lateShapes: lateNames.length,
    };
  } finally {
    await cluster.stop();
  }
}

/** Opens shapes at growing distances from the commit until told to stop; then says which. */
function createWhileApplied(committed: number, unit: number, open: (index: number) => CountingReader) {
  const names: string[] = [];
  let stopped = false;
  const run = (async () => {
    for (let index = 0; !stopped && index < 8; index += 1) {
      const due = committed + index * Math.max(250, unit * 250);
      while (!stopped && performance.now() < due) await new Promise((resolve) => setTimeout(resolve, 50));
      if (stopped) return;
      await open(index).catchUp();
      names.push(`late${index}`);
    }
  })();
  return {
    stop: async () => {
      stopped = true;
      await run;
      return names;
    },
  };
}

function peaks(cluster: Cluster): Record<string, number> {
  const all = [...cluster.processes, ...cluster.servers];
  return Object.fromEntries(all.map(({ name, pid }) => [name, pid === undefined ? 0 : peakRssMiB(pid)]));
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
