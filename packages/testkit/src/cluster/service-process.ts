import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { guardProcess, signalAll, waitGone, type Guard } from '@shapecast/local-postgres';
import { Backoff, systemClock } from '@shapecast/service-kit';

export type ServiceRole = 'replicator' | 'router' | 'api';

/** One service process of a cluster, under whatever process id it has at the moment. */
export interface ClusterProcess {
  /** Such as `router-1`; also its instance id. */
  readonly name: string;
  readonly role: ServiceRole;
  /** The last one, while it is down. */
  readonly pid: number;
  /** Where it answers: the API itself, or the health port. */
  readonly url: string;
  /** Where `/ready` is. */
  readonly healthUrl: string;
  /** Sends a signal and resolves once the process is gone. It comes back unless the cluster was told otherwise. */
  kill(signal?: 'SIGKILL' | 'SIGTERM' | 'SIGINT'): Promise<void>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Starts it at once, ending it first where it runs. */
  restart(): Promise<void>;
}

export interface ServiceProcessOptions {
  readonly name: string;
  readonly role: ServiceRole;
  /** TypeScript file to run. */
  readonly entry: string;
  readonly env: NodeJS.ProcessEnv;
  readonly url: string;
  readonly healthUrl: string;
  readonly autoRestart: boolean;
  /** File that standard output and error are appended to. */
  readonly logFile: string;
  /** Removed with the process when we are killed. */
  readonly temporaryDir?: string | undefined;
  /** Gets the lines instead of the file. */
  readonly onLog?: ((name: string, line: string) => void) | undefined;
  /** A process was started, or ended by itself. */
  readonly onChange: (event: string) => void;
}

const RESTART_DELAY = { minMs: 200, maxMs: 5_000 };
/** A process that lived this long starts over with the shortest delay. */
const STEADY_MS = 10_000;
/** The services leave by themselves after 55 s (spec O 2.4). */
const TERM_TIMEOUT_MS = 65_000;
/** When all of it is thrown away. */
const STOP_TIMEOUT_MS = 15_000;

/** Runs one service and starts it again when it dies. */
export class ServiceProcess implements ClusterProcess {
  readonly name: string;
  readonly role: ServiceRole;
  readonly url: string;
  readonly healthUrl: string;
  readonly #node: string;
  readonly #options: ServiceProcessOptions;
  readonly #backoff = new Backoff(systemClock, RESTART_DELAY);
  #child: ChildProcess | undefined;
  #guard: Guard | undefined;
  #pid = 0;
  #startedAt = 0;
  #deaths = 0;
  #stopping = false;
  /** We made it end, which says nothing about its health. */
  #killed = false;
  #cancelRestart: (() => void) | undefined;

  constructor(node: string, options: ServiceProcessOptions) {
    this.name = options.name;
    this.role = options.role;
    this.url = options.url;
    this.healthUrl = options.healthUrl;
    this.#node = node;
    this.#options = options;
  }

  get pid(): number {
    return this.#pid;
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  /** How often it died by itself in a row, without having lived for a while in between. */
  get deaths(): number {
    return this.#deaths;
  }

  async start(): Promise<void> {
    this.#cancelRestart?.();
    if (this.#child !== undefined || this.#stopping) return;
    const { entry, env, logFile, onLog } = this.#options;
    const log = onLog === undefined ? openSync(logFile, 'a') : undefined;
    const child = spawn(this.#node, [entry], {
      env,
      stdio: ['ignore', log ?? 'pipe', log ?? 'pipe'],
      // Ctrl-C in a terminal reaches the runner, which stops the parts in order.
      detached: true,
    });
    this.#child = child;
    if (log !== undefined) closeSync(log);
    for (const stream of [child.stdout, child.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on('line', (line) => onLog?.(this.name, line));
    }
    child.once('exit', (code, signal) => this.#exited(child, signal ?? `code ${code}`));
    await new Promise<void>((done, fail) => {
      child.once('spawn', done);
      child.once('error', (error) => {
        this.#child = undefined;
        fail(error);
      });
    });
    child.unref();
    this.#pid = child.pid as number;
    this.#startedAt = performance.now();
    const removeDir = this.#options.temporaryDir;
    if (this.#child === child) this.#guard = guardProcess({ pid: this.#pid, signal: 'SIGKILL', removeDir });
    this.#options.onChange(`${this.name} started, pid ${this.#pid}`);
  }

  async kill(signal: 'SIGKILL' | 'SIGTERM' | 'SIGINT' = 'SIGKILL', timeoutMs = TERM_TIMEOUT_MS): Promise<void> {
    const child = this.#child;
    if (child?.pid === undefined) return;
    const exited = new Promise<void>((done) => child.once('exit', () => done()));
    this.#killed = true;
    // Otherwise our own process could end here, with nothing else to wait for.
    child.ref();
    // A paused process would not see anything but SIGKILL.
    signalAll([child.pid], 'SIGCONT');
    signalAll([child.pid], signal);
    if (!(await waitGone([child.pid], timeoutMs))) signalAll([child.pid], 'SIGKILL');
    await exited;
  }

  async pause(): Promise<void> {
    if (this.#child !== undefined) signalAll([this.#pid], 'SIGSTOP');
  }

  async resume(): Promise<void> {
    if (this.#child !== undefined) signalAll([this.#pid], 'SIGCONT');
  }

  async restart(): Promise<void> {
    await this.kill();
    await this.start();
  }

  /** Ends it in good order, for good. */
  async remove(): Promise<void> {
    this.#stopping = true;
    this.#cancelRestart?.();
    await this.kill('SIGTERM');
  }

  /** The same with less patience. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#cancelRestart?.();
    await this.kill('SIGTERM', STOP_TIMEOUT_MS);
  }

  /** The end of what it wrote, for an error message. */
  async logTail(): Promise<string> {
    if (this.#options.onLog !== undefined) return '';
    const file = await open(this.#options.logFile).catch(() => undefined);
    if (file === undefined) return '';
    try {
      const { size } = await file.stat();
      const from = Math.max(0, size - 2_000);
      const { buffer } = await file.read({ position: from, buffer: Buffer.alloc(size - from) });
      return buffer.toString().trim();
    } finally {
      await file.close();
    }
  }

  #exited(child: ChildProcess, how: string): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    this.#guard?.release();
    this.#guard = undefined;
    if (this.#stopping) return;
    if (performance.now() - this.#startedAt > STEADY_MS) {
      this.#deaths = 0;
      this.#backoff.reset();
    }
    if (this.#killed) this.#backoff.reset();
    else this.#deaths += 1;
    this.#killed = false;
    const delayMs = Math.round(this.#backoff.nextDelayMs());
    const next = this.#options.autoRestart ? `, starts again in ${delayMs} ms` : '';
    this.#options.onChange(`${this.name} (pid ${this.#pid}) ended with ${how}${next}`);
    if (!this.#options.autoRestart) return;
    const again = (): void => {
      this.start().catch((error: unknown) =>
        this.#options.onChange(`${this.name} cannot be started: ${String(error)}`),
      );
    };
    const timer = setTimeout(again, delayMs);
    this.#cancelRestart = () => clearTimeout(timer);
  }
}
