import { freePort } from '@shapecast/local-postgres';
import { sharedNatsUrl, sharedRedisUrl, waitFor } from '@shapecast/testkit';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { send, type RawAnswer } from './support/http.ts';
import { expectInvalid, expectRefetch, header, ConformanceService } from './support/service.ts';
import { runService } from './support/service-program.ts';

function expectHealth(answer: RawAnswer, status: number, state: string): void {
  expect([answer.status, answer.text]).toEqual([status, `{"status":"${state}"}`]);
  expect(answer.headers).toMatchObject({
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-cache, no-store, must-revalidate',
  });
}

test('C034 without the database, from the start, health says starting and requests wait', async () => {
  const port = await freePort();
  const env = {
    SHAPECAST_SOURCE_ID: `nodb${port}`,
    SHAPECAST_NATS_URL: sharedNatsUrl(),
    SHAPECAST_REDIS_URL: sharedRedisUrl(),
    SHAPECAST_ALLOW_UNSAFE: 'true',
    SHAPECAST_STREAM_REPLICAS: '1',
    SHAPECAST_STREAM_MAX_BYTES: '256MiB',
  };
  const replicator = runService('replicator', {
    ...env,
    DATABASE_URL: `postgresql://nobody@127.0.0.1:${await freePort()}/none`,
    SHAPECAST_HEALTH_PORT: String(await freePort()),
    SHAPECAST_HEALTH_HOST: '127.0.0.1',
  });
  const api = runService('api', {
    ...env,
    ELECTRIC_INSECURE: 'true',
    ELECTRIC_PORT: String(port),
    SHAPECAST_HOST: '127.0.0.1',
    SHAPECAST_READY_TIMEOUT: '300ms',
    SHAPECAST_PRESTOP_DELAY: '0',
  });
  onTestFinished(async () => {
    await Promise.all([replicator.stop(), api.stop()]);
  });
  const base = `http://127.0.0.1:${port}`;
  const health = () => send(base, '/v1/health').catch(() => undefined);
  expectHealth(await waitFor(health, { describe: () => api.output }), 202, 'starting');
  await waitFor(() => /ECONNREFUSED|connection/i.test(replicator.output), { describe: () => replicator.output });
  expectHealth(await send(base, '/v1/health'), 202, 'starting');
  for (const path of ['/v1/shape?table=items&offset=-1', '/v1/shape?table=items&offset=0_0&handle=H']) {
    const answer = await send(base, path);
    expect([answer.status, answer.headers['retry-after'], answer.headers['cache-control']]).toEqual([
      503,
      '5',
      'no-store',
    ]);
    expect(answer.text).toMatch(/^\{"message":"Timeout waiting for /);
  }
  // Nothing has to be ready for these.
  expectInvalid(await send(base, '/v1/shape?x=%zz'), {});
  expect((await send(base, '/')).status).toBe(200);
});

describe('a cluster that loses its replicators', () => {
  let service: ConformanceService;
  beforeAll(async () => {
    service = await ConformanceService.start({
      autoRestart: false,
      env: {
        SHAPECAST_READY_TIMEOUT: '500ms',
        SHAPECAST_PRESTOP_DELAY: '0',
        ELECTRIC_ENABLE_INTEGRATION_TESTING: 'false',
      },
    });
    await service.db.query(`insert into items values (1, 'one')`);
  });
  afterAll(() => service.stop());

  /** The whole of HE-3, in order: what is possible changes as the cluster does. */
  test('C033, C035, C036, C250 it is active, then waiting, and then active again', async () => {
    const health = (method = 'GET') => service.send('/v1/health', { method });
    expectHealth(await health(), 200, 'active');
    const head = await health('HEAD');
    expect([head.status, head.text]).toEqual([200, '']);
    const { handle, offset } = await service.read();
    const other = await service.open({ where: 'id > 1' });
    const tag = header(await service.shape({ offset: '-1' }), 'etag');

    await service.cluster.process('replicator-1').kill('SIGTERM');
    const waiting = await waitFor(
      async () => {
        const answer = await health();
        return answer.status === 202 ? answer : undefined;
      },
      { timeoutMs: 30_000 },
    );
    expectHealth(waiting, 202, 'waiting');

    // Shapes that exist: data, 304, live, and the 409 to the one that is there.
    const first = await service.shape({ offset: '-1' });
    expect([first.status, header(first, 'electric-handle')]).toEqual([200, handle]);
    expect((await service.shape({ offset: '0_0', handle })).status).toBe(200);
    expect((await service.shape({ offset: 'now' })).status).toBe(200);
    expect((await service.shape({ offset: '-1' }, { headers: { 'if-none-match': tag } })).status).toBe(304);
    const held = await service.shape({ offset, handle, live: 'true' });
    expect([held.status, held.headers['electric-up-to-date']]).toEqual([200, '']);
    expectRefetch(await service.shape({ offset: '0_0', handle: other.handle }), handle);
    expectRefetch(await service.shape({ offset: '0_0', handle: 'unknown' }), handle);

    // What would have to be made or deleted.
    const refused = await Promise.all([
      service.shape({ offset: '-1', where: 'id > 2' }),
      service.shape({ offset: 'now', where: 'id > 2' }),
      service.shape({ offset: '0_0', handle, where: 'id > 2' }),
      service.shape({ offset: '-1', where: 'id > 2' }, { method: 'HEAD' }),
      service.shape({ offset: '-1', where: 'id > 2' }, { method: 'POST' }),
      service.shape({}, { method: 'DELETE' }),
      service.send(`/v1/shape?handle=${handle}`, { method: 'DELETE' }),
      service.send('/v1/shape', { method: 'DELETE' }),
    ]);
    for (const [i, answer] of refused.entries()) {
      expect([i, answer.status, answer.headers['retry-after']]).toEqual([i, 503, '5']);
      expect(answer.headers['cache-control']).toBe(i < 4 ? 'no-store' : 'no-cache');
      if (i !== 3) expect(answer.text).toMatch(/^\{"message":"Timeout waiting for /);
    }
    // Parameters come before that.
    expectInvalid(await service.shape({ offset: '-1', where: '1 x 1' }), {
      where: ['At location 17: syntax error at or near "x"'],
    });

    await service.cluster.process('replicator-1').restart();
    await service.cluster.waitReady();
    expectHealth(await health(), 200, 'active');
    expect((await service.open()).handle).toBe(handle);
    const created = await service.shape({ offset: '-1', where: 'id > 2' });
    expect(created.status).toBe(200);
    await service.db.query(`insert into items values (2, 'two')`);
    const removal = await service.shape({}, { method: 'DELETE' });
    expect([removal.status, removal.text]).toEqual([405, '{"message":"DELETE not allowed"}']);
    expect(removal.headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-cache',
    });
    const news = await service.shape({ offset, handle, live: 'true' });
    expect(news.text).toContain('"two"');
  });

  test('HE-2 health answers while Postgres is stopped, without asking it', async () => {
    const postgres = service.cluster.server('postgres');
    await postgres.pause();
    onTestFinished(() => postgres.resume());
    const answer = await service.send('/v1/health');
    expect(answer.text).toMatch(/^\{"status":"(active|waiting)"\}$/);
  });

  test('Redis gone: existing shapes cannot be served, and health says starting', async () => {
    const redis = service.cluster.server('redis');
    await redis.kill();
    const answer = await waitFor(
      async () => {
        const health = await service.send('/v1/health');
        return health.status === 202 ? health : undefined;
      },
      { timeoutMs: 30_000 },
    );
    expectHealth(answer, 202, 'starting');
    const refused = await service.shape({ offset: '-1' });
    expect([refused.status, refused.headers['cache-control']]).toEqual([503, 'no-store']);
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect(refused.text).toMatch(/^\{"message":"Timeout waiting for /);
  });
});
