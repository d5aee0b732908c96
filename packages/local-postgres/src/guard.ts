import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';

export interface GuardOptions {
  readonly pid: number;
  /** What ends the process and may be sent without waiting for it. */
  readonly signal: 'SIGINT' | 'SIGTERM' | 'SIGKILL' | 'SIGQUIT';
  /** Removed after the process. */
  readonly removeDir?: string | undefined;
}

export interface Guard {
  /** The process has ended, or may live on: the guard does nothing any more. */
  release(): void;
}

// Waits for the end of its standard input, which the kernel closes however the parent dies. A killed process's folder is
// only removed once the process is gone (it would write into it again), or after ten seconds.
const SCRIPT = `
  read -r _
  kill -"$2" "$1" 2>/dev/null
  tries=0
  while kill -0 "$1" 2>/dev/null && [ $tries -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
  if [ -n "$3" ]; then kill -KILL "$1" 2>/dev/null; rm -rf -- "$3"; fi
`;

/** One listener for all: Node warns of more than ten, and a cluster has more processes. */
const atExit = new Set<() => void>();
const endAll = (): void => {
  for (const end of atExit) end();
};

/**
 * Ends a child process and removes its folder when this process is gone, be it by exit() or by SIGKILL: neither a service's
 * data folder nor a port should stay taken because a test run was killed. The second case needs a helper that outlives us,
 * a shell of under 1 MB.
 */
export function guardProcess(options: GuardOptions): Guard {
  const name = options.signal.slice(3);
  const shell = spawn(
    '/bin/sh',
    ['-c', SCRIPT, 'shapecast-guard', String(options.pid), name, options.removeDir ?? ''],
    {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
      cwd: '/',
    },
  );
  // Without a shell the exit handler is all there is.
  shell.on('error', () => {});
  shell.stdin.on('error', () => {});
  shell.unref();
  (shell.stdin as unknown as { unref(): void }).unref();

  const onExit = (): void => {
    try {
      process.kill(options.pid, options.signal);
      if (options.removeDir !== undefined && options.signal === 'SIGKILL') {
        rmSync(options.removeDir, { recursive: true, force: true });
      }
    } catch {
      // Gone already, or the shell finishes it.
    }
  };
  if (atExit.size === 0) process.on('exit', endAll);
  atExit.add(onExit);
  return {
    release: () => {
      atExit.delete(onExit);
      if (atExit.size === 0) process.off('exit', endAll);
      shell.kill('SIGKILL');
    },
  };
}
