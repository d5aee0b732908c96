import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * Whether a process runs. A zombie does not: in a container without an init nobody collects orphans. Unless other threads of
 * it live on: while they do, its sockets and files are still open.
 */
export async function isRunning(pid: number): Promise<boolean> {
  if (!exists(pid)) return false;
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined);
  // No such file: not Linux, or collected since we looked.
  if (stat === undefined) return exists(pid);
  // The command name may hold spaces and parentheses: the state follows the last ')', the number of threads 17 fields later.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] !== 'Z' || Number(fields[17]) > 1;
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Process ids whose parent is `pid`, empty when it is gone. */
export async function childrenOf(pid: number): Promise<number[]> {
  try {
    return numbers(await readFile(`/proc/${pid}/task/${pid}/children`, 'latin1'));
  } catch {
    // Not Linux, or a kernel without the list.
    const listed = await run('ps', ['-A', '-o', 'pid=,ppid=']).catch(() => ({ stdout: '' }));
    return listed.stdout.split('\n').flatMap((line) => {
      const [child, parent] = numbers(line);
      return child !== undefined && parent === pid ? [child] : [];
    });
  }
}

/** Resolves true once none of the processes runs, false when that took longer than `timeoutMs`. */
export async function waitGone(pids: readonly number[], timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const running = await Promise.all(pids.map(isRunning));
    if (!running.includes(true)) return true;
    if (performance.now() > deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Sends a signal to those of the processes that still run. */
export function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // Already gone.
    }
  }
}

function numbers(text: string): number[] {
  return text.trim().split(/\s+/).filter(Boolean).map(Number);
}
