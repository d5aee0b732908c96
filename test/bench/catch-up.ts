import { fork } from 'node:child_process';
import { once } from 'node:events';
import { Client } from 'pg';
import { startCluster, waitFor } from '@shapecast/testkit';
import { cpuSeconds } from './cpu.ts';
import { startMeasuredApi, type MeasuredApi } from './measured-api.ts';

export interface CatchUpOptions {
  readonly connections: number;
  readonly seconds: number;
}

interface Eaten {
  readonly answers: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Empty, or what was not as it should be. */
  readonly wrong: string;
}

const CHUNK_BYTES = 1024 * 1024;

/**
 * Closed chunks of 1 MiB of one shape, asked for again and again without a cache in front: a chunk of its snapshot and one of
 * its log. One API process is measured; the client is another process that discards what comes.
 */
export async function catchUp(options: CatchUpOptions): Promise<Readonly<Record<string, unknown>>> {
  const env = { SHAPECAST_LOG_LEVEL: 'warning', ELECTRIC_SHAPE_CHUNK_BYTES_THRESHOLD: String(CHUNK_BYTES) };
  const cluster = await startCluster({ routers: 1, apis: 1, replicators: 1, env });
  const api = await startMeasuredApi(cluster, { ...env, ELECTRIC_TWEAKS_CONN_MAX_REQUESTS: '0' });
  const client = new Client({ connectionString: cluster.databaseUrl });
  await client.connect();
  try {
    await client.query('create table catch_up (id int primary key, body text not null)');
    await client.query(`insert into catch_up select i, repeat(md5(i::text), 6) from generate_series(1, 8000) i`);
    const base = `http://127.0.0.1:${api.port}`;
    const snapshot = await follow(base, 'offset=-1', (offset) => offset.startsWith('0_'));
    await client.query(`update catch_up set body = repeat(md5(body), 6)`);
    const log = await follow(base, `offset=0_inf&handle=${snapshot.handle}`, (offset) => !offset.startsWith('0_'));
    const idle = { cluster, api, options };
    return {
      connections: options.connections,
      seconds: options.seconds,
      snapshotChunk: await eat(idle, `offset=0_0&handle=${snapshot.handle}`),
      logChunk: await eat(idle, `offset=${log.offset}&handle=${snapshot.handle}`),
    };
  } finally {
    await client.end();
    await api.stop();
    await cluster.stop();
  }
}

/** Follows the offsets until one of the kind that is looked for comes with a chunk behind it. */
async function follow(base: string, query: string, wanted: (offset: string) => boolean) {
  let next = query;
  let found: { handle: string; offset: string } | undefined;
  return waitFor(
    async () => {
      const reply = await fetch(`${base}/v1/shape?table=catch_up&${next}`);
      const { byteLength } = await reply.arrayBuffer();
      const handle = reply.headers.get('electric-handle');
      const offset = reply.headers.get('electric-offset');
      if (handle === null || offset === null) throw new Error(`${reply.status} for ${next}`);
      if (found !== undefined && byteLength > CHUNK_BYTES && !reply.headers.has('electric-up-to-date')) return found;
      next = `offset=${offset}&handle=${handle}`;
      found = wanted(offset) ? { handle, offset } : undefined;
      return undefined;
    },
    { timeoutMs: 60_000, intervalMs: 20, describe: () => `no closed chunk, at ${next}` },
  );
}

async function eat(
  {
    cluster,
    api,
    options,
  }: { cluster: Awaited<ReturnType<typeof startCluster>>; api: MeasuredApi; options: CatchUpOptions },
  query: string,
): Promise<Record<string, unknown>> {
  const path = `/v1/shape?table=catch_up&${query}`;
  const redis = cluster.server('redis').pid as number;
  // Compiles what is hot.
  await run(api.port, path, options.connections, 2);
  const before = { api: (await api.ask('report')).cpuMicros, redis: cpuSeconds(redis) };
  const eaten = await run(api.port, path, options.connections, options.seconds);
  const after = { api: (await api.ask('report')).cpuMicros, redis: cpuSeconds(redis) };
  return {
    readsPerSecond: Math.round(eaten.answers / eaten.seconds),
    mebibytesPerSecond: Math.round(eaten.bytes / eaten.seconds / 1024 ** 2),
    p50Ms: round(eaten.p50Ms),
    p99Ms: round(eaten.p99Ms),
    apiCpuMicrosPerRead: Math.round((after.api - before.api) / eaten.answers),
    redisCpuMicrosPerRead: Math.round(((after.redis - before.redis) * 1e6) / eaten.answers),
  };
}

async function run(port: number, path: string, connections: number, seconds: number): Promise<Eaten> {
  const child = fork(new URL('./byte-eater.ts', import.meta.url), [
    String(port),
    path,
    String(connections),
    String(seconds),
  ]);
  const [eaten] = (await once(child, 'message')) as [Eaten];
  if (eaten.wrong !== '') throw new Error(eaten.wrong);
  return eaten;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
