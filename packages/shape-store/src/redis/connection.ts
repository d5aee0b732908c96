import { ShapecastError } from '@shapecast/errors';
import { Backoff, type Clock, type Logger } from '@shapecast/service-kit';
import { Redis, type RedisOptions } from 'ioredis';
import type { CallRecorders } from '../store-health.ts';

export interface RedisConnectionOptions {
  /** PEM of the authority that signed the server's certificate; implies TLS. */
  readonly caCertificate?: string | undefined;
  /** Shown by `CLIENT LIST`. */
  readonly connectionName?: string;
  /** How long a call waits for a connection that is down before it fails. */
  readonly connectionWaitMs?: number;
  /** How long a call waits for its reply. */
  readonly commandTimeoutMs?: number;
  readonly connectTimeoutMs?: number;
}

/** Where one connection leads: to a server, or to whichever server sentinels call the primary. */
export type RedisAddress = Pick<
  RedisOptions,
  | 'host'
  | 'port'
  | 'username'
  | 'password'
  | 'db'
  | 'tls'
  | 'sentinels'
  | 'name'
  | 'sentinelUsername'
  | 'sentinelPassword'
  | 'sentinelTLS'
  | 'enableTLSForSentinelMode'
>;

/** Server errors that pass by themselves, or with an operator's help, but never because of what we sent. */
const TRANSIENT =
  /^(OOM|LOADING|READONLY|MASTERDOWN|NOREPLICAS|MISCONF|BUSY|CLUSTERDOWN|TRYAGAIN|NOAUTH|WRONGPASS|NOPERM|MOVED|ASK|UNBLOCKED)\b/;
const MIN_VERSION = 7;
/** Calls that wait for the connection at the same time; one more fails at once. */
const MAX_WAITING = 10_000;

/**
 * One connection to a Redis (or Valkey) that holds shape logs. Connects with the first call and again for ever when
 * it breaks. Nothing is queued while it is down: a call waits a short while for the connection and then fails with
 * STORE_UNAVAILABLE, and calls in flight fail when it breaks. They may have been carried out; all our scripts can be
 * repeated, so nothing is resent behind the caller's back.
 */
export class RedisConnection {
  readonly #redis: Redis;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #calls: CallRecorders | undefined;
  readonly #waitMs: number;
  #outage = false;
  #closed = false;
  #connections = 0;
  /** Calls that wait for the connection. */
  readonly #waiting = new Set<() => void>();

  constructor(
    deps: { readonly clock: Clock; readonly log: Logger; readonly calls?: CallRecorders | undefined },
    address: string | RedisAddress,
    options: RedisConnectionOptions,
  ) {
    this.#log = deps.log.child({ component: 'shape-store' });
    this.#clock = deps.clock;
    this.#calls = deps.calls;
    this.#waitMs = options.connectionWaitMs ?? 1_000;
    const commandTimeout = options.commandTimeoutMs ?? 5_000;
    const backoff = new Backoff(deps.clock, { minMs: 50, maxMs: 2_000 });
    const tls = options.caCertificate === undefined ? {} : { tls: { ca: options.caCertificate } };
    const redisOptions = {
      lazyConnect: true,
      connectionName: options.connectionName ?? 'shapecast',
      ...tls,
      connectTimeout: options.connectTimeoutMs ?? 5_000,
      commandTimeout,
      // A server that answers nothing at all is gone, although its socket is open.
      socketTimeout: commandTimeout * 2,
      keepAlive: 10_000,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      retryStrategy: () => backoff.nextDelayMs(),
      sentinelRetryStrategy: () => backoff.nextDelayMs(),
      sentinelCommandTimeout: commandTimeout,
      // Sentinels tell of a switch themselves: the old primary may be alive, and answer.
      failoverDetector: true,
      // A primary that became a replica: the name may already lead to the new one.
      reconnectOnError: (error: Error) => /^(READONLY|MASTERDOWN)/.test(error.message),
    };
    this.#redis =
      typeof address === 'string'
        ? new Redis(address, redisOptions)
        : new Redis({ ...redisOptions, ...address, ...tls });
    this.#redis.on('error', (error: Error) => this.#onError(error));
    this.#redis.on('close', () => this.#onError(undefined));
    this.#redis.on('ready', () => {
      backoff.reset();
      this.#connections += 1;
      if (this.#outage) this.#log.info({}, 'redis is back');
      this.#outage = false;
      for (const onReady of this.#waiting) onReady();
      this.#waiting.clear();
      void this.#inspectServer();
    });
  }

  /** How often it was connected. */
  get connections(): number {
    return this.#connections;
  }

  connected(): boolean {
    return !this.#closed && this.#redis.status === 'ready';
  }

  /** Runs commands; what goes wrong becomes STORE_UNAVAILABLE, or a plain Error when it is our bug. */
  async run<T>(what: string, commands: (client: Redis) => Promise<T>): Promise<T> {
    const calls = this.#calls;
    const askedAt = calls === undefined ? 0 : performance.now();
    let sentAt = askedAt;
    try {
      await this.#ready();
    } finally {
      if (calls !== undefined) {
        sentAt = performance.now();
        calls.queue.record(sentAt - askedAt);
      }
    }
    try {
      return await commands(this.#redis);
    } catch (error) {
      throw wrap(what, error);
    } finally {
      calls?.duration.record(performance.now() - sentAt);
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#redis.disconnect();
  }

  async #ready(): Promise<void> {
    const redis = this.#redis;
    if (this.connected()) return;
    if (this.#closed) throw unavailable('The connection to redis is closed.', { reason: 'closed' });
    // Its failure arrives as an event as well; retrying goes on by itself.
    if (redis.status === 'wait') redis.connect().catch(() => {});
    if (this.#waiting.size >= MAX_WAITING) throw disconnected();
    await new Promise<void>((resolve, reject) => {
      const onReady = () => {
        cancel();
        resolve();
      };
      const cancel = this.#clock.after(this.#waitMs, () => {
        this.#waiting.delete(onReady);
        reject(disconnected());
      });
      this.#waiting.add(onReady);
    });
  }

  /** One line per outage, however often the retry fails. */
  #onError(err: Error | undefined): void {
    if (this.#outage || this.#closed) return;
    this.#outage = true;
    this.#log.warn(err ? { err } : {}, 'redis is unavailable, retrying until it is back');
  }

  /** Settings that corrupt logs in silence are worth a loud line. Managed services may refuse the question (spec D R11). */
  async #inspectServer(): Promise<void> {
    try {
      const info = await this.#redis.info('server');
      const version = /^redis_version:(\S+)/m.exec(info)?.[1] ?? '';
      if (Number.parseInt(version, 10) < MIN_VERSION) {
        this.#log.error({ version }, 'redis is too old: version 7.0 or newer is required');
      }
      const policy = ((await this.#redis.config('GET', 'maxmemory-policy')) as (string | undefined)[])[1];
      if (policy !== undefined && policy !== 'noeviction') {
        this.#log.error({ policy }, 'redis may evict shape logs: set maxmemory-policy to noeviction');
      }
    } catch (err) {
      this.#log.debug({ err }, 'the settings of redis could not be read');
    }
  }
}

export function wrap(what: string, error: unknown): Error {
  if (!(error instanceof Error)) return new Error(`redis ${what} failed`, { cause: error });
  if (error.name !== 'ReplyError') {
    return unavailable(
      'Redis did not answer. The call may be repeated.',
      { reason: 'disconnected', call: what },
      error,
    );
  }
  const transient = TRANSIENT.exec(error.message);
  if (transient) {
    const reason = transient[1] === 'OOM' ? 'out_of_memory' : (transient[1] as string).toLowerCase();
    return unavailable('Redis cannot serve the call at the moment.', { reason, call: what }, error);
  }
  return new Error(`redis refused ${what}: ${error.message}`, { cause: error });
}

function disconnected(): ShapecastError {
  return unavailable('No connection to redis. Trying to reconnect.', { reason: 'disconnected' });
}

export function unavailable(message: string, details: Record<string, unknown>, cause?: unknown): ShapecastError {
  return new ShapecastError('STORE_UNAVAILABLE', message, details, cause);
}
