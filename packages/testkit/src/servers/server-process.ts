import { spawn, type ChildProcess } from 'node:child_process';
import { chmod, mkdir, mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { ShapecastError } from '@shapecast/errors';
import { childrenOf, freePort, guardProcess, signalAll, waitGone, type Guard } from '@shapecast/local-postgres';

/** A server that a test started, on loopback, with a data folder of its own. */
export interface TestServer {
  readonly url: string;
  readonly port: number;
  /** Undefined while it is down. */
  readonly pid: number | undefined;
  readonly dataDir: string;
  /** Ends it in good order and deletes its data, unless the folder was given. A second call is a no-op. */
  stop(): Promise<void>;
  /** SIGKILL: whatever was not on disk is lost, the data folder stays. */
  kill(): Promise<void>;
  /** SIGSTOP: connections stay open and nothing answers. */
  pause(): Promise<void>;
  /** SIGCONT: goes on after pause(). */
  resume(): Promise<void>;
  /** Starts again on the same port and data after kill(). */
  start(): Promise<void>;
}

export interface ServerSpec {
  /** Such as `nats`: for folders and messages. */
  readonly name: string;
  readonly command: string;
  readonly args: (port: number, dataDir: string) => readonly string[];
  /** On top of our own environment. */
  readonly env?: (port: number, dataDir: string) => Readonly<Record<string, string>>;
  /** Ends it and its children where we are killed ourselves. Default SIGKILL, which children would survive. */
  readonly guardSignal?: 'SIGTERM';
  /** Lets other users into the data folder. */
  readonly openDir?: boolean;
  readonly url: (port: number) => string;
  /** Resolves true once the server does its work on that port; rejections count as not yet. */
  readonly probe: (port: number) => Promise<boolean>;
}

const START_TIMEOUT_MS = 60_000;
const PORT_TIMEOUT_MS = 10_000;
const STOP_TIMEOUT_MS = 10_000;

/** Starts a server; resolves once its probe succeeds. Another port is tried when the one we found was taken meanwhile. */
export async function startServer(spec: ServerSpec, givenDir?: string, givenPort?: number): Promise<TestServer> {
  const dataDir = givenDir === undefined ? await mkdtemp(join(tmpdir(), `shapecast-${spec.name}-`)) : resolve(givenDir);
  await mkdir(dataDir, { recursive: true });
  if (spec.openDir === true) await chmod(dataDir, 0o755);
  for (let attempt = 1; ; attempt += 1) {
    const server = new ServerProcess(spec, givenPort ?? (await freePort()), dataDir, givenDir === undefined);
    try {
      await server.start();
      return server;
    } catch (error) {
      const taken = givenPort === undefined && error instanceof Error && /address already in use/i.test(error.message);
      if (taken && attempt < 5) continue;
      await server.stop();
      throw error;
    }
  }
}

class ServerProcess implements TestServer {
  readonly port: number;
  readonly dataDir: string;
  readonly #spec: ServerSpec;
  readonly #temporary: boolean;
  #child: ChildProcess | undefined;
  #guard: Guard | undefined;

  constructor(spec: ServerSpec, port: number, dataDir: string, temporary: boolean) {
    this.#spec = spec;
    this.port = port;
    this.dataDir = dataDir;
    this.#temporary = temporary;
  }

  get url(): string {
    return this.#spec.url(this.port);
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** On the port it had before, which somebody may have taken meanwhile: tried again for a while. */
  async start(): Promise<void> {
    const deadline = performance.now() + PORT_TIMEOUT_MS;
    for (;;) {
      try {
        return await this.#startOnce();
      } catch (error) {
        if (!/address already in use/i.test(String(error)) || performance.now() > deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }

  async #startOnce(): Promise<void> {
    if (this.#child !== undefined) return;
    const log = await open(join(this.dataDir, 'server.log'), 'a');
    const logStart = (await log.stat()).size;
    const child = spawn(this.#spec.command, this.#spec.args(this.port, this.dataDir), {
      cwd: this.dataDir,
      env: { ...process.env, ...this.#spec.env?.(this.port, this.dataDir) },
      stdio: ['ignore', log.fd, log.fd],
      // Ctrl-C in a terminal reaches us; we stop the servers after their clients.
      detached: true,
    });
    // It may have ended before the next line that waits is through.
    this.#child = child;
    child.once('exit', () => this.#ended(child));
    child.once('error', () => this.#ended(child));
    await new Promise<void>((done, fail) => {
      child.once('spawn', done);
      child.once('error', fail);
    }).finally(() => log.close());
    child.unref();
    try {
      if (this.#child === child) this.#guard = this.#guarded(child.pid as number);
      await this.#untilReady(child);
    } catch (error) {
      await this.kill();
      const said = (await readFile(join(this.dataDir, 'server.log'))).subarray(logStart).toString().slice(-2000).trim();
      throw new ShapecastError('SERVER_MISSING', `${this.#spec.name} did not start: ${said}`, {}, error);
    }
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (child?.pid !== undefined) {
      // A paused server would never see the request.
      await this.#signalFamily(child.pid, 'SIGCONT');
      signalAll([child.pid], 'SIGTERM');
      if (!(await waitGone([child.pid], STOP_TIMEOUT_MS))) await this.kill();
      this.#ended(child);
    }
    if (this.#temporary) await rm(this.dataDir, { recursive: true, force: true, maxRetries: 5 });
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child?.pid === undefined) return;
    await waitGone(await this.#signalFamily(child.pid, 'SIGKILL'), STOP_TIMEOUT_MS);
    this.#ended(child);
  }

  async pause(): Promise<void> {
    if (this.pid !== undefined) await this.#signalFamily(this.pid, 'SIGSTOP');
  }

  async resume(): Promise<void> {
    if (this.pid !== undefined) await this.#signalFamily(this.pid, 'SIGCONT');
  }

  /** Some do their work in child processes, which outlive a killed parent. Resolves with all the ids. */
  async #signalFamily(pid: number, signal: NodeJS.Signals): Promise<number[]> {
    const family = [pid, ...(await childrenOf(pid))];
    signalAll(family, signal);
    return family;
  }

  #guarded(pid: number): Guard {
    return this.#temporary
      ? guardProcess({ pid, signal: this.#spec.guardSignal ?? 'SIGKILL', removeDir: this.dataDir })
      : guardProcess({ pid, signal: 'SIGTERM' });
  }

  #ended(child: ChildProcess): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    this.#guard?.release();
    this.#guard = undefined;
  }

  async #untilReady(child: ChildProcess): Promise<void> {
    const deadline = performance.now() + START_TIMEOUT_MS;
    while (this.#child === child) {
      if (await this.#spec.probe(this.port).catch(() => false)) return;
      if (performance.now() > deadline) throw new Error('not ready in time');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error('exited before it was ready');
  }
}
