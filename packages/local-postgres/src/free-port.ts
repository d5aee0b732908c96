import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/** A port is not given out twice by one process: its first taker may not listen yet, or be down for a while. */
const given = new Set<number>();

/**
 * A loopback port that nobody listens on at this moment. Another process may take it before the caller does, so whoever
 * binds it must be ready to ask again; tests that run beside each other have ranges of their own. Below the range of outgoing connections (32768 and up on Linux): a server that is
 * down for a while must find its port free when it comes back.
 */
export async function freePort(): Promise<number> {
  const [from, to] = range();
  for (let attempt = 0; attempt < 1_000; attempt += 1) {
    const port = randomInt(from, to);
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port on 127.0.0.1 between ${from} and ${to}`);
}

/** The workers of one run of the tests are numbered from 1. */
function range(): readonly [number, number] {
  const worker = Number(process.env['VITEST_POOL_ID']);
  if (!Number.isInteger(worker) || worker < 1) return [15_000, 18_000];
  const from = 18_000 + ((worker - 1) % 8) * 1_500;
  return [from, from + 1_500];
}

async function isFree(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(false);
      else reject(error);
    });
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
