import { silentLogger, systemClock, type HealthReport } from '@shapecast/service-kit';
import { afterEach, expect, test } from 'vitest';
import { createAdmin, type Admin, type AdminDeps } from './admin.ts';

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

async function start(more: Partial<AdminDeps>): Promise<Admin> {
  const deps: AdminDeps = {
    ...{ messaging: () => undefined, sources: { mode: 'environment', id: 'one' } },
    ...{ clock: systemClock, log: silentLogger },
    ...more,
  };
  const admin = createAdmin(deps, { host: '127.0.0.1', port: 0, tokens: ['a-token-of-the-admin-api'] });
  await admin.start(new AbortController().signal);
  stops.push(() => admin.stop());
  return admin;
}

test('an admin port that is the health port answers as that, without the token', async () => {
  let report: HealthReport = { ready: false, status: 'starting' };
  let scrapes = 0;
  const metrics = () => `shapecast_scrapes ${(scrapes += 1)}\n`;
  const { port } = await start({ health: () => report, metrics });
  const get = (path: string) => fetch(`http://127.0.0.1:${port}${path}`);
  for (const path of ['/live', '/livez', '/startupz']) expect((await get(path)).status).toBe(200);
  for (const path of ['/ready', '/readyz', '/health']) expect((await get(path)).status).toBe(503);
  expect((await get('/v1/health')).status).toBe(202);
  report = { ready: true, status: 'active' };
  expect(await (await get('/health')).json()).toEqual(report);
  expect((await get('/v1/health')).status).toBe(200);
  const scraped = await get('/metrics');
  expect(scraped.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  expect(await scraped.text()).toBe('shapecast_scrapes 1\n');
  expect(await (await get('/metrics')).text()).toBe('shapecast_scrapes 2\n');
  expect((await get('/admin')).status).toBe(401);
});

test('an admin port beside a health port has neither', async () => {
  const { port } = await start({});
  for (const path of ['/live', '/metrics', '/v1/health']) {
    expect((await fetch(`http://127.0.0.1:${port}${path}`)).status).toBe(404);
  }
});
