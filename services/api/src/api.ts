import { randomUUID } from 'node:crypto';
import { UsageReporter, type Messaging } from '@shapecast/messaging';
import { SHAPE_CORS, type HeaderList } from '@shapecast/protocol';
import type { Clock, Component, HealthReport, Logger } from '@shapecast/service-kit';
import type { ShapeStore } from '@shapecast/shape-store';
import type { Seals } from '@shapecast/sources';
import { ownTelemetry, type Telemetry } from '@shapecast/telemetry';
import { authorize } from './access/authorize-route.ts';
import { StoreRoom } from './expiry/store-room.ts';
import { ApiServer } from './http/api-server.ts';
import { otherRoutes } from './http/other-routes.ts';
import { ShapeRoute } from './http/shape-route.ts';
import { FanOut } from './live/fan-out.ts';
import { PermitPool, type PermitLimits } from './permits.ts';
import { ApiProcesses } from './quotas/api-processes.ts';
import { ChunkCache } from './shapes/chunk-cache.ts';
import { OneSource } from './sources/one-source.ts';
import type { ProcessSources } from './sources/process-sources.ts';
import { RegistrySources } from './sources/registry-sources.ts';
import { ApiTelemetry } from './telemetry/api-telemetry.ts';

export interface ApiDeps {
  /** A function connects after the API listens already; what it opened is closed with the API. */
  readonly messaging: Messaging | ((signal: AbortSignal) => Promise<Messaging>);
  readonly store: ShapeStore;
  /** With keys, sources are those of the registry; otherwise there is the one of the options. */
  readonly seals?: Seals | undefined;
  /** Absent: what is measured is told nobody. */
  readonly telemetry?: Telemetry | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

/** All durations in milliseconds. What is left out has the default of the reference. */
export interface ApiOptions {
  readonly source: string;
  /** Tells this process from others, and from what it was before it was started again. */
  readonly instance?: string;
  readonly host?: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** Empty, and no file: no authentication. */
  readonly secrets: readonly string[];
  /** More of them, one per line; followed while the API runs. */
  readonly secretsFile?: string | undefined;
  /** Which tokens are taken, and what they allow. */
  readonly accessFile?: string | undefined;
  /** With many sources: secrets that open each of them, for edges that ask about tokens first. */
  readonly edgeSecrets?: readonly string[];
  /** With many sources: after how long without a request what serves one is taken apart. */
  readonly sourceIdleMs?: number;
  readonly longPollTimeoutMs?: number;
  /** Seconds. */
  readonly cacheMaxAge?: number;
  /** Seconds. */
  readonly cacheStaleAge?: number;
  readonly chunkBytes?: number;
  /** Bound of the bodies of chunks that are kept or being sent; 0: every reader reads for itself. */
  readonly chunkCacheBytes?: number;
  readonly limits?: PermitLimits;
  /** A debug line per request. Off, requests cost nothing for it. */
  readonly logRequests?: boolean;
  /** Live answers with news say how long these took, by stage. */
  readonly lagHeader?: boolean;
  readonly allowDelete?: boolean;
  readonly sendTimeoutMs?: number;
  readonly keepAliveTimeoutMs?: number;
  readonly maxRequestsPerConnection?: number;
  readonly readyTimeoutMs?: number;
  readonly notifyPollMs?: number;
  /** How often the store is told what was read, at least. */
  readonly readTimesMs?: number;
  /** Share of the store's memory beyond which no shapes are created. */
  readonly redisHighWater?: number;
  readonly sseKeepAliveMs?: number;
  readonly sseTimeoutMs?: number;
  readonly snapshotStartMs?: number;
  readonly chunkWaitMs?: number;
  readonly catalogTtlMs?: number;
  readonly prestopDelayMs?: number;
  /** Over how long the early answers to held requests are spread. */
  readonly drainSpreadMs?: number;
  readonly drainMs?: number;
}

const DEFAULTS = {
  edgeSecrets: [] as readonly string[],
  sourceIdleMs: 600_000,
  host: '0.0.0.0',
  longPollTimeoutMs: 20_000,
  cacheMaxAge: 60,
  cacheStaleAge: 300,
  chunkBytes: 10_485_760,
  chunkCacheBytes: 134_217_728,
  limits: { initial: 300, existing: 10_000 },
  logRequests: false,
  lagHeader: false,
  allowDelete: false,
  sendTimeoutMs: 30_000,
  keepAliveTimeoutMs: 75_000,
  maxRequestsPerConnection: 50,
  readyTimeoutMs: 5_000,
  notifyPollMs: 2_000,
  readTimesMs: 10_000,
  redisHighWater: 0.8,
  sseKeepAliveMs: 21_000,
  sseTimeoutMs: 60_000,
  snapshotStartMs: 45_000,
  chunkWaitMs: 60_000,
  catalogTtlMs: 2_000,
  prestopDelayMs: 0,
  drainSpreadMs: 0,
  drainMs: 30_000,
};

const STORE_CHECK_MS = 1_000;
/** Transfers that are not over by then are cut, so that the rest is done before the process is (O 2.4). */
const STOP_BUDGET_MS = 50_000;
/** Also with small limits: those that are refused get an answer. */
const MIN_CONNECTIONS = 1_000;
const PRODUCT = 'Shapecast/0.1.0';

/** The API service: shape logs to HTTP clients. Holds no state that another pod could not rebuild. */
export interface Api extends Component {
  report(): HealthReport;
  /** Where it listens; valid after start. */
  readonly port: number;
}

export function createApi(deps: ApiDeps, options: ApiOptions): Api {
  return new ApiComponent(deps, { ...DEFAULTS, ...options });
}

/** What all sources of the process have in common: its server, its connections, its memory. */
class ApiComponent implements Api {
  readonly name = 'api';
  readonly #deps: ApiDeps;
  readonly #options: typeof DEFAULTS & ApiOptions;
  readonly #instance: string;
  readonly #cache: ChunkCache;
  readonly #room: StoreRoom;
  readonly #sources: ProcessSources;
  readonly #route: ShapeRoute;
  readonly #server: ApiServer;
  readonly #stop = new AbortController();
  readonly #connectedOnce = Promise.withResolvers<Messaging>();
  #messaging: Messaging | undefined;
  #processes: ApiProcesses | undefined;
  #running: Promise<unknown> | undefined;
  #draining = false;
  #stopped: Promise<void> | undefined;

  constructor(deps: ApiDeps, options: typeof DEFAULTS & ApiOptions) {
    this.#deps = deps;
    this.#options = options;
    const { store, clock, log } = deps;
    this.#instance = options.instance ?? randomUUID();
    const telemetry = new ApiTelemetry(deps.telemetry ?? ownTelemetry(), clock);
    this.#cache = new ChunkCache(
      { maxBytes: options.chunkCacheBytes, expectedBytes: options.chunkBytes },
      { hits: telemetry.chunkHits, misses: telemetry.chunkMisses },
    );
    this.#room = new StoreRoom({ store, clock, log }, { highWater: options.redisHighWater });
    const pool = new PermitPool(options.limits);
    const parts = {
      ...{ store, clock, log, telemetry, cache: this.#cache, room: this.#room },
      fanOut: new FanOut(),
      pool,
      messaging: () => this.#messaging,
      connected: this.#connectedOnce.promise,
      processes: () => this.#processes?.count ?? 1,
    };
    const { seals } = deps;
    this.#sources =
      seals === undefined ? new OneSource(parts, options) : new RegistrySources({ ...parts, seals }, options);
    const sources = this.#sources;
    this.#route = new ShapeRoute(
      { sources, telemetry, clock, log },
      {
        ...{ clock, server: PRODUCT, sendTimeoutMs: options.sendTimeoutMs },
        cors: options.lagHeader ? exposing(SHAPE_CORS, 'server-timing') : SHAPE_CORS,
        closing: () => this.#draining,
      },
      { ...options, maxAge: options.cacheMaxAge, staleAge: options.cacheStaleAge, clock },
    );
    const others = otherRoutes({ server: PRODUCT, health: (asked) => this.#sources.health(asked) });
    const maxConnections = Math.max(MIN_CONNECTIONS, 2 * (options.limits.initial + options.limits.existing));
    this.#server = new ApiServer(
      {
        route: this.#route,
        authorize: (req, res, query) => {
          authorize(sources, req, res, query).catch((err: unknown) => {
            log.error({ err }, 'a token could not be checked');
            res.destroy();
          });
        },
        others,
        clock,
      },
      { ...options, maxConnections, server: PRODUCT },
    );
    telemetry.watch({
      ready: () => this.#ready,
      busConnected: () => this.#messaging?.connected() ?? false,
      storeConnected: () => store.connected(),
      inProgress: (kind) => pool.used[kind],
      limit: (kind) => pool.limit(kind),
      connections: () => this.#server.connections,
      maxConnections,
      chunkCacheBytes: () => this.#cache.bytes,
    });
  }

  get port(): number {
    return this.#server.port;
  }

  /** Listens at once; connecting goes on behind it, and requests wait for it within their own limits (O 2.2). */
  async start(_signal: AbortSignal): Promise<void> {
    const following = this.#sources.follow(this.#stop.signal);
    await this.#server.listen();
    this.#deps.log.info({ port: this.port }, 'listening');
    const connecting = this.#connect().catch((err: unknown) => {
      if (!this.#stop.signal.aborted) this.#deps.log.error({ err }, 'the API cannot connect');
    });
    this.#running = Promise.all([connecting, this.#keepStoreConnected(), following]);
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#shutDown();
    return this.#stopped;
  }

  report(): HealthReport {
    const { status, ...sources } = this.#sources.report();
    return {
      status,
      ready: this.#ready,
      ...sources,
      messaging: this.#messaging?.connected() ?? false,
      store: this.#deps.store.connected(),
      chunkCacheBytes: this.#cache.bytes,
      storeMemory: this.#room.report,
      inProgress: this.#route.inProgress,
    };
  }

  get #ready(): boolean {
    return this.#sources.able && this.#messaging !== undefined && this.#deps.store.connected() && !this.#draining;
  }

  async #connect(): Promise<void> {
    const { signal } = this.#stop;
    const { clock, log, messaging: open } = this.#deps;
    const messaging = typeof open === 'function' ? await open(signal) : open;
    if (signal.aborted) return typeof open === 'function' ? messaging.close() : undefined;
    this.#messaging = messaging;
    const { hints } = messaging;
    const reporter = new UsageReporter({ hints, clock, log }, { process: this.#instance, role: 'api' });
    this.#processes = new ApiProcesses({ hints, connected: () => messaging.connected(), clock }, this.#instance);
    const working = this.#sources.connected(messaging, reporter, signal);
    this.#connectedOnce.resolve(messaging);
    await reporter.start();
    await Promise.all([working, this.#processes.run(signal)]);
    await reporter.stop();
  }

  /** The store connects when it is used, and health is asked for before anything else is. */
  async #keepStoreConnected(): Promise<void> {
    const { store, clock } = this.#deps;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      if (!store.connected()) {
        await store.readMeta({ source: this.#options.source, incarnation: 0, shard: 0 }).catch(() => undefined);
      }
      await clock.sleep(STORE_CHECK_MS, signal).catch(() => undefined);
    }
  }

  /** Keeps accepting for a while, answers what is held bit by bit, finishes transfers, lets go (O 2.3). */
  async #shutDown(): Promise<void> {
    this.#draining = true;
    if (this.#running === undefined) return;
    const { prestopDelayMs, drainSpreadMs, drainMs } = this.#options;
    if (prestopDelayMs > 0) await this.#deps.clock.sleep(prestopDelayMs);
    this.#sources.drain(drainSpreadMs);
    const leftMs = Math.max(0, Math.min(drainMs, STOP_BUDGET_MS - prestopDelayMs - drainSpreadMs));
    await this.#server.close(drainSpreadMs + leftMs);
    this.#stop.abort(new Error('the API is stopping'));
    await this.#running;
    this.#cache.stop();
    if (typeof this.#deps.messaging === 'function') await this.#messaging?.close();
  }
}

/** With one more header that scripts of other origins may read. */
function exposing(cors: HeaderList, name: string): HeaderList {
  return cors.map((value, i) => (cors[i - 1] === 'access-control-expose-headers' ? `${value},${name}` : value));
}
