import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { waitFor } from '../wait-for.ts';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';

/** A server that sends back what it gets, after its name. */
async function startEcho(name = ''): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    if (name !== '') socket.write(name);
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return (server.address() as { readonly port: number }).port;
}

async function startProxy(targetPort: number): Promise<TcpProxy> {
  const proxy = await startTcpProxy({ targetPort });
  onTestFinished(() => proxy.stop());
  return proxy;
}

interface Client {
  readonly socket: Socket;
  /** Everything it was sent so far. */
  text(): string;
  /** `end` after a FIN, else the code of the error, such as ECONNRESET. */
  readonly over: Promise<string>;
}

function open(port: number): Client {
  const socket = connect(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  let text = '';
  socket.on('data', (bytes) => (text += String(bytes)));
  const over = new Promise<string>((resolve) => {
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
    socket.once('end', () => resolve('end'));
  });
  return { socket, text: () => text, over };
}

async function say(client: Client, text: string): Promise<void> {
  const before = client.text().length;
  client.socket.write(text);
  await waitFor(() => client.text().slice(before) === text, { describe: () => client.text() });
}

async function openAndSay(port: number, text: string): Promise<Client> {
  const client = open(port);
  await say(client, text);
  return client;
}

test('passes bytes on in both directions, however many and however slow the reader', async () => {
  const proxy = await startProxy(await startEcho());
  const client = await openAndSay(proxy.port, 'hello');
  expect(proxy.connections).toBe(1);
  const bytes = Buffer.alloc(8 * 1024 * 1024, 'abcdefghijklmnopqrstuvwxyz');
  client.socket.pause();
  client.socket.end(bytes);
  await new Promise(setImmediate);
  client.socket.resume();
  expect(await client.over).toBe('end');
  expect(Buffer.from(client.text().slice('hello'.length)).equals(bytes)).toBe(true);
  await waitFor(() => proxy.connections === 0);
});

test('cut() closes connections and refuses new ones; heal() lets them in again', async () => {
  const proxy = await startProxy(await startEcho());
  const client = await openAndSay(proxy.port, 'before');
  proxy.cut();
  expect(await client.over).toBe('end');
  expect(await open(proxy.port).over).toBe('ECONNREFUSED');
  expect(proxy.mode).toBe('cut');
  proxy.heal();
  expect(proxy.mode).toBe('open');
  await waitFor(async () => {
    const again = open(proxy.port);
    return Promise.race([once(again.socket, 'connect').then(() => true), again.over.then(() => false)]);
  });
  expect((await openAndSay(proxy.port, 'after')).text()).toBe('after');
});

test('reset() ends connections with a RST, and new ones are accepted', async () => {
  const proxy = await startProxy(await startEcho());
  const client = await openAndSay(proxy.port, 'before');
  proxy.reset();
  expect(await client.over).toBe('ECONNRESET');
  expect((await openAndSay(proxy.port, 'after')).text()).toBe('after');
});

test('halfOpen() accepts and keeps connections, lets no byte through, and heal() resets them', async () => {
  const proxy = await startProxy(await startEcho('I am here. '));
  const old = open(proxy.port);
  await waitFor(() => old.text() === 'I am here. ');
  proxy.halfOpen();
  const late = open(proxy.port);
  await once(late.socket, 'connect');
  for (const { socket } of [old, late]) socket.write('anybody?');
  await waitFor(() => proxy.connections === 2);
  // As long as an answer takes many times over.
  const direct = await startProxy(await startEcho());
  const probe = open(direct.port);
  for (let i = 0; i < 50; i += 1) await say(probe, 'x');
  expect([old.text(), late.text()]).toEqual(['I am here. ', '']);
  expect(proxy.mode).toBe('half-open');
  proxy.heal();
  expect(await Promise.all([old.over, late.over])).toEqual(['ECONNRESET', 'ECONNRESET']);
  const next = open(proxy.port);
  await waitFor(() => next.text() === 'I am here. ');
});

test('delay() makes bytes late and keeps their order, whatever the jitter', async () => {
  const proxy = await startProxy(await startEcho());
  proxy.delay(30, 30);
  const client = open(proxy.port);
  const numbers = Array.from({ length: 200 }, (_, i) => `${i} `);
  for (const number of numbers) {
    client.socket.write(number);
    await new Promise(setImmediate);
  }
  client.socket.end();
  expect(await client.over).toBe('end');
  expect(client.text()).toBe(numbers.join(''));

  proxy.delay(100);
  const late = open(proxy.port);
  await once(late.socket, 'connect');
  const saidAt = performance.now();
  await say(late, 'late');
  // There and back.
  expect(performance.now() - saidAt).toBeGreaterThan(199);
  proxy.delay(0);
  await say(late, 'in time');
});

test('retarget() resets, and sends new connections elsewhere', async () => {
  const proxy = await startProxy(await startEcho('first'));
  const client = open(proxy.port);
  await waitFor(() => client.text() === 'first');
  proxy.retarget(await startEcho('second'));
  expect(await client.over).toBe('ECONNRESET');
  const next = open(proxy.port);
  await waitFor(() => next.text() === 'second');
});

test('a server that refuses looks like a connection that breaks', async () => {
  const gone = createServer().listen(0, '127.0.0.1');
  await once(gone, 'listening');
  const { port } = gone.address() as { readonly port: number };
  gone.close();
  const proxy = await startProxy(port);
  expect(await open(proxy.port).over).toBe('ECONNRESET');
});

test('stop() ends connections and gives the port back, also after cut()', async () => {
  const target = await startEcho();
  for (const disturb of [() => {}, (proxy: TcpProxy) => proxy.cut(), (proxy: TcpProxy) => proxy.halfOpen()]) {
    const proxy = await startTcpProxy({ targetPort: target });
    const client = await openAndSay(proxy.port, 'before');
    disturb(proxy);
    await proxy.stop();
    await proxy.stop();
    expect(await client.over).toBe('end');
    expect(await open(proxy.port).over).toBe('ECONNREFUSED');
  }
});
