import { Client } from 'pg';
import { startCluster, waitFor, type Cluster } from '@shapecast/testkit';
import { createItems, delaysOf, SourceLoad } from '../support/source-load.ts';
import { cpuSeconds, peakRssMiB } from './cpu.ts';

export interface ManySourcesOptions {
  readonly sources: number;
  /** Rows per second of each source. */
  readonly writesPerSource: number;
  readonly seconds: number;
  readonly routers: number;
  readonly apis: number;
  readonly replicators: number;
}

/**
 * Many sources in one installation, each with a writer and a reader of its own, all at the same time: from commit to client, what
 * all of it costs with and without writes, and how long a source takes that is added meanwhile.
 */
export async function manySources(options: ManySourcesOptions): Promise<Readonly<Record<string, unknown>>> {
  const { sources, writesPerSource, seconds, routers, apis, replicators } = options;
  const declared = Object.fromEntries(Array.from({ length: sources }, (_, i) => [`tenant-${i}`, {}]));
  const startedAt = performance.now();
  const cluster = await startCluster({
    ...{ routers, apis, replicators },
    sources: declared,
    env: { SHAPECAST_LOG_LEVEL: 'warning' },
  });
  const readyMs = Math.round(performance.now() - startedAt);
  const loads: SourceLoad[] = [];
  try {
    const firstRowsAt = performance.now();
    loads.push(...(await Promise.all(cluster.sources.map((source) => SourceLoad.start(cluster.url, source)))));
    const firstRowsMs = Math.round(performance.now() - firstRowsAt);
    const idle = await measured(cluster, 10_000);
    const writing = new AbortController();
    const writers = loads.map((load) => load.write(writesPerSource, writing.signal));
    await pause(3_000);
    for (const load of loads) load.take();
    const busy = await measured(cluster, seconds * 1_000);
    const delays = loads.flatMap((load) => load.take());
    const addedMs = await addSource(cluster, declared);
    writing.abort();
    await Promise.all(writers);
    await Promise.all(loads.map((load) => load.settled()));
    const failures = loads.flatMap((load) => load.failures);
    return {
      ...{ sources, writesPerSource, seconds, routers, apis, replicators, readyMs, firstRowsMs },
      delaysMs: delaysOf(delays),
      addedSourceToFirstRowMs: addedMs,
      writes: loads.reduce((sum, load) => sum + load.writes, 0),
      rowsOfOthers: loads.reduce((sum, load) => sum + load.foreign, 0),
      mustRefetch: loads.reduce((sum, load) => sum + load.rotations, 0),
      failures: failures.length,
      firstFailures: [...new Set(failures)].slice(0, 5),
      cpuPercentIdle: idle,
      cpuPercentWriting: busy,
      peakRssMiB: Object.fromEntries(cluster.processes.map(({ name, pid }) => [name, peakRssMiB(pid)])),
    };
  } finally {
    await Promise.all(loads.map((load) => load.stop()));
    await cluster.stop();
  }
}

/** One that has a table and a row already, from the moment its file is written until a client has the row. Median of three. */
async function addSource(cluster: Cluster, declared: Readonly<Record<string, object>>): Promise<readonly number[]> {
  const times: number[] = [];
  const more: Record<string, object> = { ...declared };
  for (const id of ['added-1', 'added-2', 'added-3']) {
    const databaseUrl = await databaseWithRow(cluster.databaseUrl, id.replace('-', '_'));
    const secret = `secret of ${id}`;
    more[id] = { databaseUrl, secrets: [secret] };
    const from = performance.now();
    await cluster.writeSources({ ...more });
    const query = new URLSearchParams({ source_id: id, secret, table: 'items', offset: '-1' });
    await waitFor(
      async () => {
        const response = await fetch(`${cluster.url}/v1/shape?${query.toString()}`);
        const body = await response.text();
        return response.status === 200 && body.includes(id);
      },
      { timeoutMs: 60_000, intervalMs: 20 },
    );
    times.push(Math.round(performance.now() - from));
  }
  return times;
}

async function databaseWithRow(serverUrl: string, name: string): Promise<string> {
  const server = new Client({ connectionString: serverUrl });
  await server.connect();
  await server.query(`create database ${name}`);
  await server.end();
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  const client = new Client({ connectionString: url.href });
  await client.connect();
  await createItems(client);
  await client.query('insert into items (source) values ($1)', [name.replace('_', '-')]);
  await client.end();
  return url.href;
}

/** Percent of one core that each role and server used. */
async function measured(cluster: Cluster, ms: number): Promise<Readonly<Record<string, number>>> {
  const all = [...cluster.processes, ...cluster.servers];
  const used = (pid: number | undefined) => (pid === undefined ? 0 : cpuSeconds(pid));
  const before = all.map(({ pid }) => used(pid));
  const from = performance.now();
  await pause(ms);
  const elapsed = (performance.now() - from) / 1_000;
  const percent: Record<string, number> = {};
  for (const [i, { role, pid }] of all.entries()) {
    percent[role] = (percent[role] ?? 0) + (100 * (used(pid) - (before[i] as number))) / elapsed;
  }
  return Object.fromEntries(Object.entries(percent).map(([role, value]) => [role, Math.round(10 * value) / 10]));
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
