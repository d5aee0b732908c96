import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, expect, test } from 'vitest';
import { ApiFixture, change, row, until } from './testing/api-fixture.ts';

/** Clients that do not take what they asked for (spec RT-8, SS-10, deployment E5). */
let fixture: ApiFixture | undefined;
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await fixture?.stop();
  fixture = undefined;
});

const MB = 1_000_000;
const FAT = randomBytes(50_000).toString('hex');

async function start(options: ConstructorParameters<typeof ApiFixture>[0]) {
  const api = new ApiFixture({ chunkBytes: 20 * MB, longPollTimeoutMs: 60_000, ...options });
  fixture = api;
  // One snapshot chunk of 12 MB.
  const pieces = Array.from({ length: 24 }, (_, piece) =>
    [0, 1, 2, 3, 4].map((i) => row(5 * piece + i, FAT)).join(','),
  );
  api.router.rows.set('items', [pieces]);
  await api.start();
  return { api, handle: await api.handle() };
}

/** Twelve megabytes of entries, in an open chunk. */
async function commit(api: ApiFixture, handle: string): Promise<void> {
  const entries = Array.from({ length: 120 }, (_, i) => change(i, 5_000n, 2 * i).replace(`row ${i}`, FAT));
  await api.router.commit([{ lsn: 5_000n, entries: { [handle]: entries } }]);
}

/** Asks, and reads nothing. */
function stalled(api: ApiFixture, query: string): Socket {
  const socket = connect({ port: api.api.port, host: '127.0.0.1' });
  socket.on('error', () => {});
  socket.pause();
  socket.write(`GET /v1/shape?table=items&${query} HTTP/1.1\r\nhost: test\r\n\r\n`);
  sockets.push(socket);
  return socket;
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Memory for bytes outside the heap, which is where bodies are, without what nobody refers to any more. */
function buffers(): number {
  collect();
  return process.memoryUsage().arrayBuffers;
}
const inProgress = (api: ApiFixture) => api.api.report().inProgress as number;

test.each([
  ['a snapshot chunk', (_: string) => 'offset=-1', 134_217_728],
  ['a snapshot chunk, without cache', (_: string) => 'offset=-1', 0],
  ['the end of the log', (handle: string) => `offset=0_inf&handle=${handle}`, 134_217_728],
  ['the end of the log, without cache', (handle: string) => `offset=0_inf&handle=${handle}`, 0],
  ['an event stream', (handle: string) => `offset=0_inf&handle=${handle}&live=true&live_sse=true`, 134_217_728],
])('T44 twenty who take nothing of %s cost no more than a chunk, and are cut', async (_, query, chunkCacheBytes) => {
  const { api, handle } = await start({ chunkCacheBytes, sendTimeoutMs: 2_000 });
  await commit(api, handle);
  const before = buffers();
  for (let i = 0; i < 20; i += 1) stalled(api, query(handle));
  await until(() => inProgress(api) === 20);
  let most = 0;
  await until(async () => {
    most = Math.max(most, buffers() - before);
    await sleep(20);
    return inProgress(api) === 0;
  });
  // Twenty bodies of their own would be 240 MB. Without a cache each has one part of 1 MB at most.
  expect(most).toBeLessThan(60 * MB);
  for (const socket of sockets) {
    if (!socket.destroyed) await new Promise((resolve) => socket.once('close', resolve).resume());
    expect(socket.bytesRead).toBeLessThan(12 * MB);
  }
});

test('one who is slow but takes something gets everything', async () => {
  const { api } = await start({ sendTimeoutMs: 800 });
  const whole = (await api.shape('offset=-1')).text;
  // Its client may know of its end before the server does.
  await until(() => inProgress(api) === 0);
  const socket = stalled(api, 'offset=-1');
  let text = '';
  let rests = 0;
  socket.on('data', (bytes: Buffer) => {
    text += bytes.toString('latin1');
    // A rest of much less than the limit now and then; all together much more.
    if (text.length < (rests + 1) * 0.7 * MB) return;
    rests += 1;
    socket.pause();
    setTimeout(() => socket.resume(), 150);
  });
  socket.resume();
  const got = () => text.length - text.indexOf('\r\n\r\n') - 4;
  await until(() => sleep(10).then(() => got() >= whole.length || socket.destroyed));
  expect(rests).toBeGreaterThan(10);
  expect(text.slice(-1_000)).toBe(whole.slice(-1_000));
});

test('O 2.3 a transfer that has begun when the process is told to stop is finished first', async () => {
  const { api } = await start({ sendTimeoutMs: 30_000, drainSpreadMs: 0 });
  const whole = (await api.shape('offset=-1')).text;
  // Its client may know of its end before the server does.
  await until(() => inProgress(api) === 0);
  const socket = stalled(api, 'offset=-1');
  await until(() => inProgress(api) === 1);
  let stopped = false;
  const stopping = api.api.stop().then(() => (stopped = true));
  // Nobody new gets in; who is being sent something stays.
  await until(() =>
    api.send('/v1/health').then(
      () => false,
      () => true,
    ),
  );
  expect(stopped).toBe(false);
  const parts: Buffer[] = [];
  socket.on('data', (bytes: Buffer) => parts.push(bytes)).resume();
  await new Promise((resolve) => socket.once('end', resolve));
  await stopping;
  const text = Buffer.concat(parts).toString('latin1');
  const [head = ''] = text.split('\r\n\r\n', 1);
  expect(head).toMatch(/^HTTP\/1.1 200 /);
  expect(text.length - head.length - 4).toBe(whole.length);
});

test('O 2.4 a transfer that nobody takes does not keep the process from its end', async () => {
  const { api } = await start({ sendTimeoutMs: 60_000, drainMs: 200 });
  await until(() => inProgress(api) === 0);
  const socket = stalled(api, 'offset=-1');
  await until(() => inProgress(api) === 1);
  await api.api.stop();
  socket.resume();
  await new Promise((resolve) => socket.once('close', resolve));
  expect(socket.bytesRead).toBeLessThan(12 * MB);
});
