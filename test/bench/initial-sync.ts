import { Client } from 'pg';
import { startCluster, type Cluster } from '@shapecast/testkit';
import { cpuSeconds, peakRssMiB } from './cpu.ts';

export interface InitialSyncOptions {
  readonly rows: number;
  /** Readers that come after the first, one after the other. */
  readonly runs: number;
}

const ROW = Buffer.from('"operation":"insert"');

/**
 * A table is read as a shape: by a first client, which waits for the snapshot to be taken and follows it chunk by chunk, and
 * then by others, who get what is stored. Rows are counted, nothing else is done with them.
 */
export async function initialSync(options: InitialSyncOptions): Promise<Readonly<Record<string, unknown>>> {
  const cluster = await startCluster({ routers: 1, apis: 1, replicators: 1, env: { SHAPECAST_LOG_LEVEL: 'warning' } });
  const client = new Client({ connectionString: cluster.databaseUrl });
  await client.connect();
  try {
    await client.query(
      'create table synced (id int primary key, owner uuid not null, title text not null, done bool not null, at timestamptz not null)',
    );
    await client.query(
      `insert into synced select i, md5(i::text)::uuid, repeat(md5(i::text), 3) || left(md5(i::text), 16), i % 2 = 0, '2026-01-01'::timestamptz + i * interval '1 s'
       from generate_series(1, $1::int) i`,
      [options.rows],
    );
    await client.query('vacuum analyze synced');
    // The first request of a process compiles; what is measured comes after it.
    await client.query('create table warm (id int primary key)');
    await sync(cluster, 'warm');

    const first = await measure(cluster, options.rows);
    const later: Record<string, unknown>[] = [];
    for (let run = 0; run < options.runs; run += 1) later.push(await measure(cluster, options.rows));
    const peaks = cluster.processes.map((process) => [process.name, peakRssMiB(process.pid)] as const);
    return { rows: options.rows, first, later, peakRssMiB: Object.fromEntries(peaks) };
  } finally {
    await client.end();
    await cluster.stop();
  }
}

async function measure(cluster: Cluster, expected: number): Promise<Record<string, unknown>> {
  const before = cpuByRole(cluster);
  const started = performance.now();
  const { rows, bytes, firstByteMs, requests } = await sync(cluster, 'synced');
  const seconds = (performance.now() - started) / 1000;
  const after = cpuByRole(cluster);
  if (rows !== expected) throw new Error(`${rows} rows came, there are ${expected}`);
  const cpu = Object.entries(after).map(([role, used]) => [role, round(((used - (before[role] ?? 0)) * 1e6) / rows)]);
  return {
    rowsPerSecond: Math.round(rows / seconds),
    seconds: round(seconds),
    mebibytes: Math.round(bytes / 1024 ** 2),
    firstByteMs: Math.round(firstByteMs),
    requests,
    cpuMicrosPerRow: Object.fromEntries(cpu) as Record<string, number>,
  };
}

/** Follows the offsets of a shape to its tail. */
async function sync(cluster: Cluster, table: string) {
  const started = performance.now();
  const api = cluster.process('api-1').url;
  let query = 'offset=-1';
  let rows = 0;
  let bytes = 0;
  let requests = 0;
  let firstByteMs = 0;
  for (;;) {
    const reply = await fetch(`${api}/v1/shape?table=${table}&${query}`);
    if (reply.status !== 200 || reply.body === null) throw new Error(`${reply.status} ${await reply.text()}`);
    requests += 1;
    // A row's mark may be cut in two; the end of a piece is looked at again with the next one.
    let rest: Buffer = Buffer.alloc(0);
    for await (const piece of reply.body as AsyncIterable<Uint8Array>) {
      if (firstByteMs === 0) firstByteMs = performance.now() - started;
      bytes += piece.length;
      const text = Buffer.concat([rest, piece]);
      let at = text.indexOf(ROW);
      let end = 0;
      while (at >= 0) {
        rows += 1;
        end = at + ROW.length;
        at = text.indexOf(ROW, end);
      }
      rest = text.subarray(Math.max(end, text.length - ROW.length + 1));
    }
    if (reply.headers.has('electric-up-to-date')) return { rows, bytes, requests, firstByteMs };
    query = `offset=${reply.headers.get('electric-offset')}&handle=${reply.headers.get('electric-handle')}`;
  }
}

function cpuByRole(cluster: Cluster): Record<string, number> {
  const totals: Record<string, number> = {};
  for (const { role, pid } of [...cluster.processes, ...cluster.servers]) {
    totals[role] = (totals[role] ?? 0) + (pid === undefined ? 0 : cpuSeconds(pid));
  }
  const { user, system } = process.cpuUsage();
  return { ...totals, benchmark: (user + system) / 1e6 };
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
