import { Client } from 'pg';
import { afterEach, describe, expect, test } from 'vitest';
import { createDatabase, startNats, startPostgres, startRedis, waitFor } from '@shapecast/testkit';
import { sharedNatsUrl, sharedPostgresUrl, sharedRedisUrl } from '@shapecast/testkit/vitest';
import { freePort, startService, type Service } from '../support/service.ts';

const cleanUp: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

async function service(role: Parameters<typeof startService>[0], env: Record<string, string>): Promise<Service> {
  const started = await startService(role, { SHAPECAST_SOURCE_ID: `start_${process.pid}_${cleanUp.length}`, ...env });
  cleanUp.push(() => started.stop());
  return started;
}

async function health(url: string): Promise<{ status: number; body: Record<string, unknown> } | undefined> {
  try {
    const response = await fetch(url);
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  } catch {
    return undefined;
  }
}

const warnings = (running: Service): string =>
  JSON.stringify(running.lines.filter((line) => line['level'] === 'warn' || line['level'] === 'error'));

describe('a replicator', () => {
  test('waits as `starting` while Postgres is down, says so, and works once it is up', async () => {
    const postgres = await startPostgres();
    cleanUp.push(() => postgres.stop());
    await postgres.kill();
    const running = await service('replicator', { DATABASE_URL: postgres.url, SHAPECAST_NATS_URL: sharedNatsUrl() });
    await waitFor(async () => (await health(`${running.url}/health`))?.body['status'] === 'starting', {
      describe: () => warnings(running),
    });
    await waitFor(() => /ECONNREFUSED|not answer|not reachable|refused/i.test(warnings(running)), {
      describe: () => warnings(running),
    });
    expect((await health(`${running.url}/health`))?.status).toBe(503);
    expect(running.exited).toBe(false);
    await postgres.start();
    await waitFor(async () => (await health(`${running.url}/health`))?.status === 200, {
      describe: () => warnings(running),
    });
  });

  test('waits as `starting` while NATS is down, says so, and works once it is up', async () => {
    const database = await createDatabase(sharedPostgresUrl());
    cleanUp.push(() => database.drop());
    const nats = await startNats();
    cleanUp.push(() => nats.stop());
    await nats.kill();
    const running = await service('replicator', {
      DATABASE_URL: database.url,
      SHAPECAST_NATS_URL: nats.url,
      ELECTRIC_REPLICATION_STREAM_ID: `s${process.pid}n`,
    });
    await waitFor(() => /NATS/.test(warnings(running)), { describe: () => warnings(running) });
    expect((await health(`${running.url}/health`))?.body['status']).toBe('starting');
    expect(running.exited).toBe(false);
    await nats.start();
    await waitFor(async () => (await health(`${running.url}/health`))?.status === 200, {
      describe: () => warnings(running),
    });
  });

  test('says in one sentence that wal_level must be logical', async () => {
    const postgres = await startPostgres({ settings: { wal_level: 'replica' } });
    cleanUp.push(() => postgres.stop());
    const running = await service('replicator', { DATABASE_URL: postgres.url, SHAPECAST_NATS_URL: sharedNatsUrl() });
    await waitFor(() => /requires wal_level >= logical/.test(warnings(running)), { describe: () => warnings(running) });
    expect(running.exited).toBe(false);
    expect((await health(`${running.url}/health`))?.body['status']).toBe('starting');
  });

  test('says in one sentence that the role needs REPLICATION', async () => {
    const database = await createDatabase(sharedPostgresUrl());
    cleanUp.push(() => database.drop());
    const role = `plain_${process.pid}`;
    const admin = new Client({ connectionString: database.url });
    await admin.connect();
    await admin.query(`create role ${role} login password 'secret-of-the-test'`);
    cleanUp.push(async () => {
      await admin.query(`drop role ${role}`);
      await admin.end();
    });
    const url = new URL(database.url);
    url.username = role;
    url.password = 'secret-of-the-test';
    const running = await service('replicator', { DATABASE_URL: url.href, SHAPECAST_NATS_URL: sharedNatsUrl() });
    await waitFor(() => /REPLICATION/.test(warnings(running)), { describe: () => warnings(running) });
    expect(JSON.stringify(running.lines)).not.toContain('secret-of-the-test');
    expect(running.exited).toBe(false);
  });

  test('refuses to start with a bad setting and names it', async () => {
    const running = await service('replicator', {
      DATABASE_URL: sharedPostgresUrl(),
      SHAPECAST_NATS_URL: sharedNatsUrl(),
      SHAPECAST_SHARDS: '7',
    });
    await waitFor(() => running.exited, { describe: () => warnings(running) });
    expect(JSON.stringify(running.lines)).toContain('SHAPECAST_SHARDS');
  });
});

describe('a source that is set up while a transaction is pending', () => {
  test('A23 is `starting`, says so to who asks, and works once the transaction has ended', async () => {
    const postgres = await startPostgres();
    cleanUp.push(() => postgres.stop());
    const writer = new Client({ connectionString: postgres.url });
    await writer.connect();
    cleanUp.push(() => writer.end());
    await writer.query('create table pending (id int primary key)');
    await writer.query('begin');
    await writer.query('insert into pending values (1)');
    const env = {
      DATABASE_URL: postgres.url,
      SHAPECAST_SOURCE_ID: `pending_${process.pid}`,
      SHAPECAST_NATS_URL: sharedNatsUrl(),
      SHAPECAST_REDIS_URL: sharedRedisUrl(),
      SHAPECAST_READY_TIMEOUT: '100ms',
    };
    const replicator = await service('replicator', env);
    await service('router', env);
    const api = await service('api', env);
    const ask = async () => {
      const response = await fetch(`${api.url}/v1/shape?table=pending&offset=-1`).catch(() => undefined);
      return response && { status: response.status, text: await response.text() };
    };
    const answer = await waitFor(async () => {
      const now = await ask();
      return now?.text.includes('pending transactions') ? now : undefined;
    });
    expect(answer.status).toBe(503);
    expect(answer.text).toContain(
      "Timeout waiting for replication client to be ready. Check that you don't have pending transactions in the database.",
    );
    expect(await health(`${api.url}/v1/health`)).toMatchObject({ status: 202, body: { status: 'starting' } });
    expect((await health(`${replicator.url}/health`))?.body['status']).toBe('starting');
    await writer.query('commit');
    await waitFor(async () => (await ask())?.status === 200, { describe: () => warnings(replicator) });
  });
});

describe('a router and an API pod', () => {
  test('wait as `starting` while Redis is down, without ending', async () => {
    const redis = await startRedis();
    cleanUp.push(() => redis.stop());
    await redis.kill();
    const env = {
      DATABASE_URL: sharedPostgresUrl(),
      SHAPECAST_NATS_URL: sharedNatsUrl(),
      SHAPECAST_REDIS_URL: redis.url,
    };
    const router = await service('router', env);
    const api = await service('api', env);
    await waitFor(() => /Redis/i.test(warnings(router)) && /Redis/i.test(warnings(api)), {
      describe: () => `${warnings(router)} ${warnings(api)}`,
    });
    expect((await health(`${router.url}/health`))?.body['status']).toBe('starting');
    expect(await health(`${api.url}/v1/health`)).toEqual({ status: 202, body: { status: 'starting' } });
    expect([router.exited, api.exited]).toEqual([false, false]);
  });

  test('wait as `starting` while NATS is down, without ending', async () => {
    const nats = `nats://127.0.0.1:${await freePort()}`;
    const env = { DATABASE_URL: sharedPostgresUrl(), SHAPECAST_NATS_URL: nats, SHAPECAST_REDIS_URL: sharedRedisUrl() };
    const router = await service('router', env);
    const api = await service('api', env);
    await waitFor(() => /NATS/.test(warnings(router)) && /NATS/.test(warnings(api)), {
      describe: () => `${warnings(router)} ${warnings(api)}`,
    });
    expect((await health(`${router.url}/health`))?.body['status']).toBe('starting');
    expect(await health(`${api.url}/v1/health`)).toEqual({ status: 202, body: { status: 'starting' } });
    expect([router.exited, api.exited]).toEqual([false, false]);
  });
});
