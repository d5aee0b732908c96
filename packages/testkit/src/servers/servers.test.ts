import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { isRunning } from '@shapecast/local-postgres';
import { expect, onTestFinished, test } from 'vitest';
import { greeting } from './greeting.ts';
import { startNats } from './nats.ts';
import { startRedis } from './redis.ts';

/** Everything a server says until it closes the connection, by lines. */
async function conversation(port: number, request: string): Promise<string[]> {
  const socket = connect(port, '127.0.0.1');
  socket.end(request);
  let said = '';
  for await (const chunk of socket) said += String(chunk);
  return said.split('\r\n');
}

test('a killed Redis has its data again after a start on the same port', async () => {
  const redis = await startRedis({ settings: { appendfsync: 'always' } });
  onTestFinished(() => redis.stop());
  const { port, pid } = redis;
  expect(await greeting(port, 'SET name value\r\n')).toBe('+OK');

  await redis.kill();
  expect(redis.pid).toBeUndefined();
  expect(await isRunning(pid as number)).toBe(false);
  await redis.start();

  expect(redis.port).toBe(port);
  expect(await greeting(port, 'STRLEN name\r\n')).toBe(':5');
});

test('Redis keeps an append-only file and never evicts', async () => {
  const redis = await startRedis();
  onTestFinished(() => redis.stop());
  const settings = { appendonly: 'yes', appendfsync: 'everysec', 'maxmemory-policy': 'noeviction' };
  for (const [name, value] of Object.entries(settings)) {
    const lines = await conversation(redis.port, `CONFIG GET ${name}\r\nQUIT\r\n`);
    expect(lines).toContain(value);
  }
  expect(existsSync(`${redis.dataDir}/appendonlydir`)).toBe(true);
});

test('NATS runs JetStream in its own folder, and again after a kill', async () => {
  const nats = await startNats();
  onTestFinished(() => nats.stop());
  expect(await greeting(nats.port)).toContain('"jetstream":true');
  await nats.kill();
  await expect(greeting(nats.port)).rejects.toThrow();
  await nats.start();
  expect(await greeting(nats.port)).toContain(`"port":${nats.port}`);
  expect(existsSync(`${nats.dataDir}/jetstream`)).toBe(true);
});

test.each([
  ['NATS', startNats],
  ['Redis', startRedis],
])('%s waits for its port when that is still taken', async (_name, start) => {
  const server = await start();
  onTestFinished(() => server.stop());
  await server.kill();
  const squatter = createServer().listen(server.port, '127.0.0.1');
  await once(squatter, 'listening');
  const started = server.start();
  // Long enough for a first attempt to fail: the squatter hears the probe of it.
  await once(squatter, 'connection');
  squatter.close();
  await started;
  expect(await isRunning(server.pid as number)).toBe(true);
});

test('NATS takes a configuration text on top', async () => {
  const nats = await startNats({ config: 'server_name: from-config\nmax_payload: 2MB\n' });
  onTestFinished(() => nats.stop());
  const info = await greeting(nats.port);
  expect(info).toContain('"server_name":"from-config"');
  expect(info).toContain('"max_payload":2097152');
});

test.each([
  ['NATS', startNats],
  ['Redis', startRedis],
])('%s leaves no process and no folder behind', async (_name, start) => {
  const server = await start();
  const pid = server.pid as number;
  await server.stop();
  expect(await isRunning(pid)).toBe(false);
  expect(existsSync(server.dataDir)).toBe(false);
  await server.stop();
});

test('a paused server accepts and does not answer until it is resumed', async () => {
  const redis = await startRedis();
  onTestFinished(() => redis.stop());
  await redis.pause();
  let answered = false;
  const answer = greeting(redis.port, 'PING\r\n').then(
    (line) => ((answered = true), line),
    () => 'none',
  );
  await expect(greeting(redis.port, 'PING\r\n')).rejects.toThrow('no answer');
  expect(answered).toBe(false);
  await redis.resume();
  await answer;
  expect(await greeting(redis.port, 'PING\r\n')).toBe('+PONG');
});
