import { existsSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isRunning, waitGone } from '@shapecast/local-postgres';
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { redisCommand } from '../servers/resp.ts';
import { sharedNatsUrl, sharedPostgresUrl, sharedRedisUrl } from '../vitest/shared-servers.ts';
import { waitFor } from '../wait-for.ts';
import { startCluster, type Cluster, type ClusterOptions } from './start-cluster.ts';

const standIn = fileURLToPath(new URL('./stand-in.ts', import.meta.url));

interface StandInReport {
  readonly name: string;
  readonly pid: number;
  readonly env: Readonly<Record<string, string>>;
}

async function start(options: ClusterOptions = {}): Promise<Cluster> {
  const cluster = await startCluster({
    databaseUrl: sharedPostgresUrl(),
    natsUrl: sharedNatsUrl(),
    redisUrl: sharedRedisUrl(),
    entries: { replicator: standIn, router: standIn, api: standIn },
    ...options,
  });
  onTestFinished(() => cluster.stop());
  return cluster;
}

async function report(url: string): Promise<StandInReport> {
  return (await (await fetch(url)).json()) as StandInReport;
}

test('starts as many processes of each role as asked, and nothing is left of them after stop', async () => {
  const cluster = await start({ replicators: 1, routers: 3, apis: 2 });
  expect(cluster.processes.map((process) => process.name)).toEqual([
    ...['replicator-1', 'router-1', 'router-2', 'router-3'],
    ...['api-1', 'api-2'],
  ]);
  const pids = cluster.processes.map((process) => process.pid);
  expect(new Set(pids).size).toBe(6);
  for (const { url, pid, name } of cluster.processes) expect(await report(url)).toMatchObject({ name, pid });

  await cluster.stop();

  expect(await waitGone(pids, 0)).toBe(true);
  expect(existsSync(cluster.logDir)).toBe(false);
  await expect(fetch(cluster.url)).rejects.toThrow();
});

test('requests to the cluster reach the API processes in turn', async () => {
  const cluster = await start({ replicators: 1, routers: 1 });
  const names = [];
  for (let i = 0; i < 4; i += 1) names.push((await report(cluster.url)).name);
  expect(names.toSorted()).toEqual(['api-1', 'api-1', 'api-2', 'api-2']);
});

test('a process that was killed comes back under a new process id at the same address', async () => {
  const events: string[] = [];
  const cluster = await start({ onEvent: (event) => events.push(event) });
  const router = cluster.process('router-2');
  const { pid, url } = router;
  process.kill(pid, 'SIGKILL');
  await waitFor(() => router.pid !== pid, { describe: () => events });
  await waitFor(() =>
    fetch(url).then(
      () => true,
      () => false,
    ),
  );
  expect(router.url).toBe(url);
  expect((await report(url)).pid).toBe(router.pid);
  expect(events).toContain(`router-2 started, pid ${router.pid}`);
});

test('kill() resolves once the process is gone, and restart() does not wait for the supervisor', async () => {
  const cluster = await start({ autoRestart: false });
  const api = cluster.process('api-1');
  const { pid } = api;
  await api.kill();
  expect(await isRunning(pid)).toBe(false);
  expect((await report(cluster.url)).name).toBe('api-2');
  await api.restart();
  expect(api.pid).not.toBe(pid);
  await cluster.waitReady();
});

test('knows the replicator that leads', async () => {
  const cluster = await start();
  expect(await cluster.leader()).toBe('replicator-1');
});

test('gives each process its place, and passes settings of the caller on', async () => {
  const cluster = await start({
    env: { ELECTRIC_SHAPE_CHUNK_BYTES_THRESHOLD: '1234', ELECTRIC_SECRET: 'open sesame' },
  });
  const api = await report(cluster.process('api-1').url);
  expect(api.env).toMatchObject({
    DATABASE_URL: sharedPostgresUrl(),
    SHAPECAST_NATS_URL: sharedNatsUrl(),
    SHAPECAST_REDIS_URL: sharedRedisUrl(),
    SHAPECAST_INSTANCE_ID: 'api-1',
    SHAPECAST_STREAM_REPLICAS: '1',
    ELECTRIC_SHAPE_CHUNK_BYTES_THRESHOLD: '1234',
    ELECTRIC_SECRET: 'open sesame',
  });
  expect(api.env).not.toHaveProperty('ELECTRIC_INSECURE');
});

test('gives up with the words of a service that keeps ending', async () => {
  const failing = start({ replicators: 1, routers: 1, apis: 1, env: { ELECTRIC_STAND_IN: 'broken' } });
  await expect(failing).rejects.toThrow('expected a power of two');
});

test('starts servers of its own where no URL is given', async () => {
  const entries = { replicator: standIn, router: standIn, api: standIn };
  const cluster = await startCluster({ replicators: 1, routers: 1, apis: 1, entries });
  onTestFinished(() => cluster.stop());
  expect(cluster.servers.map((server) => server.role).toSorted()).toEqual(['nats', 'postgres', 'redis']);
  const pids = cluster.servers.map((server) => server.pid as number);
  const folders = cluster.servers.map((server) => server.dataDir);
  await cluster.stop();
  expect(await waitGone(pids, 0)).toBe(true);
  expect(folders.filter((folder) => existsSync(folder))).toEqual([]);
});

test('with proxies each process has a network of its own, which can be cut', async () => {
  const cluster = await start({ routers: 2, apis: 1, replicators: 1, proxies: true });
  const router = await report(cluster.process('router-1').url);
  const linked = (['postgres', 'nats', 'redis'] as const).map((service) => cluster.link('router-1', service));
  const shared = [sharedPostgresUrl(), sharedNatsUrl(), sharedRedisUrl()];
  for (const [i, name] of ['DATABASE_URL', 'SHAPECAST_NATS_URL', 'SHAPECAST_REDIS_URL'].entries()) {
    const url = new URL(shared[i] as string);
    expect(linked[i]?.length).toBe(1);
    url.port = String(linked[i]?.[0]?.port);
    expect(router.env[name]).toBe(url.href);
  }
  expect([cluster.databaseUrl, cluster.natsUrl, cluster.redisUrl]).toEqual(shared);

  cluster.link('router-1', 'redis')[0]?.cut();

  const ping = (name: string) => redisCommand(cluster.link(name, 'redis')[0]?.port as number, 'PING');
  await expect(ping('router-1')).rejects.toThrow('ECONNREFUSED');
  expect(await ping('router-2')).toBe('PONG');
  await cluster.stop();
  await expect(redisCommand(linked[2]?.[0]?.port as number, 'PING')).rejects.toThrow('ECONNREFUSED');
});

test('has no link where it was started without proxies', async () => {
  const cluster = await start({ routers: 1, apis: 1, replicators: 1 });
  expect(() => cluster.link('router-1', 'nats')).toThrow('without proxies');
  expect(() => cluster.link('router-9', 'nats')).toThrow('no process router-9');
});

test('three NATS servers and a Redis behind Sentinel are told to the services, and each can be had', async () => {
  const entries = { replicator: standIn, router: standIn, api: standIn };
  const kinds = { nats: 3, redis: 'sentinel', proxies: true } as const;
  const cluster = await startCluster({ replicators: 1, routers: 1, apis: 1, entries, ...kinds });
  onTestFinished(() => cluster.stop());
  const names = (role: 'nats' | 'redis' | 'sentinel') => cluster.serversOf(role).map(({ name }) => name);
  expect(names('nats')).toEqual(['nats-1', 'nats-2', 'nats-3']);
  expect(names('redis')).toEqual(['redis-1', 'redis-2']);
  expect(names('sentinel')).toEqual(['sentinel-1', 'sentinel-2', 'sentinel-3']);
  const { env } = await report(cluster.process('api-1').url);
  expect(env['SHAPECAST_STREAM_REPLICAS']).toBe('3');
  expect(env['SHAPECAST_REDIS_URL']).toBe(cluster.redisUrl);
  const ports = cluster.link('api-1', 'nats').map(({ port }) => port);
  expect(env['SHAPECAST_NATS_URL']).toBe(ports.map((port) => `nats://127.0.0.1:${port}`).join(','));
  expect(() => cluster.link('api-1', 'redis')).toThrow('addresses of its own');
});

test('a process that is added gets requests once it is ready, and one that is removed does not come back', async () => {
  const cluster = await start({ routers: 1, apis: 1, replicators: 1 });
  const added = await cluster.add('api');
  expect(added.name).toBe('api-2');
  const asked = new Set<string>();
  for (let i = 0; i < 4; i += 1) asked.add((await report(cluster.url)).name);
  expect([...asked].toSorted()).toEqual(['api-1', 'api-2']);

  await cluster.remove('api-1');

  expect(cluster.processes.map(({ name }) => name)).toEqual(['replicator-1', 'router-1', 'api-2']);
  expect((await report(cluster.url)).name).toBe('api-2');
  expect((await cluster.add('api')).name).toBe('api-3');
  expect((await cluster.add('router')).name).toBe('router-2');
});

test('with many sources each has a database and a secret, and each role is told what it needs of them and no more', async () => {
  const given = { acme: { labels: { plan: 'gold' } }, 'two-parts': { secrets: ['mine'], state: 'paused' } };
  const cluster = await start({ sources: given, replicators: 1, routers: 1, apis: 1 });
  onTestFinished(() => dropAll(cluster));
  const [acme, other] = cluster.sources;
  expect(cluster.sources.map(({ id }) => id)).toEqual(['acme', 'two-parts']);
  expect(new URL(acme?.databaseUrl ?? '').pathname).toBe('/acme');
  expect(new URL(other?.databaseUrl ?? '').pathname).toBe('/two_parts');
  expect(acme?.secret?.length).toBeGreaterThanOrEqual(32);
  expect(other?.secret).toBe('mine');
  for (const { databaseUrl } of cluster.sources) await withClient(databaseUrl, (client) => client.query('select 1'));

  const [replicator, router, api] = await Promise.all(
    ['replicator-1', 'router-1', 'api-1'].map(async (name) => (await report(cluster.process(name).healthUrl)).env),
  );
  for (const env of [replicator, router, api]) {
    expect(env?.['SHAPECAST_SOURCES']).toBe('registry');
    for (const name of ['DATABASE_URL', 'ELECTRIC_SECRET', 'ELECTRIC_INSECURE']) expect(env).not.toHaveProperty(name);
  }
  const keys = (env: object | undefined) => Object.keys(env ?? {}).filter((name) => /_SOURCES_(API_)?KEY$/.test(name));
  expect(keys(replicator).toSorted()).toEqual(['SHAPECAST_SOURCES_API_KEY', 'SHAPECAST_SOURCES_KEY']);
  expect(keys(router)).toEqual(['SHAPECAST_SOURCES_KEY']);
  expect(keys(api)).toEqual(['SHAPECAST_SOURCES_API_KEY']);
  expect(replicator?.['SHAPECAST_ADMIN_TOKEN']).toBe(cluster.adminToken);
  expect(`http://127.0.0.1:${replicator?.['SHAPECAST_ADMIN_PORT']}`).toBe(cluster.adminUrl);

  const file = replicator?.['SHAPECAST_SOURCES_FILE'] ?? '';
  const written = () => JSON.parse(readFileSync(file, 'utf8')) as { readonly sources: typeof given };
  expect(written().sources.acme).toMatchObject({ databaseUrl: acme?.databaseUrl, labels: { plan: 'gold' } });
  await cluster.writeSources({ ...given, third: {} });
  expect(cluster.sources.map(({ id }) => id)).toEqual(['acme', 'two-parts', 'third']);
  // The secret that was made up stays.
  expect(cluster.sources[0]).toEqual(acme);
  expect(Object.keys(written().sources)).toEqual(['acme', 'two-parts', 'third']);

  await cluster.stop();
  expect(existsSync(dirname(file))).toBe(false);
});

test('with one source nothing is said of many', async () => {
  const cluster = await start({ replicators: 1, routers: 1, apis: 1 });
  expect([cluster.sources, cluster.adminUrl, cluster.adminToken]).toEqual([[], undefined, undefined]);
  await expect(cluster.writeSources({})).rejects.toThrow('single source');
  const { env } = await report(cluster.process('replicator-1').url);
  expect(Object.keys(env).filter((name) => name.startsWith('SHAPECAST_SOURCES'))).toEqual([]);
});

async function withClient<T>(url: string, task: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await task(client);
  } finally {
    await client.end();
  }
}

/** The server is shared with other tests. */
async function dropAll({ sources }: Cluster): Promise<void> {
  for (const { databaseUrl } of sources) {
    const name = new URL(databaseUrl).pathname.slice(1);
    await withClient(sharedPostgresUrl(), (client) => client.query(`drop database if exists "${name}" with (force)`));
  }
}
