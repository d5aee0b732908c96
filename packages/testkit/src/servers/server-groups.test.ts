import { existsSync } from 'node:fs';
import { isRunning } from '@shapecast/local-postgres';
import { expect, onTestFinished, test } from 'vitest';
import { waitFor } from '../wait-for.ts';
import { greeting } from './greeting.ts';
import { startNatsCluster } from './nats-cluster.ts';
import { startRedisCluster } from './redis-cluster.ts';
import { startRedisSentinel } from './redis-sentinel.ts';
import { startRedis } from './redis.ts';
import { redisCommand } from './resp.ts';
import type { ServerGroup } from './server-group.ts';
import type { TestServer } from './server-process.ts';

async function expectGone(group: ServerGroup): Promise<void> {
  const pids = group.servers.flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
  await group.stop();
  expect(await Promise.all(pids.map(isRunning))).toEqual(pids.map(() => false));
  expect(group.servers.filter(({ dataDir }) => existsSync(dataDir))).toEqual([]);
  await group.stop();
}

test('three NATS servers have a leader, another one when it is killed, and name each other to no client', async () => {
  const nats = await startNatsCluster();
  onTestFinished(() => nats.stop());
  expect(nats.url.split(',')).toEqual(nats.servers.map(({ port }) => `nats://127.0.0.1:${port}`));
  const greetings = await Promise.all(nats.servers.map(({ port }) => greeting(port)));
  for (const [i, said] of greetings.entries()) {
    expect(said).toContain(`"server_name":"nats-${i + 1}"`);
    expect(said).not.toContain('connect_urls');
  }
  const leader = (await nats.leader()) as TestServer;
  expect(nats.servers).toContain(leader);

  await leader.kill();

  const next = await waitFor(() => nats.leader());
  expect(next).not.toBe(leader);
  await leader.start();
  await expectGone(nats);
});

test('a replica has the data of its primary when it has started, and what is written later', async () => {
  const primary = await startRedis();
  onTestFinished(() => primary.stop());
  await redisCommand(primary.port, 'SET', 'early', '1');
  const replica = await startRedis({ replicaOf: primary.port });
  onTestFinished(() => replica.stop());
  expect(await redisCommand(replica.port, 'GET', 'early')).toBe('1');
  await redisCommand(primary.port, 'SET', 'late', '2');
  await waitFor(async () => (await redisCommand(replica.port, 'GET', 'late')) === '2');
  await expect(redisCommand(replica.port, 'SET', 'own', '3')).rejects.toThrow('READONLY');
});

test('Sentinel makes the replica the primary when that is killed, and knows it after a start of its own', async () => {
  const primary = await startRedis();
  onTestFinished(() => primary.stop());
  const replica = await startRedis({ replicaOf: primary.port });
  onTestFinished(() => replica.stop());
  const sentinel = await startRedisSentinel({ primaryPort: primary.port, quorum: 1 });
  onTestFinished(() => sentinel.stop());
  expect(sentinel.url).toBe(
    `redis+sentinel://${sentinel.servers.map(({ port }) => `127.0.0.1:${port}`).join(',')}/shapecast`,
  );
  expect(await sentinel.primary()).toBe(primary.port);
  await redisCommand(primary.port, 'SET', 'kept', '1');
  await waitFor(async () => (await redisCommand(replica.port, 'GET', 'kept')) === '1');

  await primary.kill();

  await waitFor(async () => (await sentinel.primary()) === replica.port);
  await waitFor(async () => ((await redisCommand(replica.port, 'ROLE')) as readonly unknown[])[0] === 'master');
  expect(await redisCommand(replica.port, 'GET', 'kept')).toBe('1');
  const [first] = sentinel.servers as readonly [TestServer];
  await first.kill();
  await first.start();
  const address = await redisCommand(first.port, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'shapecast');
  expect(address).toEqual(['127.0.0.1', String(replica.port)]);
  await expectGone(sentinel);
});

test('a Redis Cluster of three serves each key at one place, and a replica takes over for its master', async () => {
  const redis = await startRedisCluster({ replicas: 1 });
  onTestFinished(() => redis.stop());
  const [a, b, c, replicaOfA] = redis.servers.map(({ port }) => port) as [number, number, number, number];
  expect(redis.url.split(',').length).toBe(6);
  // Slots 866 and 12182, of the first and the third.
  expect(await redisCommand(a, 'SET', 'hello', '1')).toBe('OK');
  await expect(redisCommand(b, 'SET', 'foo', '2')).rejects.toThrow(`MOVED 12182 127.0.0.1:${c}`);
  expect(await redisCommand(c, 'SET', 'foo', '2')).toBe('OK');

  await redis.servers[0]?.kill();

  await waitFor(async () => (await redisCommand(replicaOfA, 'GET', 'hello').catch(() => '')) === '1');
  await expectGone(redis);
});
