import { spawn, type ChildProcess } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, open, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { ShapecastError } from '@shapecast/errors';
import { usableBinaries, type PostgresBinaries } from './binaries.ts';
import { freePort } from './free-port.ts';
import { guardProcess, type Guard } from './guard.ts';
import { childrenOf, signalAll, waitGone } from './processes.ts';
import { closedFolder, unprivilegedUser, type User } from './user.ts';

export interface LocalPostgresOptions {
  /** Major version that the data must be of; the binaries' own when unset. */
  readonly version?: number;
  /** Kept after stop(), and made on first use. A folder below the system's temporary one, removed by stop(), when unset. */
  readonly dataDir?: string;
  /** Server settings by name, on top of ours. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Loopback port; a free one when unset. */
  readonly port?: number;
  /** Waits for the disk on commit. Default: as soon as `dataDir` is given. */
  readonly durable?: boolean;
  /** Password of the superuser, set when the data folder is made. Without one, every user of this machine may connect. */
  readonly password?: string;
  /** Programs to run instead of those that npm installed. */
  readonly binaries?: PostgresBinaries;
}

/** A Postgres server of our own on loopback, ready for logical replication. */
export interface LocalPostgres {
  /** Superuser `postgres` on database `postgres`. */
  readonly url: string;
  readonly port: number;
  /** The postmaster's process id; undefined while it is down. */
  readonly pid: number | undefined;
  readonly dataDir: string;
  /** Such as `18.4`. */
  readonly version: string;
  /** Fast shutdown: sessions are ended, the data is consistent. Removes a temporary data folder. A second call is a no-op. */
  stop(): Promise<void>;
  /** Kills the postmaster and all its children at once, as a power cut would. The data folder stays. */
  crash(): Promise<void>;
  /** Starts again on the same port and data after crash(), or after stop() when the data folder is a lasting one. */
  start(): Promise<void>;
}

/** Recovery after a crash is part of a start, hence the generous bound. */
const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_TEMPORARY_MS = 5_000;

/** Starts a server; resolves once it accepts connections. Throws SERVER_MISSING when the platform has no usable Postgres. */
export async function startLocalPostgres(options: LocalPostgresOptions = {}): Promise<LocalPostgres> {
  const owner = await dataOwner(options.dataDir);
  const user = owner ?? (await unprivilegedUser());
  const binaries = await usableBinaries(options.binaries, user);
  const major = Number.parseInt(binaries.version);
  if (options.version !== undefined && options.version !== major) {
    const remedy = `Install PostgreSQL ${options.version} and pass its programs.`;
    throw new ShapecastError('SERVER_MISSING', `These programs are PostgreSQL ${binaries.version}. ${remedy}`);
  }
  const dataDir = await prepareFolder(options.dataDir, user);
  const installation = { binaries, dataDir, user, options };
  try {
    const made = await readFile(join(dataDir, 'PG_VERSION'), 'utf8').catch(() => undefined);
    if (made === undefined) await initialise(installation);
    else if (Number.parseInt(made) !== major) {
      const problem = `The data in ${dataDir} is PostgreSQL ${made.trim()}'s, the programs are ${binaries.version}.`;
      throw new ShapecastError('SERVER_MISSING', `${problem} Use another data folder or upgrade it with pg_upgrade.`);
    }
    return await startOnFreePort(installation);
  } catch (error) {
    if (options.dataDir === undefined) await rm(dataDir, { recursive: true, force: true });
    throw error;
  }
}

interface Installation {
  readonly binaries: PostgresBinaries & { readonly version: string };
  readonly dataDir: string;
  readonly user: User | undefined;
  readonly options: LocalPostgresOptions;
}

async function startOnFreePort(installation: Installation): Promise<LocalPostgres> {
  for (let attempt = 1; ; attempt += 1) {
    const server = new Server(installation, installation.options.port ?? (await freePort()));
    try {
      await server.start();
      return server;
    } catch (error) {
      // Somebody else may have taken the port since we looked.
      const taken = error instanceof Error && error.message.includes('could not bind');
      if (!taken || installation.options.port !== undefined || attempt === 5) throw error;
    }
  }
}

class Server implements LocalPostgres {
  readonly port: number;
  readonly #installation: Installation;
  #child: ChildProcess | undefined;
  #guard: Guard | undefined;

  constructor(installation: Installation, port: number) {
    this.port = port;
    this.#installation = installation;
  }

  get url(): string {
    const { password } = this.#installation.options;
    const secret = password === undefined ? '' : `:${encodeURIComponent(password)}`;
    return `postgresql://postgres${secret}@127.0.0.1:${this.port}/postgres`;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get dataDir(): string {
    return this.#installation.dataDir;
  }

  get version(): string {
    return this.#installation.binaries.version;
  }

  get #temporary(): boolean {
    return this.#installation.options.dataDir === undefined;
  }

  async start(): Promise<void> {
    if (this.#child !== undefined) return;
    const { binaries, dataDir, user, options } = this.#installation;
    const settings = Object.entries({ ...ownSettings(options, this.port), ...options.settings });
    const args = ['-D', dataDir, ...settings.flatMap(([name, value]) => ['-c', `${name}=${value}`])];
    const log = await open(join(dataDir, 'server.log'), 'a');
    const logStart = (await log.stat()).size;
    // Its own session: Ctrl-C in a terminal must reach us first, and not take the database away from under the services.
    const child = spawn(binaries.postgres, args, {
      ...user,
      cwd: dataDir,
      env: serverEnvironment(),
      stdio: ['ignore', log.fd, log.fd],
      detached: true,
    });
    // It may have ended before the next line that waits is through.
    this.#child = child;
    child.once('exit', () => this.#ended(child));
    child.once('error', () => this.#ended(child));
    await spawned(child).finally(() => log.close());
    child.unref();
    try {
      if (this.#child === child) this.#guard = this.#guarded(child.pid as number);
      await this.#untilReady(child);
    } catch (error) {
      await this.crash();
      const said = (await readFile(join(dataDir, 'server.log'))).subarray(logStart).toString().slice(-2000).trim();
      throw new ShapecastError('SERVER_MISSING', `PostgreSQL did not start: ${said}`, { dataDir }, error);
    }
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (child?.pid !== undefined) {
      const children = await childrenOf(child.pid);
      // SIGCONT: a paused server would never see the request.
      signalAll([child.pid, ...children], 'SIGCONT');
      signalAll([child.pid], 'SIGINT');
      const patience = this.#temporary ? STOP_TIMEOUT_TEMPORARY_MS : STOP_TIMEOUT_MS;
      // A replication client that does not read keeps a fast shutdown waiting for ever.
      if (!(await waitGone([child.pid], patience))) await this.crash();
      await waitGone(children, 1_000);
      this.#ended(child);
    }
    if (this.#temporary) await rm(this.dataDir, { recursive: true, force: true, maxRetries: 5 });
  }

  async crash(): Promise<void> {
    const child = this.#child;
    if (child?.pid === undefined) return;
    // Stopped first, so that it starts no children between the list and the kill. They are in sessions of their own and
    // would notice its death only at their next wait.
    signalAll([child.pid], 'SIGSTOP');
    const family = [child.pid, ...(await childrenOf(child.pid))];
    signalAll(family, 'SIGKILL');
    await waitGone(family, STOP_TIMEOUT_MS);
    this.#ended(child);
  }

  #guarded(pid: number): Guard {
    return this.#temporary
      ? guardProcess({ pid, signal: 'SIGQUIT', removeDir: this.dataDir })
      : guardProcess({ pid, signal: 'SIGINT' });
  }

  #ended(child: ChildProcess): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    this.#guard?.release();
    this.#guard = undefined;
  }

  /** The postmaster writes its state into its lock file: the last line says `ready` (Postgres: miscadmin.h, PM_STATUS_READY). */
  async #untilReady(child: ChildProcess): Promise<void> {
    const deadline = performance.now() + START_TIMEOUT_MS;
    while (this.#child === child) {
      const lines = (await readFile(join(this.dataDir, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
      if (Number(lines[0]) === child.pid && lines[7]?.trim() === 'ready') return;
      if (performance.now() > deadline) throw new Error('not ready in time');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error('exited before it was ready');
  }
}

function isDurable(options: LocalPostgresOptions): boolean {
  return options.durable ?? options.dataDir !== undefined;
}

function ownSettings(options: LocalPostgresOptions, port: number): Record<string, string> {
  const always = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    // A temporary path can be longer than a socket's name may be; nothing here needs one.
    unix_socket_directories: '',
    wal_level: 'logical',
    max_wal_senders: '50',
    max_replication_slots: '50',
    max_connections: '200',
    timezone: 'UTC',
    log_timezone: 'UTC',
    lc_messages: 'C',
    log_checkpoints: 'off',
  };
  if (isDurable(options)) return always;
  // mmap: a killed server leaves nothing in /dev/shm. Commits stay synchronous, for a walsender sends flushed WAL only.
  return { ...always, fsync: 'off', full_page_writes: 'off', dynamic_shared_memory_type: 'mmap' };
}

async function initialise({ binaries, dataDir, user, options }: Installation): Promise<void> {
  const { password } = options;
  // initdb wants an empty folder, so the file stands beside it.
  const passwordFile = `${dataDir}.password`;
  const auth = password === undefined ? ['--auth=trust'] : ['--auth=scram-sha-256', `--pwfile=${passwordFile}`];
  if (password !== undefined) {
    await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
    if (user !== undefined) await chown(passwordFile, user.uid, user.gid);
  }
  const sync = isDurable(options) ? [] : ['--no-sync'];
  const args = ['-D', dataDir, '-U', 'postgres', '--encoding=UTF8', ...sync, ...auth];
  try {
    const first = await runInitdb(binaries, dataDir, user, [...args, '--locale=C.UTF-8']);
    if (first.code === 0) return;
    // Not every system has C.UTF-8; C sorts the same way.
    const second = await runInitdb(binaries, dataDir, user, [...args, '--locale=C']);
    if (second.code === 0) return;
    throw new ShapecastError('SERVER_MISSING', `initdb failed: ${second.said.slice(-2000).trim()}`, { dataDir });
  } finally {
    await rm(passwordFile, { force: true });
  }
}

async function runInitdb(
  binaries: PostgresBinaries,
  cwd: string,
  user: User | undefined,
  args: readonly string[],
): Promise<{ readonly code: number | null; readonly said: string }> {
  const child = spawn(binaries.initdb, args, {
    ...user,
    cwd,
    env: serverEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await spawned(child);
  const code = await new Promise<number | null>((done) => child.once('close', done));
  return { code, said };
}

/** Settings such as PGDATA or a locale of the caller must not leak into a server that is meant to be the same everywhere. */
function serverEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], TZ: 'UTC', LC_ALL: 'C' };
}

async function spawned(child: ChildProcess): Promise<void> {
  await new Promise<void>((done, fail) => {
    child.once('spawn', done);
    child.once('error', (error) => {
      fail(new ShapecastError('SERVER_MISSING', 'The PostgreSQL programs cannot be run here.', {}, error));
    });
  });
}

/** A cluster's owner, when we are root and it exists already: it may have been made by another unprivileged user. */
async function dataOwner(dataDir: string | undefined): Promise<User | undefined> {
  if (dataDir === undefined || process.getuid?.() !== 0) return undefined;
  const found = await stat(join(dataDir, 'PG_VERSION')).catch(() => undefined);
  return found === undefined || found.uid === 0 ? undefined : { uid: found.uid, gid: found.gid };
}

async function prepareFolder(wanted: string | undefined, user: User | undefined): Promise<string> {
  const dataDir = wanted === undefined ? await mkdtemp(join(tmpdir(), 'shapecast-pg-')) : resolve(wanted);
  await mkdir(dataDir, { recursive: true });
  const empty = (await readdir(dataDir)).length === 0;
  if (empty) await chmod(dataDir, 0o700);
  if (user === undefined) return dataDir;
  if (empty) await chown(dataDir, user.uid, user.gid);
  const closed = await closedFolder(dataDir, user);
  if (closed !== undefined) {
    const problem = `PostgreSQL does not run as root, and user ${user.uid} may not enter ${closed}.`;
    throw new ShapecastError('SERVER_MISSING', `${problem} Choose a data folder that user can reach.`);
  }
  return dataDir;
}
