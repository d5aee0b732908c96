import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { freePort } from '@shapecast/local-postgres';
import {
  createDatabase,
  sharedPostgresUrl,
  startNats,
  waitFor,
  type TestDatabase,
  type TestServer,
} from '@shapecast/testkit';
import { METRICS, prometheusName, type MetricName } from '@shapecast/telemetry';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

/** What is told only where there is something to tell. */
const SOMETIMES: ReadonlySet<string> = new Set<MetricName>([
  // While something is wrong, or refused.
  ...(['shapecast.source.problem', 'shapecast.publication.errors.count'] as const),
  // Of sources with limits.
  ...(['shapecast.tenant.usage', 'shapecast.tenant.limit', 'shapecast.tenant.refused.count'] as const),
  // Nobody has asked for a table yet, and nothing was stored.
  ...(['shapecast.publication.actions.count', 'shapecast.e2e.lag'] as const),
  // Postgres of this test keeps WAL without a limit.
  ...(['shapecast.slot.safe_wal_size', 'shapecast.slot.max_keep_size'] as const),
  // Once every shard has said how far it is, of which no router is there to do so.
  'shapecast.stream.durable_lsn_lag',
  // With a file of sources only.
  ...(['shapecast.config.last_reload.successful', 'shapecast.config.last_reload.success_timestamp'] as const),
]);

const main = fileURLToPath(new URL('./main.ts', import.meta.url));

describe('the replicator process', () => {
  let nats: TestServer;
  let database: TestDatabase;
  let port: number;
  const children: ChildProcess[] = [];

  beforeAll(async () => {
    nats = await startNats();
    database = await createDatabase(sharedPostgresUrl());
    port = await freePort();
  });
  afterAll(async () => {
    for (const child of children) child.kill('SIGKILL');
    await nats.stop();
    await database.drop();
  });

  function run(env: Record<string, string>): { child: ChildProcess; output: () => string } {
    const child = spawn(process.execPath, [main], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    children.push(child);
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()));
    return { child, output: () => text };
  }

  const health = async (path: string): Promise<{ code: number; body: string }> => {
    try {
      const response = await fetch(`http://127.0.0.1:${port}${path}`);
      return { code: response.status, body: await response.text() };
    } catch {
      return { code: 0, body: '' };
    }
  };

  test('lives without NATS, becomes ready when it comes, and leaves on SIGTERM', async () => {
    await nats.kill();
    const { child, output } = run({
      DATABASE_URL: database.url,
      SHAPECAST_NATS_URL: nats.url,
      SHAPECAST_STREAM_REPLICAS: '1',
      SHAPECAST_ALLOW_UNSAFE: 'true',
      SHAPECAST_STREAM_MAX_BYTES: '256MiB',
      SHAPECAST_HEALTH_PORT: String(port),
      SHAPECAST_HEALTH_HOST: '127.0.0.1',
      ELECTRIC_REPLICATION_STREAM_ID: database.name,
    });
    await waitFor(async () => (await health('/live')).code === 200, { describe: output });
    expect(await health('/ready')).toMatchObject({ code: 503, body: expect.stringContaining('"starting"') as string });
    await waitFor(() => /NATS/.test(output()), { describe: output });
    await nats.start();
    await waitFor(async () => (await health('/ready')).code === 200, { describe: output });
    expect(JSON.parse((await health('/health')).body)).toMatchObject({ ready: true, status: 'active', incarnation: 1 });
    const { code: answered, body: scraped } = await health('/metrics');
    expect(answered).toBe(200);
    const told = (name: string) => scraped.match(new RegExp(`^${name}(?:_count)?(?:{[^}]*})? (.*)$`, 'm'))?.[1];
    expect(told('shapecast_replicator_leader')).toBe('1');
    expect(told('shapecast_bus_connected')).toBe('1');
    expect(told('shapecast_postgres_connected')).toBe('1');
    expect(told('shapecast_ready')).toBe('1');
    await waitFor(async () => missing((await health('/metrics')).body).length === 0, {
      describe: () => missing(scraped).join(),
    });
    child.kill('SIGTERM');
    const [code] = (await once(child, 'exit')) as [number];
    expect(code).toBe(0);
    expect(output()).toMatch(/stopped/);
  });

  /** Of what a process with one source that works always has, what is not told. */
  function missing(text: string): string[] {
    const told = new Set(Array.from(text.matchAll(/^# TYPE (\S+)/gm), ([, name]) => name));
    return Object.keys(METRICS)
      .map((name) => name as MetricName)
      .filter((name) => (METRICS[name].roles as readonly string[]).includes('replicator') && !SOMETIMES.has(name))
      .map(prometheusName)
      .filter((name) => !told.has(name));
  }

  test('a wrong configuration ends it with one message that names the variables', async () => {
    const { child, output } = run({ DATABASE_URL: 'mysql://me:secret@db/app', SHAPECAST_SHARDS: '7' });
    const [code] = (await once(child, 'exit')) as [number];
    expect(code).toBe(1);
    expect(output()).toMatch(/DATABASE_URL.*SHAPECAST_NATS_URL.*SHAPECAST_SHARDS/);
    expect(output()).not.toMatch(/secret/);
  });
});
