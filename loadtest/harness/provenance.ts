import { execFile } from 'node:child_process';
import { cpus, release, totalmem, type } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** What a figure was measured on, and with which program; without it a figure says nothing. */
export async function provenance(k6: string) {
  const commit = await git('rev-parse', '--short=12', 'HEAD');
  const changes = await git('status', '--porcelain', '--untracked-files=no');
  const { stdout } = await run(k6, ['version']);
  const processors = cpus();
  return {
    commit: commit ?? 'unknown',
    dirty: changes !== undefined && changes !== '',
    k6: stdout.trim(),
    machine: {
      cpu: processors[0]?.model ?? 'unknown',
      cores: processors.length,
      memoryGiB: Math.round(totalmem() / 1024 ** 3),
      os: `${type()} ${release()}`,
      node: process.version,
    },
  };
}

/** Undefined outside a checkout. */
async function git(...args: readonly string[]): Promise<string | undefined> {
  return run('git', args, { cwd: ROOT }).then(
    ({ stdout }) => stdout.trim(),
    () => undefined,
  );
}
