import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { systemClock } from '@shapecast/service-kit';
import { expect, test } from 'vitest';
import { Exchange } from './exchange.ts';

const PIECE = Buffer.alloc(1_000, 'x');
const settings = { clock: systemClock, server: 'test/0', sendTimeoutMs: 100, closing: () => false };

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
