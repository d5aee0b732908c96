import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isRunning, waitGone } from '@shapecast/local-postgres';
import { expect, onTestFinished, test } from 'vitest';
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
