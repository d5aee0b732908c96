import { openNatsMessaging } from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { openRedisShapeStore } from '@shapecast/shape-store';
import { connect } from 'node:net';
import { sharedNatsUrl, sharedRedisUrl, startRedis } from '@shapecast/testkit';
import { afterEach, expect, test } from 'vitest';
import { ApiFixture, change, row, until } from './testing/api-fixture.ts';
import { SNAPSHOT_END_JSON } from './testing/router-stand-in.ts';

/** The API with the servers it runs with: real Redis, real NATS. */
let fixture: ApiFixture | undefined;
afterEach(async () => {
  await fixture?.stop();
  fixture = undefined;
});

async function start(redisUrl = sharedRedisUrl()): Promise<ApiFixture> {
  const parts = { clock: systemClock, log: silentLogger };
  const store = openRedisShapeStore({ url: redisUrl }, parts);
  const messaging = await openNatsMessaging({ url: sharedNatsUrl() }, parts, new AbortController().signal);
  fixture = await new ApiFixture({ longPollTimeoutMs: 60_000 }, { store, messaging }).start();
  await until(() => fixture?.api.report().status === 'active');
  return fixture;
}

test('a shape is synced and followed', async () => {
  const api = await start();
  const first = await api.shape('offset=-1');
  expect(first.text).toBe(`[${row(1)},${row(2)},${SNAPSHOT_END_JSON}]`);
  const handle = first.headers['electric-handle'] as string;
  expect((await api.shape(`offset=0_0&handle=${handle}`)).headers['electric-offset']).toBe('0_inf');
  let offset = '0_inf';
  for (let i = 1n; i <= 50n; i += 1n) {
    const poll = api.shape(`offset=${offset}&handle=${handle}&live=true`);
    await api.router.commit([{ lsn: i * 10n, entries: { [handle]: [change(3, i * 10n)] } }]);
    offset = (await poll).headers['electric-offset'] as string;
    expect(offset).toBe(`${i * 10n}_0`);
  }
  const whole = await api.shape(`offset=0_inf&handle=${handle}`);
  expect(whole.json).toHaveLength(51);
});

test('many who wait are woken together, and a rotation reaches them', async () => {
  const api = await start();
  const handle = await api.handle();
  const poll = () => api.shape(`offset=0_inf&handle=${handle}&live=true`);
  const polls = Array.from({ length: 200 }, poll);
  await until(() => api.api.report().held === 200);
  await api.router.commit([{ lsn: 5_000n, entries: { [handle]: [change(3, 5_000n)] } }]);
  const replies = await Promise.all(polls);
  expect(new Set(replies.map((reply) => reply.text)).size).toBe(1);
  expect(replies[0]?.headers['electric-offset']).toBe('5000_0');

  const held = api.shape(`offset=5000_0&handle=${handle}&live=true`);
  await until(() => api.api.report().held === 1);
  await api.router.rotate(handle);
  expect((await held).status).toBe(409);
});

test('however many wait, a change costs Redis one look and one read', async () => {
  // One that nobody else uses, since it counts.
  const redis = await startRedis();
  try {
    const api = await start(redis.url);
    const handle = await api.handle();
    const poll = () => api.shape(`offset=0_inf&handle=${handle}&live=true`);
    const polls = Array.from({ length: 300 }, poll);
    await until(() => api.api.report().held === 300);
    const before = await commandCalls(redis.url, 'zrangebylex');
    await api.router.commit([{ lsn: 5_000n, entries: { [handle]: [change(3, 5_000n)] } }]);
    await Promise.all(polls);
    // Only reads of logs look for the end of a chunk, and each does it once.
    expect((await commandCalls(redis.url, 'zrangebylex')) - before).toBe(1);
    await fixture?.stop();
    fixture = undefined;
  } finally {
    await redis.stop();
  }
});

/** How often a server has run a command. */
async function commandCalls(url: string, command: string): Promise<number> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.write('INFO commandstats\r\nQUIT\r\n');
  let text = '';
  for await (const bytes of socket) text += String(bytes);
  return Number(new RegExp(`^cmdstat_${command}:calls=(\\d+)`, 'm').exec(text)?.[1] ?? 0);
}
