import {
  redisCommand,
  startCluster,
  startNats,
  startPostgres,
  startRedis,
  waitFor,
  type Cluster,
  type TestServer,
} from '@shapecast/testkit';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startService, type Service } from '../support/service.ts';
import { StrictReader } from '../support/strict-reader.ts';

type Role = Parameters<typeof startService>[0];
interface Health {
  readonly ready: boolean;
  readonly status: string;
  readonly lastError?: string;
  readonly missing?: string;
}

/** A cluster at work, and servers of another one whose addresses get mixed up with its own. */
let cluster: Cluster;
let postgres: TestServer;
let nats: TestServer;
let redis: TestServer;
let database: pg.Client;
const strangers: Service[] = [];
const stop = new AbortController();
let reader: StrictReader;
let reading: Promise<void>;

beforeAll(async () => {
  [cluster, postgres, nats, redis] = await Promise.all([
    startCluster({ replicators: 1, routers: 1, apis: 1 }),
    startPostgres(),
    startNats(),
    startRedis(),
  ]);
  database = new pg.Client({ connectionString: cluster.databaseUrl });
  await database.connect();
  await database.query(`create table items (id int primary key, origin text not null)`);
  await database.query(`insert into items select n, 'ours' from generate_series(1, 20) n`);
  const other = new pg.Client({ connectionString: postgres.url });
  await other.connect();
  await other.query(`create table items (id int primary key, origin text not null)`);
  await other.query(`insert into items select n, 'theirs' from generate_series(1, 20) n`);
  await other.end();
  reader = new StrictReader(cluster.url, { table: 'items' });
  await reader.catchUp(stop.signal);
  reading = reader.follow(stop.signal);
});
afterAll(async () => {
  stop.abort();
  await reading;
  await Promise.all(strangers.map((service) => service.stop()));
  await database.end();
  await Promise.all([cluster.stop(), postgres.stop(), nats.stop(), redis.stop()]);
});

/** A process with the addresses of our cluster, but for those that are given. */
async function stranger(role: Role, mixedUp: Record<string, string>): Promise<Service> {
  const service = await startService(role, {
    DATABASE_URL: cluster.databaseUrl,
    SHAPECAST_NATS_URL: cluster.natsUrl,
    SHAPECAST_REDIS_URL: cluster.redisUrl,
    SHAPECAST_STREAM_MAX_BYTES: '256MiB',
    // As the process of our own is called: names do not tell clusters apart.
    SHAPECAST_INSTANCE_ID: `${role}-1`,
    ...mixedUp,
  });
  strangers.push(service);
  return service;
}

async function health(service: Service): Promise<Health | undefined> {
  const response = await fetch(`${service.healthUrl}/health`).catch(() => undefined);
  return (await response?.json()) as Health | undefined;
}

async function says(service: Service, text: string): Promise<Health> {
  const seen = await waitFor(
    async () => {
      const report = await health(service);
      return `${report?.lastError ?? ''} ${report?.missing ?? ''}`.includes(text) ? report : undefined;
    },
    { describe: () => `${text}\n${JSON.stringify(service.lines.slice(-10))}` },
  );
  return seen;
}

const warned = (service: Service, type: string) =>
  service.lines.some(
    (line) => ['warning', 'connection_error'].includes(String(line['event'])) && line['type'] === type,
  );

let written = 20;
/** Our own reader gets what is written now, and nothing that is not ours. */
async function goesOn(): Promise<void> {
  written += 1;
  await database.query(`insert into items values ($1, 'ours')`, [written]);
  await waitFor(() => reader.rows.size === written, { describe: () => `${reader.rows.size} rows of ${written}` });
  expect([...reader.rows.values()].every((row) => row['origin'] === 'ours')).toBe(true);
  expect(reader.violations).toEqual([]);
}

const shape = (service: Service) => fetch(`${service.url}/v1/shape?table=items&offset=-1`);

test('one Redis, different Postgres and NATS: the second cluster is refused, and nothing of either shows in the other', async () => {
  const theirs = { DATABASE_URL: postgres.url, SHAPECAST_NATS_URL: nats.url };
  const [replicator, router, api] = await Promise.all([
    stranger('replicator', theirs),
    stranger('router', theirs),
    stranger('api', theirs),
  ]);
  await waitFor(async () => (await health(replicator))?.status === 'active');
  expect((await says(router, 'two clusters are pointed at one Redis')).ready).toBe(false);
  expect(warned(router, 'foreign_store')).toBe(true);
  expect(await says(api, 'reaches the Redis of another installation')).toMatchObject({ ready: false });
  const answer = await shape(api);
  expect([answer.status, await answer.text()]).toEqual([503, expect.stringContaining('another installation')]);
  await goesOn();
  expect(reader.rotations).toBe(0);
  await Promise.all([replicator, router, api].map((service) => service.stop()));
});

test('one NATS, different Postgres: the second replicator and router are refused', async () => {
  const replicator = await stranger('replicator', { DATABASE_URL: postgres.url });
  const router = await stranger('router', { DATABASE_URL: postgres.url });
  expect(await says(replicator, 'another database leads this source')).toMatchObject({ status: 'waiting' });
  expect((await says(router, 'reaches another database')).ready).toBe(false);
  expect([warned(replicator, 'foreign_leader'), warned(router, 'other_database')]).toEqual([true, true]);
  await goesOn();
  expect(reader.rotations).toBe(0);
  await Promise.all([replicator.stop(), router.stop()]);
});

test('a router and an API pod with another Redis are refused, and the others keep their shards', async () => {
  const elsewhere = { SHAPECAST_REDIS_URL: redis.url, SHAPECAST_INSTANCE_ID: 'stranger' };
  const [router, api] = await Promise.all([stranger('router', elsewhere), stranger('api', elsewhere)]);
  expect((await says(router, 'another Redis than the other routers')).ready).toBe(false);
  await says(api, 'another Redis than the routers of its cluster');
  expect([warned(router, 'other_store'), warned(api, 'other_store')]).toEqual([true, true]);
  const answer = await shape(api);
  expect([answer.status, await answer.text()]).toEqual([503, expect.stringContaining('another Redis')]);
  await goesOn();
  expect(reader.rotations).toBe(0);
  await Promise.all([router.stop(), api.stop()]);
});

test('F96 one slot, different NATS: the second waits for the lock, and says that it is held by none of its own', async () => {
  const replicator = await stranger('replicator', {
    SHAPECAST_NATS_URL: nats.url,
    SHAPECAST_SOURCE_ID: 'other',
    // After so long it takes nobody of its own for the holder.
    SHAPECAST_LEASE_REPLICATOR: '2s',
  });
  expect(await says(replicator, 'use the same replication stream')).toMatchObject({ status: 'waiting' });
  expect(warned(replicator, 'foreign_lock')).toBe(true);
  await goesOn();
  expect(reader.rotations).toBe(0);
  await replicator.stop();
});

test('F144 a Redis that loses its mark with everything else is ours again by itself', async () => {
  const { port } = cluster.server('redis');
  await redisCommand(port, 'FLUSHALL');
  await waitFor(async () => (await redisCommand(port, 'EXISTS', 'shapecast:{single_stack}:home')) === 1);
  await waitFor(() => reader.rotations === 1);
  await goesOn();
  await cluster.waitReady();
});
