import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../../..');

/** One service that a test runs by itself, outside a cluster. */
export interface ServiceProgram {
  /** What it wrote so far. */
  readonly output: string;
  /** Its exit code, once it ended. */
  readonly ended: Promise<number | null>;
  /** SIGTERM, and resolves once it is gone. */
  stop(): Promise<void>;
}

/** Runs a service's `main.ts` with exactly this environment besides PATH. */
export function runService(role: 'api' | 'replicator', env: Readonly<Record<string, string>>): ServiceProgram {
  const node = join(ROOT, 'node_modules', 'node', 'bin', 'node');
  const entry = join(ROOT, 'services', role, 'src', 'main.ts');
  const own = { PATH: process.env['PATH'], SHAPECAST_HEALTH_PORT: '0', SHAPECAST_HEALTH_HOST: '127.0.0.1' };
  const child = spawn(node, [entry], { env: { ...own, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part: Buffer) => (output += part.toString()));
  const ended = once(child, 'close').then(([code]) => code as number | null);
  return {
    get output() {
      return output;
    },
    ended,
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
}
