import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { waitFor, type Cluster } from '@shapecast/testkit';
import { freePort } from '../support/service.ts';
import type { ProbeReport } from './probe.ts';

/** An API process beside those of a cluster, that tells what it uses. */
export interface MeasuredApi {
  readonly port: number;
  readonly pid: number;
  /** `collect` garbage first, for figures of memory. */
  ask(question: 'report' | 'collect'): Promise<ProbeReport>;
  stop(): Promise<void>;
}

/** Starts it with the settings of `env`; resolves when it serves. */
export async function startMeasuredApi(
  cluster: Pick<Cluster, 'natsUrl' | 'redisUrl' | 'databaseUrl'>,
  env: Readonly<Record<string, string>> = {},
): Promise<MeasuredApi> {
  const port = await freePort();
  const child = fork(new URL('../../services/api/src/main.ts', import.meta.url), {
    execArgv: ['--expose-gc', '--import', new URL('./probe.ts', import.meta.url).pathname, ...profiling()],
    env: {
      PATH: process.env['PATH'],
      SHAPECAST_ALLOW_UNSAFE: 'true',
      SHAPECAST_NATS_URL: cluster.natsUrl,
      SHAPECAST_REDIS_URL: cluster.redisUrl,
      SHAPECAST_LOG_LEVEL: 'warning',
      SHAPECAST_HOST: '127.0.0.1',
      SHAPECAST_PRESTOP_DELAY: '1ms',
      SHAPECAST_DRAIN_SPREAD: '0',
      ELECTRIC_INSECURE: 'true',
      ELECTRIC_PORT: String(port),
      SHAPECAST_HEALTH_PORT: '0',
      DATABASE_URL: cluster.databaseUrl,
      ...env,
    },
  });
  const ask = async (question: 'report' | 'collect'): Promise<ProbeReport> => {
    const answer = once(child, 'message');
    child.send(question);
    return (await answer)[0] as ProbeReport;
  };
  await waitFor(
    async () => {
      if (child.exitCode !== null) throw new Error('the API process ended');
      const health = await fetch(`http://127.0.0.1:${port}/v1/health`).catch(() => undefined);
      return health?.status === 200;
    },
    { timeoutMs: 30_000, intervalMs: 50, describe: () => 'the API process is not ready' },
  );
  return { port, pid: child.pid as number, ask, stop: () => end(child) };
}

/** `SHAPECAST_BENCH_PROFILE=<folder>` writes CPU profiles of the measured process there. */
function profiling(): string[] {
  const folder = process.env['SHAPECAST_BENCH_PROFILE'];
  return folder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${folder}`];
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  await gone;
}
