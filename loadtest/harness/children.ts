import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { LoadtestArguments, Target } from './arguments.ts';
import { nodeForTypeScript } from './node-program.ts';

/** A child that ends with us, one way or the other. */
export interface Child {
  readonly pid: number | undefined;
  stop(): Promise<void>;
}

export interface WriterProcess extends Child {
  readonly url: string;
  /** Rejects when it ends before it was asked to. */
  readonly failed: Promise<never>;
}

/** Starts harness/writer.ts; resolves when its tables are there and it waits to begin. */
export async function startWriter(
  { scenario, profile, sets }: LoadtestArguments,
  targets: readonly Target[],
): Promise<WriterProcess> {
  const child = fork(
    fileURLToPath(new URL('./writer.ts', import.meta.url)),
    ['--scenario', scenario, '--profile', profile, '--set', sets],
    {
      execPath: nodeForTypeScript(),
      env: { ...process.env, LOADTEST_TARGETS: JSON.stringify(targets) },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    },
  );
  let stopping = false;
  const failed = once(child, 'exit').then(([code]) => {
    if (stopping) return new Promise<never>(() => {});
    throw new Error(`the writer ended with ${code}`);
  });
  failed.catch(() => {});
  const [message] = (await Promise.race([once(child, 'message'), failed])) as [{ port: number }];
  return {
    url: `http://127.0.0.1:${message.port}`,
    pid: child.pid,
    failed,
    stop: () => {
      stopping = true;
      return end(child);
    },
  };
}

/** Runs k6 to its end; resolves with its exit code, 99 when a threshold does not hold. */
export function startK6(
  program: string,
  scenario: string,
  logFile: string,
  env: Readonly<Record<string, string>>,
): Child & { readonly exit: Promise<number> } {
  const script = fileURLToPath(new URL(`../scenarios/${scenario}.ts`, import.meta.url));
  // Nothing of the run leaves this machine, its figures come from handleSummary, and a storm is a line of the log for each reader.
  const args = ['run', '--no-usage-report', '--quiet', '--no-color', `--log-output=file=${logFile}`, script];
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'inherit', 'inherit'] });
  const exit = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
  return { pid: child.pid, exit, stop: () => end(child) };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  const force = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await gone;
  clearTimeout(force);
}
