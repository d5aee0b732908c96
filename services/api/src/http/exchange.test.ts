import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { SHAPE_CORS } from '@shapecast/protocol';
import { systemClock, type Clock } from '@shapecast/service-kit';
import { expect, test } from 'vitest';
import { Exchange, type Traffic } from './exchange.ts';

const PIECE = Buffer.alloc(1_000, 'x');
const settings = {
  clock: systemClock,
  server: 'test/0',
  sendTimeoutMs: 100,
  cors: SHAPE_CORS,
  closing: () => false,
};

test('a client that takes nothing of the end of an answer is cut', async () => {
  const closed = Promise.withResolvers<'cut'>();
  const server = createServer((req, res) => {
    const exchange = new Exchange(req, res, settings, () => closed.resolve('cut'));
    exchange.open(200, []);
    // So much that the system takes no more, and so little in our hands that no write has to wait.
    void (async () => {
      while (res.writableLength === 0) {
        for (let i = 0; i < 10; i += 1) await exchange.write(PIECE);
        // What the system takes, it takes at once.
        await new Promise((resolve) => setImmediate(resolve));
      }
      exchange.end();
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const socket = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' });
  socket.on('error', () => {});
  socket.pause();
  socket.write('GET / HTTP/1.1\r\nhost: test\r\n\r\n');
  try {
    expect(await closed.promise).toBe('cut');
  } finally {
    socket.destroy();
    server.close();
  }
});

test('an answer that goes over the rate of its source goes slower, is whole, and is counted byte by byte', async () => {
  const sleeps: number[] = [];
  const clock: Clock = {
    ...systemClock,
    sleep: (ms) => {
      sleeps.push(ms);
      return Promise.resolve();
    },
  };
  let sent = 0;
  const traffic: Traffic = { sent: (bytes) => void (sent += bytes), pauseMs: () => (sent > 3_500 ? 250 : 0) };
  const server = createServer((req, res) => {
    const exchange = new Exchange(req, res, { ...settings, clock }, () => {});
    exchange.traffic = traffic;
    exchange.open(200, []);
    void (async () => {
      for (let i = 0; i < 10; i += 1) await exchange.write(PIECE);
      exchange.end();
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  const body = await response.text();
  server.close();
  expect(body).toHaveLength(10_000);
  expect(sent).toBeGreaterThan(10_000);
  expect(sent).toBeLessThan(11_500);
  expect(sleeps).toEqual(Array.from({ length: sleeps.length }, () => 250));
  expect(sleeps.length).toBeGreaterThanOrEqual(6);
});
