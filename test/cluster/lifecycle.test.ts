import { eventsSubject, openNatsMessaging } from '@shapecast/messaging';
import { CONDITIONS, silentLogger, systemClock } from '@shapecast/service-kit';
import { startNats, startPostgres, startRedis, waitFor, type TestServer } from '@shapecast/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startService, type Service } from '../support/service.ts';

type Role = Parameters<typeof startService>[0];
const ROLES: readonly Role[] = ['replicator', 'router', 'api'];

let postgres: TestServer;
let nats: TestServer;
let redis: TestServer;
const services: Service[] = [];

beforeAll(async () => {
  // Started once, so that their addresses are known while they are away.
  [postgres, nats, redis] = await Promise.all([startPostgres(), startNats(), startRedis()]);
  await Promise.all([postgres.kill(), nats.kill(), redis.kill()]);
});
afterAll(async () => {
  await Promise.all(services.map((service) => service.stop()));
  await Promise.all([postgres.stop(), nats.stop(), redis.stop()]);
});

async function start(role: Role, env: Record<string, string> = {}): Promise<Service> {
  const service = await startService(role, {
    DATABASE_URL: postgres.url,
    SHAPECAST_NATS_URL: nats.url,
    SHAPECAST_REDIS_URL: redis.url,
    SHAPECAST_STREAM_MAX_BYTES: '256MiB',
    ...env,
  });
  services.push(service);
  await waitFor(async () => (await get(service, '/livez'))?.status === 200, { describe: () => written(service) });
  return service;
}

async function get(service: Service, path: string): Promise<{ status: number; report: Report } | undefined> {
  try {
    const response = await fetch(`${service.healthUrl}${path}`);
    const text = await response.text();
    return { status: response.status, report: (text.startsWith('{') ? JSON.parse(text) : {}) as Report };
  } catch {
    return undefined;
  }
}

interface Report {
  readonly conditions?: Readonly<Record<string, { readonly ok: boolean; readonly since: string }>>;
  readonly installation?: string;
  readonly events?: Readonly<Record<string, number>>;
}

const written = (service: Service): string => JSON.stringify(service.lines.slice(-20));
const ready = async (service: Service): Promise<boolean> => (await get(service, '/readyz'))?.status === 200;

test('every role starts without any server, and SIGTERM ends it with 0', async () => {
  const started = await Promise.all(ROLES.map((role) => start(role)));
  expect(await Promise.all(started.map(ready))).toEqual([false, false, false]);
  expect(await Promise.all(started.map((service) => service.stop()))).toEqual([0, 0, 0]);
});

test('every role becomes ready once the servers are there, tells its conditions and events, and ends with 0 when they are gone', async () => {
  const first = await start('replicator', { SHAPECAST_INSTANCE_ID: 'first' });
  const [router, api] = await Promise.all([start('router'), start('api', { SHAPECAST_LOG_LEVEL: 'debug' })]);
  // Neither the order of the servers nor what they wait for meanwhile matters.
  await redis.start();
  await waitFor(() => JSON.stringify(router.lines).includes('NATS is not reachable'), {
    describe: () => written(router),
  });
  await postgres.start();
  await nats.start();
  for (const service of [first, router, api]) await waitFor(() => ready(service), { describe: () => written(service) });

  const conditions = await waitFor(
    async () => {
      const told = (await get(api, '/readyz'))?.report.conditions ?? {};
      return CONDITIONS.every((name) => told[name]?.ok === true) ? told : undefined;
    },
    { describe: () => written(api) },
  );
  expect(Object.keys(conditions).sort()).toEqual([...CONDITIONS].sort());
  const reports = await Promise.all(
    [first, router, api].map(async (service) => (await get(service, '/readyz'))?.report),
  );
  expect(new Set(reports.map((report) => report?.installation)).size).toBe(1);
  expect(reports[0]?.installation).toMatch(/^[0-9a-f-]{36}$/);
  expect(reports[0]?.events).toMatchObject({ connection_lock_acquired: 1, incarnation_changed: 1, leader_changed: 1 });
  expect(reports[1]?.events).toMatchObject({ shard_owner_changed: 8 });

  const deps = { clock: systemClock, log: silentLogger };
  const listener = await openNatsMessaging({ url: nats.url }, deps, new AbortController().signal);
  const heard: Record<string, unknown>[] = [];
  listener.hints.subscribe(
    eventsSubject('single_stack'),
    (payload) => heard.push(JSON.parse(new TextDecoder().decode(payload)) as Record<string, unknown>),
    () => undefined,
  );
  const second = await start('replicator', { SHAPECAST_INSTANCE_ID: 'second' });
  const standing = { event: 'waiting_for_connection_lock', service: 'replicator', instance: 'second' };
  await waitFor(() => heard.some(({ instance, event }) => instance === 'second' && event === standing.event));
  expect(await first.stop()).toBe(0);
  await waitFor(() => heard.some(({ event, holder }) => event === 'leader_changed' && holder === 'second'));
  expect(heard).toContainEqual(expect.objectContaining({ ...standing, source: 'single_stack' }));
  await listener.close();

  await Promise.all([postgres.kill(), nats.kill(), redis.kill()]);
  for (const service of [second, router, api]) {
    await waitFor(async () => !(await ready(service)), { describe: () => written(service) });
    expect((await get(service, '/livez'))?.status).toBe(200);
  }
  expect(await Promise.all([second, router, api].map((service) => service.stop()))).toEqual([0, 0, 0]);
});
