import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { redisCommand, startCluster, waitFor, type Cluster } from '@shapecast/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';

/** The program as operators run it, with the environment of the services. */

const PROGRAM = new URL('../../services/cli/src/main.ts', import.meta.url).pathname;
const SECRET = 'hunter2';
const ADMIN_TOKEN = 'hunter2-of-the-admin-api';
const ROWS = 50;

let cluster: Cluster;
let db: Client;

beforeAll(async () => {
  cluster = await startCluster({
    ...{ routers: 1, apis: 1, replicators: 1, nats: 3, redis: 'replica' },
    postgres: { settings: { max_slot_wal_keep_size: '10GB' } },
    env: {
      ...{ ELECTRIC_SECRET: `${SECRET},older`, ELECTRIC_LONG_POLL_TIMEOUT: '500ms' },
      ...{ SHAPECAST_ADMIN_TOKEN: ADMIN_TOKEN, SHAPECAST_ADMIN_PORT: '0' },
    },
  });
  const { port } = cluster.server('redis');
  await redisCommand(port, 'CONFIG', 'SET', 'maxmemory', '1gb');
  await redisCommand(port, 'CONFIG', 'SET', 'min-replicas-to-write', '1');
  db = new Client({ connectionString: cluster.databaseUrl });
  await db.connect();
  await db.query('create table items (id int primary key, v text)');
  await db.query(`insert into items select n, repeat('x', 100) from generate_series(1, ${ROWS}) n`);
});
afterAll(async () => {
  await db.end();
  await cluster.stop();
});

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function shapecast(...args: readonly string[]): Promise<Ran> {
  const env = {
    PATH: process.env['PATH'],
    NODE_COMPILE_CACHE: join(tmpdir(), 'shapecast-compile-cache'),
    DATABASE_URL: cluster.databaseUrl,
    SHAPECAST_NATS_URL: cluster.natsUrl,
    SHAPECAST_REDIS_URL: cluster.redisUrl,
    SHAPECAST_STREAM_REPLICAS: '3',
    ELECTRIC_SECRET: `${SECRET},older`,
    SHAPECAST_ADMIN_TOKEN: ADMIN_TOKEN,
  };
  return new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM, ...args], { env, timeout: 60_000 }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, err });
    });
  });
}

test('health is active', async () => {
  expect(await shapecast('health', '--api', cluster.url, '--wait', '30')).toEqual({
    code: 0,
    out: 'active\n',
    err: '',
  });
});

test('smoke reads a shape to its end and waits for a live answer, and never tells the secret', async () => {
  const args = ['smoke', '--api', cluster.url, '--table', 'items', '--where', 'id <= 40'];
  const { code, out, err } = await shapecast(...args, '--json');
  const { rows, steps, ok } = JSON.parse(out) as {
    readonly ok: boolean;
    readonly rows: number;
    readonly steps: readonly { kind: string; code: number; bytes: number; caching: Record<string, string> }[];
  };
  expect({ code, err, ok, rows }).toEqual({ code: 0, err: '', ok: true, rows: 40 });
  expect(steps.at(0)).toMatchObject({ kind: 'initial', code: 200 });
  expect(steps.at(0)?.bytes).toBeGreaterThan(40 * 100);
  expect(steps.at(0)?.caching['cache-control']).toContain('max-age=');
  expect(steps.at(-1)).toMatchObject({ kind: 'live', code: 200 });
  const shown = await shapecast(...args);
  expect(shown.out).toMatch(/^initial {3}200 .*\n(.*\n)*live {6}200 .*\n40 rows, /);
  expect(out + shown.out).not.toContain(SECRET);
});

test('smoke fails for a table that does not exist and for an API that is not there', async () => {
  const missing = await shapecast('smoke', '--api', cluster.url, '--table', 'nothing');
  expect(missing.code).toBe(1);
  expect(missing.err).toContain('The API answered 400');
  expect((await shapecast('smoke', '--api', 'http://127.0.0.1:1', '--table', 'items')).code).toBe(1);
});

test('lag shows the slot, the stream and each shard, which all come to what was written', async () => {
  await db.query(`insert into items values (1000, 'last')`);
  const read = async () => {
    const { code, out } = await shapecast('lag', '--json', '--health', cluster.process('router-1').url);
    const report = JSON.parse(out) as {
      readonly postgres: { readonly wal: string; readonly retainedBytes: number };
      readonly stream: { readonly lastSeq: number; readonly leader: string; readonly incarnation: number };
      readonly shards: { readonly each: readonly { router: string; behindRecords: number; durableSeq: number }[] };
      readonly processes: readonly { readonly status: string }[];
    };
    return { code, ...report };
  };
  const settled = async () => {
    const report = await read();
    const { each } = report.shards;
    return each.every(({ behindRecords, durableSeq }) => behindRecords <= 1 && durableSeq > 0) ? report : undefined;
  };
  const { code, postgres, stream, shards, processes } = await waitFor(settled, { describe: () => 'a shard lags' });
  expect({ code, incarnation: stream.incarnation, leader: stream.leader }).toEqual({
    ...{ code: 0, incarnation: 1, leader: 'replicator-1' },
  });
  expect(postgres.wal).toMatch(/^[0-9A-F]+\/[0-9A-F]+$/);
  expect(new Set(shards.each.map(({ router }) => router))).toEqual(new Set(['router-1']));
  expect(processes.map(({ status }) => status)).toEqual(['active']);
});

test('sources and shapes of an installation with one source can be looked at, and only shapes be ended', async () => {
  const log = readFileSync(join(cluster.logDir, 'replicator-1.log'), 'utf8');
  const port = /"port":(\d+)[^\n]*admin API listens|admin API listens[^\n]*"port":(\d+)/
    .exec(log)
    ?.slice(1)
    .find(Boolean);
  const admin = (...args: readonly string[]) => shapecast(...args, '--admin-url', `http://127.0.0.1:${port}`);
  const listed = async () => {
    const ran = await admin('sources', 'list', '--json');
    const { sources } = JSON.parse(ran.out) as {
      sources: { id: string; status: string; usage: { processes: number } }[];
    };
    return sources[0]?.usage.processes === 3 ? sources : undefined;
  };
  const sources = await waitFor(listed, { describe: () => 'not all processes report' });
  expect(sources).toMatchObject([{ id: 'single_stack', status: 'active', origin: 'environment' }]);
  const shown = await admin('shapes', 'list');
  expect(shown).toMatchObject({ code: 0, err: '' });
  // That of the smoke test.
  expect(shown.out).toMatch(/range +public\.items +"id" <= \?::int4/);
  const handle = /\d+-\d+/.exec(shown.out)?.[0] ?? '';
  expect((await admin('shapes', 'inspect', handle)).out).toMatch(/definition\.table +items/);
  expect(await admin('shapes', 'delete', handle, '--yes')).toMatchObject({ code: 0 });
  expect(await admin('sources', 'pause', 'single_stack')).toMatchObject({
    code: 1,
    err: expect.stringContaining('SHAPECAST_SOURCES=registry') as string,
  });
});

test('doctor finds nothing in a good cluster, and what breaks in it', async () => {
  const doctor = async () => {
    const { code, out } = await shapecast('doctor', '--json', '--api', cluster.url);
    const { findings } = JSON.parse(out) as {
      findings: readonly { readonly id: string; readonly status: string; readonly message: string }[];
    };
    // Which version of Redis is installed is nothing that a test can choose.
    const bad = findings.filter(({ id, status }) => status !== 'ok' && id !== 'redis.version');
    return { code, out, bad: bad.map(({ id, status, message }) => `${id} ${status}: ${message}`) };
  };
  const good = await doctor();
  expect(good).toMatchObject({ bad: [], code: 0 });
  expect(good.out).not.toContain(SECRET);

  await redisCommand(cluster.server('redis').port, 'CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
  const evicting = await doctor();
  expect(evicting.bad).toEqual(['redis.eviction fail: maxmemory-policy is allkeys-lru: logs would lose entries.']);
  expect(evicting.code).toBe(1);
  await redisCommand(cluster.server('redis').port, 'CONFIG', 'SET', 'maxmemory-policy', 'noeviction');

  await cluster.serversOf('nats')[2]?.kill();
  const away = async () => {
    const { bad, code } = await doctor();
    return bad.some((line) => line.startsWith('nats.replicas warn')) ? { bad, code } : undefined;
  };
  expect((await waitFor(away, { describe: () => 'the loss of a copy is not seen' })).bad.join()).toMatch(
    /away or behind/,
  );
});
