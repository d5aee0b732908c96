import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { access, constants, copyFile, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { withLock } from '@shapecast/testkit';

const run = promisify(execFile);
const FOLDER = join(import.meta.dirname, '../../.shapecast/tools');
const PACKAGE = 'prometheus';

/**
 * Where promtool is: on PATH, or unpacked from the system's package without installing it, as it is the only program of a server that we
 * need. Undefined where it cannot be had, with a line that says why; an error then, if CI_REQUIRE_TOOLS lists it.
 */
export async function findPromtool(): Promise<string | undefined> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter).filter(Boolean)) {
    const path = join(folder, 'promtool');
    if (
      await access(path, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return path;
  }
  const path = join(FOLDER, 'promtool');
  if (existsSync(path)) return path;
  try {
    // Whoever waited finds it unpacked.
    await withLock(join(FOLDER, 'promtool.lock'), async () => (existsSync(path) ? undefined : unpack(path)));
    return path;
  } catch (cause) {
    const reason = (cause as { stderr?: string }).stderr ?? (cause as Error).message;
    if ((process.env['CI_REQUIRE_TOOLS'] ?? '').split(',').includes('promtool')) {
      throw new Error(`promtool is required and cannot be had: ${reason}`, { cause });
    }
    process.stdout.write(`SKIP promtool: ${reason.trim().split('\n').at(-1) ?? ''}\n`);
    return undefined;
  }
}

/** From Debian's package. Under another name first, so that a program that is there is whole. */
async function unpack(path: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'shapecast-promtool-'));
  try {
    await run('apt-get', ['download', PACKAGE], { cwd: folder });
    const archive = (await readdir(folder)).find((name) => name.endsWith('.deb'));
    if (archive === undefined) throw new Error('apt-get downloaded nothing');
    await run('dpkg-deb', ['-x', join(folder, archive), join(folder, 'content')]);
    await mkdir(FOLDER, { recursive: true });
    await copyFile(join(folder, 'content/usr/bin/promtool'), `${path}.${process.pid}`);
    await rename(`${path}.${process.pid}`, path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What promtool says of files; throws with that when it does not like them. */
export async function promtool(
  program: string,
  args: readonly string[],
  files: Readonly<Record<string, string>>,
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'shapecast-rules-'));
  try {
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    const { stdout } = await run(program, [...args], { cwd: folder, maxBuffer: 16 * 1024 * 1024 });
    return stdout;
  } catch (cause) {
    const { stdout = '', stderr = '', message } = cause as { stdout?: string; stderr?: string; message: string };
    throw new Error(`${stdout}${stderr}`.trim() || message, { cause });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
