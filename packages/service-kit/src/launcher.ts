import { readFileSync } from 'node:fs';

const INTERVAL_MS = 250;

/**
 * Calls back once when the npm that ran us is gone. npm starts a script through a shell and sends SIGTERM to that shell
 * only, which dies of it without a word to us; somebody who stops `npm run cluster` means us. Does nothing when npm did not
 * start us: a program left running on purpose (nohup) outlives its parent.
 */
export function whenNpmGone(env: NodeJS.ProcessEnv, callback: () => void): void {
  if (env['npm_lifecycle_event'] === undefined) return;
  const initial = launchers();
  const timer = setInterval(() => {
    if (launchers() === initial) return;
    clearInterval(timer);
    callback();
  }, INTERVAL_MS);
  timer.unref();
}

/** Process ids between npm and us: a shell and npm, or npm alone where the shell replaced itself by us. */
function launchers(): string {
  try {
    // "<pid> (<command>) <state> <parent> ..." (proc(5)); only Linux has it, elsewhere our parent has to do.
    const stat = readFileSync(`/proc/${process.ppid}/stat`, 'latin1');
    const command = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
    const parent = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
    if (/^(sh|dash|bash|ash|busybox)$/.test(command)) return `${process.ppid} ${parent}`;
  } catch {
    // The parent has just ended, which its changed id tells.
  }
  return String(process.ppid);
}
