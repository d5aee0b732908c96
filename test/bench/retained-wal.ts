import { Client } from 'pg';
import { startCluster, waitFor, type Cluster } from '@shapecast/testkit';
import { StrictReader } from '../support/strict-reader.ts';

export interface RetainedWalOptions {
  readonly seconds: number;
  readonly connections: number;
  readonly changesPerTransaction: number;
}

interface Sample {
  readonly at: number;
  /** All in bytes of WAL. */
  readonly wal: number;
  readonly restart: number;
  readonly confirmed: number;
  /** Where the tx stream stood: a moment later than the others, so that distances are rather too large. */
  readonly stored: number;
}

const SAMPLE_MS = 50;
/** What the confirmed position is told once every so often, where stored records need not age (spec R 8.6.2). */
const TICK_MS = 100;

/**
 * How far the slot stays behind the tx stream under load that never pauses: several connections insert, one transaction after the
 * other, into a table with a shape. Stored records count at once (`SHAPECAST_CONFIRM_DELAY=0`, as with `sync_interval: always`);
 * any delay comes on top as that much time. WAL is kept from the restart position on, which Postgres moves when it decodes a list
 * of running transactions: those are in the WAL every 15 s and at every checkpoint.
 */
export async function retainedWal(options: RetainedWalOptions): Promise<Readonly<Record<string, unknown>>> {
  const cluster = await startCluster({
    routers: 1,
    apis: 1,
    replicators: 1,
    env: { SHAPECAST_LOG_LEVEL: 'warning', SHAPECAST_CONFIRM_DELAY: '0' },
  });
  const client = new Client({ connectionString: cluster.databaseUrl });
  await client.connect();
  const stop = new AbortController();
  try {
    await client.query('create table load (id int generated always as identity primary key, note text)');
    await new StrictReader(cluster.url, { table: 'load', where: 'id < 0' }).catchUp(stop.signal);
    const writers = Array.from({ length: options.connections }, () => write(cluster, options, stop.signal));
    const samples = await sample(cluster, client, options.seconds);
    stop.abort();
    const transactions = (await Promise.all(writers)).reduce((sum, each) => sum + each, 0);
    const { seconds, connections, changesPerTransaction } = options;
    return { seconds, connections, changesPerTransaction, transactions, ...figures(samples) };
  } finally {
    stop.abort();
    await client.end();
    await cluster.stop();
  }
}

async function write(cluster: Cluster, options: RetainedWalOptions, signal: AbortSignal): Promise<number> {
  const client = new Client({ connectionString: cluster.databaseUrl });
  await client.connect();
  let written = 0;
  while (!signal.aborted) {
    await client.query(`insert into load (note) select repeat('x', 200) from generate_series(1, $1::int)`, [
      options.changesPerTransaction,
    ]);
    written += 1;
  }
  await client.end();
  return written;
}

async function sample(cluster: Cluster, client: Client, seconds: number): Promise<Sample[]> {
  const leader = cluster.process(await cluster.leader());
  const samples: Sample[] = [];
  const until = performance.now() + seconds * 1_000;
  await waitFor(
    async () => {
      const { rows } = await client.query<Record<'wal' | 'restart' | 'confirmed', string>>(
        `select (pg_current_wal_lsn() - '0/0')::text as wal, (restart_lsn - '0/0')::text as restart,
           (confirmed_flush_lsn - '0/0')::text as confirmed from pg_replication_slots`,
      );
      const slot = rows[0];
      const health = (await (await fetch(`${leader.url}/health`)).json()) as { readonly durable?: string };
      if (slot === undefined || health.durable === undefined) throw new Error('nobody replicates');
      const { wal, restart, confirmed } = slot;
      samples.push({
        at: performance.now(),
        wal: Number(wal),
        restart: Number(restart),
        confirmed: Number(confirmed),
        stored: Number(health.durable),
      });
      return performance.now() >= until;
    },
    { intervalMs: SAMPLE_MS, timeoutMs: seconds * 1_000 + 60_000 },
  );
  return samples;
}

function figures(samples: readonly Sample[]): Readonly<Record<string, unknown>> {
  const first = samples[0] as Sample;
  const last = samples.at(-1) as Sample;
  const bytesPerMs = (last.wal - first.wal) / (last.at - first.at);
  const behind = samples.map(({ stored, confirmed }) => Math.max(0, stored - confirmed));
  return {
    samples: samples.length,
    walMiBPerSecond: round(mebibytes(bytesPerMs * 1_000)),
    // WAL of one tick: what is confirmed together.
    batchMiB: round(mebibytes(bytesPerMs * TICK_MS)),
    confirmedBehindStreamMiB: spread(behind.map(mebibytes)),
    confirmedBehindStreamMs: spread(behind.map((bytes) => bytes / bytesPerMs)),
    streamBehindWalMiB: spread(samples.map(({ wal, stored }) => mebibytes(Math.max(0, wal - stored)))),
    restartBehindConfirmedMiB: spread(samples.map(({ restart, confirmed }) => mebibytes(confirmed - restart))),
    retainedMiB: spread(samples.map(({ wal, restart }) => mebibytes(wal - restart))),
  };
}

function spread(values: readonly number[]): Readonly<Record<string, number>> {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0);
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

function mebibytes(bytes: number): number {
  return bytes / 1_048_576;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
