import { access, constants, rm, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { ShapecastError } from '@shapecast/errors';
import { withLock } from './lock.ts';
import { CACHE_DIR } from './project-root.ts';
import { runTool } from './run-tool.ts';

/** What is not on every machine: servers, and the browser that stands for all browsers. */
export type ServerName = 'nats-server' | 'redis-server' | 'nginx' | 'varnishd' | 'pgbouncer' | 'chromium';

/** Where the package of the system has another name than the program. */
const PACKAGES: Partial<Record<ServerName, string>> = { varnishd: 'varnish' };

/** Built from source where Go is at hand: pinned, so that every machine tests against the same one. */
const GO_MODULES: Partial<Record<ServerName, string>> = {
  'nats-server': 'github.com/nats-io/nats-server/v2@v2.15.2',
};

const BIN_DIR = join(CACHE_DIR, 'bin');

/**
 * Path of a server's program: from PATH, else from the project's cache, else built with Go, else installed by the system's
 * package manager when we are root. Throws SERVER_MISSING with what to install when all of it fails.
 */
export async function findServer(name: ServerName): Promise<string> {
  const found = await search(name);
  if (found !== undefined) return found;
  return withLock(join(CACHE_DIR, `${name}.lock`), async () => {
    // Somebody else may have installed it while we waited.
    const tries = [search, buildWithGo, installWithApt];
    const failures: unknown[] = [];
    for (const attempt of tries) {
      try {
        const path = await attempt(name);
        if (path !== undefined) return path;
      } catch (error) {
        failures.push(error);
      }
    }
    const remedy = `Install ${name} (for example \`apt-get install ${packageOf(name)}\`) so that it is on PATH.`;
    throw new ShapecastError('SERVER_MISSING', remedy, {}, new AggregateError(failures));
  });
}

async function search(name: string): Promise<string | undefined> {
  // Debian has servers in /usr/sbin, which is not on everybody's PATH.
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/bin', '/usr/sbin', BIN_DIR];
  for (const folder of folders.filter(Boolean)) {
    const path = join(folder, name);
    const usable = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (usable) return path;
  }
  return undefined;
}

async function buildWithGo(name: ServerName): Promise<string | undefined> {
  const module = GO_MODULES[name];
  if (module === undefined || (await search('go')) === undefined) return undefined;
  await runTool('go', ['install', module], { GOBIN: BIN_DIR, GOFLAGS: '-trimpath' });
  return search(name);
}

function packageOf(name: ServerName): string {
  return PACKAGES[name] ?? name;
}

const POLICY = '/usr/sbin/policy-rc.d';
/** Somebody else on this machine may be installing something: how long apt waits for them. */
const APT = ['-o', 'DPkg::Lock::Timeout=300'];

async function installWithApt(name: ServerName): Promise<string | undefined> {
  if (process.getuid?.() !== 0 || (await search('apt-get')) === undefined) return undefined;
  // One apt at a time, whichever server it is for.
  return withLock(join(CACHE_DIR, 'apt.lock'), async () => {
    // Debian starts what it installs unless this script says no (101).
    const ours = await writeFile(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755, flag: 'wx' }).then(
      () => true,
      () => false,
    );
    try {
      const env = { DEBIAN_FRONTEND: 'noninteractive' };
      // The lists may be good enough as they are, and their lock has no waiting time.
      const stale = await runTool('apt-get', ['update'], env).catch((error: unknown) => error as Error);
      await runTool('apt-get', [...APT, 'install', '-y', '--no-install-recommends', packageOf(name)], env).catch(
        (error: unknown) => {
          throw stale instanceof Error ? new AggregateError([stale, error], String(error)) : error;
        },
      );
    } finally {
      if (ours) await rm(POLICY, { force: true });
    }
    return search(name);
  });
}
