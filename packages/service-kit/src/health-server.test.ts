import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HealthServer, type HealthReport } from './health-server.ts';

describe('the health port', () => {
  let report: HealthReport;
  let server: HealthServer;
  const ask = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`);
    return { code: response.status, text: (await response.text()).trim() };
  };

  beforeEach(async () => {
    report = { ready: true, status: 'active' };
    server = new HealthServer(() => report, { port: 0, host: '127.0.0.1' });
    await server.start();
  });
  afterEach(() => server.stop());

  test.each(['/live', '/livez', '/startupz'])('%s says that the process runs, whatever it has lost', async (path) => {
    report = { ready: false, status: 'starting' };
    expect(await ask(path)).toEqual({ code: 200, text: 'ok' });
  });

  test.each(['/ready', '/readyz', '/health'])(
    '%s says whether it can do its job, and tells all it knows',
    async (path) => {
      report = { ready: true, status: 'waiting', epoch: 3 };
      expect(await ask(path)).toEqual({ code: 200, text: JSON.stringify(report) });
      report = { ready: false, status: 'active', lastError: 'Waiting for NATS.' };
      expect(await ask(path)).toEqual({ code: 503, text: JSON.stringify(report) });
    },
  );

  test.each([
    ['active', 200, 'active'],
    ['waiting', 202, 'waiting'],
    ['taking over', 202, 'starting'],
    ['stale', 202, 'starting'],
  ])('/v1/health of a process that is %s answers %i', async (status, code, told) => {
    report = { ready: false, status };
    expect(await ask('/v1/health')).toEqual({ code, text: `{"status":"${told}"}` });
  });

  test('nothing else is there, and no metrics where there are none', async () => {
    expect((await ask('/metrics/no')).code).toBe(404);
    expect((await ask('/metrics')).code).toBe(404);
  });
});

test('/metrics says what was measured up to the moment of asking', async () => {
  let scrapes = 0;
  const metrics = () => `scrapes ${(scrapes += 1)}\n`;
  const server = new HealthServer(() => ({ ready: false, status: 'starting' }), {
    port: 0,
    host: '127.0.0.1',
    metrics,
  });
  await server.start();
  try {
    for (const expected of ['scrapes 1\n', 'scrapes 2\n']) {
      const response = await fetch(`http://127.0.0.1:${server.port}/metrics`);
      expect([response.status, await response.text()]).toEqual([200, expected]);
      expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    }
  } finally {
    await server.stop();
  }
});
