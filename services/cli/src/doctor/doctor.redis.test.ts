import { redisCommand, startRedis, startRedisCluster, type RedisOptions, type TestServer } from '@shapecast/testkit';
import { afterEach, expect, test } from 'vitest';
import { examineWith } from '../testing/call.ts';
import { checksOf } from './checks.ts';

const running: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.stop()));
});

async function redis(options?: RedisOptions): Promise<TestServer> {
  const server = await startRedis(options);
  running.push(server);
  return server;
}

async function examine(url: string, env: Readonly<Record<string, string>> = {}) {
  const { findings, code, text } = await examineWith({ SHAPECAST_REDIS_URL: url, ...env });
  // Which version is installed is nothing that a test can choose.
  const ids = checksOf('redis').filter((id) => id !== 'redis.version');
  const bad = ids.flatMap((id) => {
    const finding = findings.get(id);
    return finding?.status === 'ok' ? [] : [`${id} ${finding?.status}`];
  });
  return { findings, code, text, bad };
}

test('a Redis as it should be is all ok, and its replica is told from it', async () => {
  const primary = await redis({ settings: { maxmemory: '256mb', 'min-replicas-to-write': '1' } });
  const replica = await redis({ replicaOf: primary.port });
  expect(await examine(primary.url)).toMatchObject({ bad: [], code: 0 });
  const { findings, code } = await examine(replica.url);
  expect(findings.get('redis.primary')).toMatchObject({ status: 'fail' });
  expect(code).toBe(1);
});

test('evicting, without append-only file, without replicas and limits: each is a finding', async () => {
  const server = await redis({ appendonly: false, settings: { 'maxmemory-policy': 'allkeys-lru' } });
  const { bad, code } = await examine(server.url);
  expect(bad).toEqual([
    'redis.eviction fail',
    'redis.memory warn',
    'redis.aof fail',
    'redis.fsync skipped',
    'redis.replicas warn',
    'redis.min_replicas warn',
  ]);
  expect(code).toBe(1);
});

test('an append-only file that is never flushed fails', async () => {
  const { url } = await redis({ settings: { appendfsync: 'no' } });
  const { findings, code } = await examine(url);
  expect(findings.get('redis.fsync')).toMatchObject({ status: 'fail', next: 'Set appendfsync everysec.' });
  expect(code).toBe(1);
});

test('a wrong password, a missing one and a server that is away are one finding each; nothing of a password is repeated', async () => {
  const server = await redis();
  const { port } = server;
  await redisCommand(port, 'CONFIG', 'SET', 'requirepass', 'correct');
  for (const login of [':hunter2@', '']) {
    const { findings, code, text } = await examine(`redis://${login}127.0.0.1:${port}`);
    expect(findings.get('redis.reachable')).toMatchObject({
      status: 'fail',
      message: expect.stringContaining('rejected the user or password') as string,
    });
    expect(findings.get('redis.eviction')?.status).toBe('skipped');
    expect(text).not.toContain('hunter2');
    expect(code).toBe(1);
  }
  expect((await examine(`redis://:correct@127.0.0.1:${port}`)).findings.get('redis.reachable')?.status).toBe('ok');
  await server.kill();
  const away = await examine(`redis://:correct@127.0.0.1:${port}`);
  expect(away.findings.get('redis.reachable')?.message).toContain('ECONNREFUSED');
  expect(away.code).toBe(1);
});

test('a cluster is looked at on all its primaries, and its settings have to say that it is one', async () => {
  const cluster = await startRedisCluster();
  running.push(...cluster.servers);
  const [first] = cluster.url.split(',');
  const asCluster = await examine(cluster.url, { SHAPECAST_REDIS_CLUSTER: 'true' });
  expect(asCluster.findings.get('redis.reachable')?.message).toBe('Redis answers, 3 primaries.');
  expect(asCluster.findings.get('redis.cluster')).toMatchObject({
    status: 'ok',
    message: 'The cluster is ok, 16384 of 16384 slots are served.',
  });
  expect((await examine(first as string)).findings.get('redis.cluster')).toMatchObject({
    status: 'fail',
    next: 'Set SHAPECAST_REDIS_CLUSTER=true.',
  });
});
