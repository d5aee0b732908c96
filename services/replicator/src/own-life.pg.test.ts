import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { freePort } from '@shapecast/local-postgres';
import { BUCKETS, openNatsMessaging, type LeaderRecord } from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import {
  createDatabase,
  sharedPostgresUrl,
  startNats,
  startTcpProxy,
  waitFor,
  type TcpProxy,
  type TestDatabase,
  type TestServer,
} from '@shapecast/testkit';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

const main = fileURLToPath(new URL('./main.ts', import.meta.url));

/** A line of the log of a replicator. */
interface Line {
  readonly event?: string;
  readonly msg?: string;
  readonly time?: string | number;
}

interface Life {
  readonly child: ChildProcess;
  readonly lines: () => readonly Line[];
  readonly output: () => string;
  /** Resolves once it leads. */
  leads(): Promise<void>;
}

let nats: TestServer;
let database: TestDatabase;
let proxy: TcpProxy;
const children: ChildProcess[] = [];

beforeAll(async () => {
  nats = await startNats();
  database = await createDatabase(sharedPostgresUrl());
  proxy = await startTcpProxy({ targetPort: Number(new URL(database.url).port) });
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
  proxy.heal();
});
afterAll(async () => {
  await proxy.stop();
  await nats.stop();
  await database.drop();
});

/** Postgres as it is reached through the proxy. */
function proxied(): string {
  const url = new URL(database.url);
  url.port = String(proxy.port);
  return url.href;
}

async function live(instance: string, url: string): Promise<Life> {
  const port = await freePort();
  const env = {
    DATABASE_URL: url,
    SHAPECAST_NATS_URL: nats.url,
    SHAPECAST_STREAM_REPLICAS: '1',
    SHAPECAST_ALLOW_UNSAFE: 'true',
    SHAPECAST_STREAM_MAX_BYTES: '256MiB',
    SHAPECAST_HEALTH_PORT: String(port),
    SHAPECAST_HEALTH_HOST: '127.0.0.1',
    SHAPECAST_INSTANCE_ID: instance,
    // On a slow machine a process takes its time to start; its record has to be there by then.
    SHAPECAST_LEASE_REPLICATOR: '60s',
    SHAPECAST_WAL_SENDER_TIMEOUT: '300s',
    ELECTRIC_REPLICATION_STREAM_ID: database.name,
  };
  const child = spawn(process.execPath, [main], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const lines = () =>
    text
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Line);
  const leads = () =>
    waitFor(() => lines().some(({ event }) => event === 'leader_changed'), { describe: () => text, timeoutMs: 60_000 });
  return { child, lines, output: () => text, leads: async () => void (await leads()) };
}

/** Resolves once the leader has said who it is, which it does after it has begun. */
async function recorded(): Promise<void> {
  const parts = { clock: systemClock, log: silentLogger };
  const messaging = await openNatsMessaging({ url: nats.url }, parts, new AbortController().signal);
  try {
    await waitFor(async () => {
      const { name, ttlMs } = BUCKETS.leaders;
      const leaders = await messaging.registries.open<LeaderRecord>(name, { ttlMs });
      return (await leaders.get('single_stack')) !== undefined;
    });
  } finally {
    await messaging.close();
  }
}

async function kill({ child }: Life): Promise<void> {
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}

function timeOf(life: Life, event: string): number {
  return new Date(life.lines().find((line) => line.event === event)?.time ?? Number.NaN).getTime();
}

test('F90 F94 a replicator that was killed leads again at once although its old walsender still has lock and slot', async () => {
  const first = await live('replicator-0', proxied());
  await first.leads();
  await recorded();
  // Postgres does not hear of the end of the process: its backend stays until `wal_sender_timeout`.
  proxy.halfOpen();
  await kill(first);
  const second = await live('replicator-0', database.url);
  await second.leads();
  expect(second.output()).toMatch(/terminated the walsender of a leader that is gone/);
  const waitedMs = timeOf(second, 'connection_lock_acquired') - timeOf(second, 'waiting_for_connection_lock');
  // A standby would have waited for the lease of 60 s.
  expect(waitedMs).toBeLessThan(30_000);
});
