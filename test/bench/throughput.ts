import { Client } from 'pg';
import { startCluster, waitFor, type Cluster } from '@shapecast/testkit';
import { StrictReader } from '../support/strict-reader.ts';
import { cpuSeconds, peakRssMiB } from './cpu.ts';

export interface ThroughputOptions {
  readonly shapes: number;
  readonly changes: number;
  readonly changesPerTransaction: number;
  /** `each`: the rows of a transaction belong to different shapes; `one`: all to the same. */
  readonly spread: 'each' | 'one';
  readonly routers: number;
  readonly apis: number;
  readonly replicators: number;
  readonly runs: number;
}

/**
 * N shapes `id = const` over a table of N rows, updated in transactions by one connection. The clock runs from the
 * first write until every entry of the last transaction is readable over HTTP; then, outside the clock, every shape is
 * read from its start and must hold exactly what was written.
 */
export async function throughput(options: ThroughputOptions): Promise<Readonly<Record<string, unknown>>> {
  const cluster = await startCluster({
    routers: options.routers,
    apis: options.apis,
    replicators: options.replicators,
    env: { SHAPECAST_LOG_LEVEL: 'warning' },
  });
  try {
    const client = new Client({ connectionString: cluster.databaseUrl });
    await client.connect();
    await client.query('create table bench (id int primary key, n int not null, note text not null)');
    await client.query(`insert into bench select i, 0, repeat('x', 40) from generate_series(1, $1::int) i`, [
      options.shapes,
    ]);
    const readers = await openShapes(cluster, options.shapes);
    const runs: Record<string, unknown>[] = [];
    for (let run = 0; run < options.runs; run += 1) runs.push(await measure(cluster, client, readers, options));
    await client.end();
    return { ...options, ...runs.at(-1), ...(runs.length > 1 ? { allRuns: runs } : {}) };
  } finally {
    await cluster.stop();
  }
}

async function openShapes(cluster: Cluster, count: number): Promise<StrictReader[]> {
  const readers: StrictReader[] = [];
  const never = new AbortController().signal;
  let next = 1;
  const worker = async (): Promise<void> => {
    for (let id = next++; id <= count; id = next++) {
      const reader = new StrictReader(cluster.url, { table: 'bench', where: `id = ${id}` });
      readers[id - 1] = reader;
      await reader.catchUp(never);
    }
  };
  await Promise.all(Array.from({ length: 20 }, worker));
  return readers;
}

async function measure(
  cluster: Cluster,
  client: Client,
  readers: readonly StrictReader[],
  options: ThroughputOptions,
): Promise<Record<string, unknown>> {
  const never = new AbortController().signal;
  const transactions = Math.ceil(options.changes / options.changesPerTransaction);
  const written = new Array<number>(readers.length).fill(0);
  const cpuBefore = cpuByRole(cluster);
  const started = performance.now();
  let last: number[] = [];
  for (let transaction = 0; transaction < transactions; transaction += 1) {
    last = idsOf(transaction, readers.length, options);
    for (const id of last) written[id - 1] = (written[id - 1] as number) + 1;
    if (options.spread === 'each') await client.query('update bench set n = n + 1 where id = any($1::int[])', [last]);
    else await updateOneRowOften(client, last);
  }
  const writeSeconds = (performance.now() - started) / 1000;
  const lastReaders = [...new Set(last)].map((id) => readers[id - 1] as StrictReader);
  const counts = new Map(lastReaders.map((reader) => [reader, reader.entries]));
  await waitFor(
    async () => {
      for (const reader of lastReaders) {
        const id = readers.indexOf(reader);
        if (reader.entries - (counts.get(reader) as number) < (written[id] as number)) await reader.catchUp(never);
        if (reader.entries - (counts.get(reader) as number) < (written[id] as number)) return false;
      }
      return true;
    },
    { timeoutMs: 600_000, intervalMs: 5, describe: () => 'the last transaction is not readable' },
  );
  const seconds = (performance.now() - started) / 1000;
  const cpuAfter = cpuByRole(cluster);
  await verify(client, readers);
  const changes = written.reduce((sum, n) => sum + n, 0);
  return {
    changesWritten: changes,
    seconds: round(seconds),
    changesPerSecond: Math.round(changes / seconds),
    writeSeconds: round(writeSeconds),
    cpuMicrosPerChange: Object.fromEntries(
      Object.entries(cpuAfter).map(([role, after]) => [
        role,
        Math.round(((after - (cpuBefore[role] ?? 0)) * 1e6) / changes),
      ]),
    ),
    peakRssMiB: Object.fromEntries(cluster.processes.map((process) => [process.name, peakRssMiB(process.pid)])),
  };
}

/** Every shape, read to its tail, must hold its row as Postgres has it. */
async function verify(client: Client, readers: readonly StrictReader[]): Promise<void> {
  const never = new AbortController().signal;
  const { rows } = await client.query<{ id: number; n: number }>('select id, n from bench order by id');
  for (const [index, reader] of readers.entries()) {
    await reader.catchUp(never);
    const row = [...reader.rows.values()][0];
    const expected = rows[index] as { id: number; n: number };
    if (reader.violations.length > 0) throw new Error(`shape ${expected.id}: ${reader.violations[0]}`);
    if (row?.['n'] !== String(expected.n))
      throw new Error(`shape ${expected.id} has n = ${row?.['n']}, Postgres ${expected.n}`);
  }
}

function idsOf(transaction: number, shapes: number, options: ThroughputOptions): number[] {
  if (options.spread === 'one')
    return new Array<number>(options.changesPerTransaction).fill((transaction % shapes) + 1);
  const size = Math.min(options.changesPerTransaction, shapes);
  return Array.from({ length: size }, (_, i) => ((transaction * size + i) % shapes) + 1);
}

async function updateOneRowOften(client: Client, ids: readonly number[]): Promise<void> {
  const id = Number(ids[0]);
  await client.query(
    `do $$ begin for i in 1..${ids.length} loop update bench set n = n + 1 where id = ${id}; end loop; end $$`,
  );
}

function cpuByRole(cluster: Cluster): Record<string, number> {
  const totals: Record<string, number> = {};
  for (const { role, pid } of cluster.processes) totals[role] = (totals[role] ?? 0) + cpuSeconds(pid);
  for (const { role, pid } of cluster.servers)
    totals[role] = (totals[role] ?? 0) + (pid === undefined ? 0 : cpuSeconds(pid));
  totals['benchmark'] = process.cpuUsage().user / 1e6 + process.cpuUsage().system / 1e6;
  return totals;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
