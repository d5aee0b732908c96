import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';

/** One service process with everything it wrote, for tests of how it starts. */
export interface Service {
  readonly url: string;
  /** Port of `/livez` and `/readyz`. */
  readonly healthUrl: string;
  /** Parsed JSON log lines so far. */
  readonly lines: readonly Readonly<Record<string, unknown>>[];
  readonly exited: boolean;
  /** SIGTERM, and resolves with the exit code once it is gone: null when a signal ended it. */
  stop(): Promise<number | null>;
}

export async function startService(
  role: 'replicator' | 'router' | 'api',
  env: Record<string, string>,
): Promise<Service> {
  const port = await freePort();
  const healthPort = role === 'api' ? await freePort() : port;
  const entry = new URL(`../../services/${role}/src/main.ts`, import.meta.url).pathname;
  const child = spawn(process.execPath, [entry], {
    env: {
      PATH: process.env['PATH'],
      SHAPECAST_ALLOW_UNSAFE: 'true',
      SHAPECAST_STREAM_REPLICAS: '1',
      ...(role === 'api' && {
        ELECTRIC_PORT: String(port),
        ELECTRIC_INSECURE: 'true',
        SHAPECAST_PRESTOP_DELAY: '1ms',
        SHAPECAST_DRAIN_SPREAD: '0',
      }),
      SHAPECAST_HEALTH_PORT: String(healthPort),
      SHAPECAST_HEALTH_HOST: '127.0.0.1',
      ...env,
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const lines: Record<string, unknown>[] = [];
  let rest = '';
  child.stderr.on('data', (chunk: Buffer) => {
    const parts = (rest + chunk.toString()).split('\n');
    rest = parts.pop() ?? '';
    for (const line of parts) lines.push(parse(line));
  });
  return {
    url: `http://127.0.0.1:${port}`,
    healthUrl: `http://127.0.0.1:${healthPort}`,
    lines,
    get exited() {
      return child.exitCode !== null || child.signalCode !== null;
    },
    async stop() {
      if (child.exitCode === null && child.signalCode === null) {
        const gone = once(child, 'exit');
        child.kill('SIGTERM');
        await gone;
      }
      return child.exitCode;
    },
  };
}

function parse(line: string): Record<string, unknown> {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return { msg: line };
  }
}

/** A loopback port that nothing listens on at the moment. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
