import type pg from 'pg';
import { ShapecastError, isShapecastError } from '@shapecast/errors';
import {
  abortReason,
  Backoff,
  Complaints,
  silentLogger,
  systemClock,
  type Clock,
  type Logger,
} from '@shapecast/service-kit';
import type { ConnectionPart, ConnectionPermits } from './connection-budget.ts';
import { connectionError } from './errors.ts';
import { destroyClient } from './replication/replication-link.ts';
import type { PgServer } from './server.ts';

export interface LazyPoolOptions {
  readonly maxConnections: number;
  /** How long a caller may wait for a connection, free or new. */
  readonly acquireTimeoutMs: number;
  readonly applicationName: string;
  /** While no connection can be made, callers are let down only after it went on for so long. Default 0: at the first failure. */
  readonly failAfterMs?: number;
  /** A connection so old is replaced after its next use. Default a minute. */
  readonly maxAgeMs?: number;
  /** See `Purpose`. */
  readonly ownSession?: boolean;
  /** The first thing that happens on each connection; where it fails, the connection is not used. */
  readonly prepare?: (client: pg.ClientBase, signal: AbortSignal) => Promise<void>;
  /** The budget this pool shares with others, and its part of it. */
  readonly permits?: ConnectionPermits | undefined;
  readonly part?: ConnectionPart;
  readonly clock?: Clock;
  readonly log?: Logger;
}

interface Waiter {
  grant(client: pg.Client): void;
  fail(error: Error): void;
}

interface Member {
  readonly sinceMs: number;
  stopIdling: () => void;
}

const IDLE_TIMEOUT_MS = 30_000;
/**
 * A smart shutdown waits for every session to end and tells none of them: only who connects anew hears of it (spec R 8.4.3).
 */
const MAX_AGE_MS = 60_000;
const SHUTTING_DOWN = ['database_server_shutting_down', 'database_server_unavailable'];
/** A connection that does not close in time, because the network is gone, is cut. */
const CLOSE_TIMEOUT_MS = 5_000;
/** So long a pool with callers of its own keeps a connection that others wait for: handing one over costs about a tenth of it. */
const SLICE_MS = 250;
/** Between attempts to connect (spec R 3.6.4). */
const RETRY = { minMs: 1_000, maxMs: 10_000 };

/**
 * Ordinary connections to one server, made when first needed. Callers queue in order; each wait is bounded. A server that refuses
 * is asked again at growing intervals, however many callers there are; who comes in between hears what it said.
 */
export class LazyPool {
  readonly #server: PgServer;
  readonly #options: LazyPoolOptions;
  readonly #clock: Clock;
  readonly #part: ConnectionPart;
  readonly #backoff: Backoff;
  readonly #complaints: Complaints;
  /** Open connections, lent and idle. */
  readonly #members = new Map<pg.Client, Member>();
  readonly #idle: pg.Client[] = [];
  readonly #waiting: Waiter[] = [];
  /** Connections on their way, in the order they were begun. */
  readonly #opening = new Set<AbortController>();
  readonly #ignoreContention: (() => void) | undefined;
  #retryTimer: (() => void) | undefined;
  /** Since when, and with what, every attempt has failed. */
  #failure: { readonly sinceMs: number; readonly error: ShapecastError; readonly nextMs: number } | undefined;
  #closed = false;

  constructor(server: PgServer, options: LazyPoolOptions) {
    this.#server = server;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#part = options.part ?? 'admin';
    this.#backoff = new Backoff(this.#clock, RETRY);
    this.#complaints = new Complaints(this.#clock);
    this.#ignoreContention = options.permits?.onContended((part) => {
      if (part === this.#part) this.closeIdle();
    });
  }

  /**
   * Lends a connection for the time of `use`. Failing to get one is SOURCE_UNAVAILABLE or SOURCE_MISCONFIGURED; errors of
   * `use` pass unchanged, and after one the connection is thrown away. Its own `release` is nobody's to call.
   */
  async use<T>(
    signal: AbortSignal,
    use: (client: pg.PoolClient) => Promise<T>,
    acquireTimeoutMs: number = this.#options.acquireTimeoutMs,
  ): Promise<T> {
    const client = await this.#acquire(signal, acquireTimeoutMs);
    let broken = true;
    try {
      const result = await use(client as pg.PoolClient);
      broken = false;
      return result;
    } finally {
      if (broken) this.#end(client);
      else this.#takeBack(client);
    }
  }

  /** Closes idle connections now and lent ones when they come back, without waiting for those. */
  close(): void {
    this.#closed = true;
    this.#retryTimer?.();
    this.#ignoreContention?.();
    for (const opening of this.#opening) opening.abort(closed());
    for (const waiter of this.#waiting.splice(0)) waiter.fail(closed());
    this.closeIdle();
  }

  async #acquire(signal: AbortSignal, acquireTimeoutMs: number): Promise<pg.Client> {
    signal.throwIfAborted();
    if (this.#closed) throw closed();
    const idle = this.#idle.pop();
    if (idle) {
      this.#members.get(idle)?.stopIdling();
      return idle;
    }
    const failed = this.#failed();
    if (failed) throw failed.error;
    return this.#wait(signal, acquireTimeoutMs);
  }

  #wait(signal: AbortSignal, acquireTimeoutMs: number): Promise<pg.Client> {
    return new Promise((resolve, reject) => {
      const settle = (outcome: () => void) => {
        const place = this.#waiting.indexOf(waiter);
        if (place !== -1) this.#waiting.splice(place, 1);
        signal.removeEventListener('abort', onAbort);
        cancel();
        outcome();
        this.#trim();
      };
      const onAbort = () => settle(() => reject(abortReason(signal)));
      const cancel = this.#clock.after(acquireTimeoutMs, () =>
        settle(() => reject(this.#failure && this.#members.size === 0 ? this.#failure.error : waitedTooLong())),
      );
      const waiter: Waiter = {
        grant: (client) => settle(() => resolve(client)),
        fail: (error) => settle(() => reject(error)),
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(waiter);
      this.#fill();
    });
  }

  /** Why nobody gets a connection at the moment; undefined while it makes sense to wait for one (spec R 3.6.5). */
  #failed(): { readonly error: ShapecastError } | undefined {
    const failure = this.#failure;
    const now = this.#clock.now();
    if (failure === undefined || this.#members.size > 0 || now >= failure.nextMs) return undefined;
    const hopeless = isShapecastError(failure.error, 'SOURCE_MISCONFIGURED');
    return hopeless || now - failure.sinceMs >= (this.#options.failAfterMs ?? 0) ? failure : undefined;
  }

  /** Opens as many as there are callers to wait for them, within the bound, and not while the server has just refused. */
  #fill(): void {
    if (this.#closed) return;
    const waitMs = (this.#failure?.nextMs ?? 0) - this.#clock.now();
    if (waitMs > 0) {
      this.#retryTimer ??= this.#clock.after(waitMs, () => {
        this.#retryTimer = undefined;
        this.#fill();
      });
      return;
    }
    const most = this.#failure ? 1 : Infinity;
    while (
      this.#opening.size < Math.min(most, this.#waiting.length) &&
      this.#members.size + this.#opening.size < this.#options.maxConnections
    ) {
      const opening = new AbortController();
      this.#opening.add(opening);
      void this.#open(opening);
    }
  }

  /** Nobody waits any more for what is on its way, so it is given up, the youngest first. */
  #trim(): void {
    const surplus = this.#opening.size - this.#waiting.length;
    if (surplus <= 0) return;
    for (const opening of [...this.#opening].slice(-surplus)) opening.abort(waitedTooLong());
  }

  async #open(opening: AbortController): Promise<void> {
    const { signal } = opening;
    let release: (() => void) | undefined;
    try {
      release = await this.#options.permits?.acquire(this.#part, signal);
      const client = await this.#connect(signal);
      this.#admit(client, release);
      this.#opening.delete(opening);
      this.#worked();
      this.#offer(client);
    } catch (error) {
      release?.();
      this.#opening.delete(opening);
      if (!signal.aborted) this.#refused(connectionError(error));
    }
    this.#fill();
  }

  async #connect(signal: AbortSignal): Promise<pg.Client> {
    const { applicationName, acquireTimeoutMs, ownSession = false, prepare } = this.#options;
    const client = await this.#server.connect({ applicationName, timeoutMs: acquireTimeoutMs, ownSession }, signal);
    try {
      await prepare?.(client, signal);
      signal.throwIfAborted();
      return client;
    } catch (error) {
      destroyClient(client);
      throw error;
    }
  }

  #admit(client: pg.Client, release: (() => void) | undefined): void {
    this.#members.set(client, { sinceMs: this.#clock.now(), stopIdling: () => {} });
    // An idle connection that breaks is replaced at the next use, which reports what is wrong.
    client.on('error', () => this.#forget(client));
    client.once('end', () => {
      this.#forget(client);
      release?.();
      this.#fill();
    });
  }

  #worked(): void {
    const { log = silentLogger } = this.#options;
    const failingMs = this.#complaints.failingMs;
    if (this.#complaints.worked()) log.info({ pool: this.#part, failingMs }, 'database connections can be made again');
    this.#failure = undefined;
    this.#backoff.reset();
  }

  #refused(error: ShapecastError): void {
    const { log = silentLogger } = this.#options;
    const { type, code, routine } = error.details;
    if (SHUTTING_DOWN.includes(String(type))) this.closeIdle();
    if (this.#complaints.failed(String(type))) {
      const fields = {
        pool: this.#part,
        type,
        code,
        routine,
        error: error.message,
        failingMs: this.#complaints.failingMs,
      };
      log.warn(fields, 'no database connection can be made, retrying');
    }
    const now = this.#clock.now();
    const sinceMs = this.#failure?.sinceMs ?? now;
    this.#failure = { sinceMs, error, nextMs: now + this.#backoff.nextDelayMs() };
    const failed = this.#failed();
    if (failed) for (const waiter of this.#waiting.splice(0)) waiter.fail(failed.error);
  }

  #takeBack(client: pg.Client): void {
    const member = this.#members.get(client);
    if (this.#closed || member === undefined || this.#isDue(member)) this.#end(client);
    else this.#offer(client);
  }

  /** Whether a connection has to go: it is old, or others wait for one and we do not need it, or had it for a while. */
  #isDue({ sinceMs }: Member): boolean {
    const ageMs = this.#clock.now() - sinceMs;
    if (ageMs >= (this.#options.maxAgeMs ?? MAX_AGE_MS)) return true;
    if (this.#options.permits?.contended(this.#part) !== true) return false;
    return this.#waiting.length === 0 || ageMs >= SLICE_MS;
  }

  #offer(client: pg.Client): void {
    const waiter = this.#waiting.shift();
    if (waiter) return waiter.grant(client);
    const member = this.#members.get(client);
    if (this.#closed || !member) return this.#end(client);
    this.#idle.push(client);
    const cancel = this.#clock.after(IDLE_TIMEOUT_MS, () => this.#end(client));
    const socket = client as unknown as { ref(): void; unref(): void };
    // An idle connection does not keep the process alive.
    socket.unref();
    member.stopIdling = () => {
      cancel();
      socket.ref();
    };
  }

  /** Nobody is expected to need a connection soon. */
  closeIdle(): void {
    for (const client of [...this.#idle]) this.#end(client);
  }

  /** Says goodbye to the server. The connection counts until it is closed: the server counts it too. */
  #end(client: pg.Client): void {
    this.#dropIdle(client);
    const cancel = this.#clock.after(CLOSE_TIMEOUT_MS, () => destroyClient(client));
    client.end().then(cancel, cancel);
  }

  /** It is of no more use, though it may not be closed yet. */
  #forget(client: pg.Client): void {
    this.#dropIdle(client);
    this.#members.delete(client);
  }

  #dropIdle(client: pg.Client): void {
    const place = this.#idle.indexOf(client);
    if (place === -1) return;
    this.#idle.splice(place, 1);
    this.#members.get(client)?.stopIdling();
  }
}

function waitedTooLong(): ShapecastError {
  const type = 'pool_timeout';
  return new ShapecastError('SOURCE_UNAVAILABLE', 'Timed out waiting for a database connection.', { type });
}

function closed(): Error {
  return new Error('pool is closed');
}
