import { Client } from 'pg';
import { startCluster, waitFor, type Cluster, type ClusterProcess } from '@shapecast/testkit';
import { StrictReader } from '../support/strict-reader.ts';

export interface HandOverOptions {
  readonly runs: number;
}

/** How the leader goes: asked to, killed, or frozen with its connections open. */
const WAYS = {
  graceful: (leader: ClusterProcess) => leader.kill('SIGTERM'),
  killed: (leader: ClusterProcess) => leader.kill('SIGKILL'),
  frozen: (leader: ClusterProcess) => leader.pause(),
} as const;

const WRITE_EVERY_MS = 5;

/**
 * How long clients get no changes when the leading replicator goes, with a standby at hand and default settings. A row is
 * written every 5 ms; the gap is from the moment the leader goes until a client has a row that was written after it. In the
 * end the client must have every row, once, and must never have been told to start over.
 */
export async function handOver(options: HandOverOptions): Promise<Readonly<Record<string, unknown>>> {
  const cluster = await startCluster({
    routers: 1,
    apis: 1,
    replicators: 2,
    env: { SHAPECAST_LOG_LEVEL: 'warning' },
  });
  const client = new Client({ connectionString: cluster.databaseUrl });
  await client.connect();
  const stop = new AbortController();
  try {
    await client.query('create table hand_over (id int primary key, at float8 not null)');
    await client.query('insert into hand_over values (0, 0)');
    const reader = new StrictReader(cluster.url, { table: 'hand_over' });
    const following = reader.follow(stop.signal);
    await waitFor(() => reader.rows.size === 1);
    const writer = new Writer(client);
    const writing = writer.run(stop.signal);
    const gaps: Record<string, unknown> = {};
    for (const way of Object.keys(WAYS) as (keyof typeof WAYS)[]) {
      const ms: number[] = [];
      for (let run = 0; run < options.runs; run += 1) ms.push(await measure(cluster, reader, writer, way));
      gaps[way] = { meanMs: Math.round(ms.reduce((sum, each) => sum + each, 0) / ms.length), maxMs: Math.max(...ms) };
    }
    const lost = await missing(writer, reader);
    stop.abort();
    await Promise.all([following, writing]);
    return { runs: options.runs, gaps, rowsWritten: writer.written, lost, ...faultsOf(reader) };
  } finally {
    stop.abort();
    await client.end();
    await cluster.stop();
  }
}

/** Milliseconds. */
async function measure(
  cluster: Cluster,
  reader: StrictReader,
  writer: Writer,
  way: keyof typeof WAYS,
): Promise<number> {
  await cluster.waitReady();
  const leader = cluster.process(await cluster.leader());
  const standby = cluster.processes.find((process) => process.role === 'replicator' && process !== leader);
  if (standby === undefined) throw new Error('there is no second replicator');
  await waitFor(() => isStandby(standby), { describe: () => `${standby.name} does not stand by` });
  await waitFor(() => reader.rows.size > writer.written - 20, { describe: () => 'the client is behind' });
  const since = performance.now();
  const going = WAYS[way](leader);
  const first = writer.next;
  await waitFor(() => reader.rows.has(keyOf(first)), { timeoutMs: 120_000, intervalMs: 1 });
  const gap = Math.round(performance.now() - since);
  await going;
  // Alive again it finds that another one leads.
  if (way === 'frozen') await leader.resume();
  return gap;
}

async function isStandby(process: ClusterProcess): Promise<boolean> {
  const answer = await fetch(`${process.url}/health`).catch(() => undefined);
  return ((await answer?.json()) as { status?: string } | undefined)?.status === 'waiting';
}

/** Writes one row after the other until told to stop. */
class Writer {
  readonly #client: Client;
  /** Id of the next row whose commit has not begun. */
  next = 1;
  written = 0;

  constructor(client: Client) {
    this.#client = client;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const id = this.next;
      this.next += 1;
      await this.#client.query('insert into hand_over values ($1, $2)', [id, performance.now()]);
      this.written = id;
      await new Promise((resolve) => setTimeout(resolve, WRITE_EVERY_MS));
    }
  }
}

const keyOf = (id: number): string => `"public"."hand_over"/"${id}"`;

/** Rows that were written and do not arrive. */
async function missing(writer: Writer, reader: StrictReader): Promise<number> {
  const last = writer.written;
  await waitFor(() => reader.rows.has(keyOf(last)), { describe: () => `row ${last} does not arrive` });
  let count = 0;
  for (let id = 0; id <= last; id += 1) if (!reader.rows.has(keyOf(id))) count += 1;
  return count;
}

function faultsOf(reader: StrictReader): Readonly<Record<string, unknown>> {
  const { rotations: mustRefetch, violations } = reader;
  return { mustRefetch, doubledOrOutOfOrder: violations.length, ...(violations.length > 0 ? { violations } : {}) };
}
