import pg from 'pg';
import { abortReason } from '@shapecast/service-kit';
import { connectionError } from './errors.ts';
import type { PgServer } from './server.ts';

export interface LazyPoolOptions {
  readonly maxConnections: number;
  /** How long a caller may wait for a connection, free or new. */
  readonly acquireTimeoutMs: number;
  readonly applicationName: string;
}

const IDLE_TIMEOUT_MS = 30_000;

/** Ordinary connections to one server, made when first needed. Callers queue in order; each wait is bounded. */
export class LazyPool {
  readonly #server: PgServer;
  readonly #options: LazyPoolOptions;
  #pool: pg.Pool | undefined;
  #closed = false;

  constructor(server: PgServer, options: LazyPoolOptions) {
    this.#server = server;
    this.#options = options;
  }

  /**
   * Lends a connection for the time of `use`. Failing to get one is SOURCE_UNAVAILABLE or SOURCE_MISCONFIGURED; errors of
   * `use` pass unchanged, and after one the connection is thrown away unless it is known to be idle.
   */
  async use<T>(signal: AbortSignal, use: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await this.#acquire(signal);
    let broken = true;
    try {
      const result = await use(client);
      broken = false;
      return result;
    } finally {
      client.release(broken);
    }
  }

  /** Closes idle connections now and lent ones when they come back, without waiting for those. */
  close(): void {
    this.#closed = true;
    this.#pool?.end().catch(() => {});
  }

  async #acquire(signal: AbortSignal): Promise<pg.PoolClient> {
    signal.throwIfAborted();
    const pool = await this.#open(signal);
    const connecting = pool.connect();
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        reject(abortReason(signal));
        // The pool cannot take a request back: what it gives later goes straight back.
        connecting.then(
          (client) => client.release(),
          () => {},
        );
      };
      signal.addEventListener('abort', onAbort, { once: true });
      connecting.then(
        (client) => {
          if (signal.aborted) return;
          signal.removeEventListener('abort', onAbort);
          resolve(client);
        },
        (error: unknown) => {
          signal.removeEventListener('abort', onAbort);
          this.#server.forget();
          reject(connectionError(error));
        },
      );
    });
  }

  async #open(signal: AbortSignal): Promise<pg.Pool> {
    const config = await this.#server.config(signal);
    if (this.#closed) throw new Error('pool is closed');
    this.#pool ??= createPool(config, this.#options);
    return this.#pool;
  }
}

function createPool(config: pg.ClientConfig, options: LazyPoolOptions): pg.Pool {
  const pool = new pg.Pool({
    ...config,
    max: options.maxConnections,
    idleTimeoutMillis: IDLE_TIMEOUT_MS,
    connectionTimeoutMillis: options.acquireTimeoutMs,
    application_name: options.applicationName,
    allowExitOnIdle: true,
  });
  // An idle connection that breaks is replaced at the next use, which reports what is wrong.
  pool.on('error', () => {});
  return pool;
}
