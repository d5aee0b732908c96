import { HandleRecords, RotationJournal, type Messaging } from '@shapecast/messaging';
import type { Clock, Component, HealthReport, Logger } from '@shapecast/service-kit';
import type { ShapeStore } from '@shapecast/shape-store';
import { ReadTimes } from './expiry/read-times.ts';
import { StoreRoom } from './expiry/store-room.ts';
import { ApiServer } from './http/api-server.ts';
import { otherRoutes, type HealthStatus } from './http/other-routes.ts';
import { ShapeRoute, type ShapeService } from './http/shape-route.ts';
import { StoreCheck } from './home/store-check.ts';
import { HeadWatcher } from './live/head-watcher.ts';
import { LiveHub } from './live/live-hub.ts';
import { Permits, type PermitLimits } from './permits.ts';
import { followAccessFile } from './access/access-file.ts';
import { authorize } from './access/authorize-route.ts';
import { Gate } from './access/gate.ts';
import { followSecretsFile } from './secrets-file.ts';
import { Secrets } from './secrets.ts';
import { ChunkCache } from './shapes/chunk-cache.ts';
import { endDamagedShapes } from './shapes/damage-guard.ts';
import { Definitions } from './shapes/definitions.ts';
import { livingStore } from './shapes/living-store.ts';
import { LogReader } from './shapes/log-reader.ts';
import { RelationCatalog } from './shapes/relation-catalog.ts';
import { SchemaHeaders } from './shapes/schema-headers.ts';
import { ShapeDeleter } from './shapes/shape-deleter.ts';
import { ShapeReader } from './shapes/shape-reader.ts';
import { ShapeResolver } from './shapes/shape-resolver.ts';
import { ShapeStart } from './shapes/shape-start.ts';
import { SnapshotReader } from './shapes/snapshot-reader.ts';
import { StreamEnd } from './shapes/stream-end.ts';
import { TableMemory } from './shapes/table-memory.ts';
import { SourceState } from './source-state.ts';
import { SubsetReader } from './subset/subset-reader.ts';
import { SubsetSource } from './subset/subset-source.ts';

export interface ApiDeps {
  /** A function connects after the API listens already; what it opened is closed with the API. */
  readonly messaging: Messaging | ((signal: AbortSignal) => Promise<Messaging>);
  readonly store: ShapeStore;
  readonly clock: Clock;
  readonly log: Logger;
}

/** All durations in milliseconds. What is left out has the default of the reference. */
export interface ApiOptions {
  readonly source: string;
  readonly host?: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** Empty, and no file: no authentication. */
  readonly secrets: readonly string[];
  /** More of them, one per line; followed while the API runs. */
  readonly secretsFile?: string | undefined;
  /** Which tokens are taken, and what they allow. */
  readonly accessFile?: string | undefined;
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
  host: '0.0.0.0',
  longPollTimeoutMs: 20_000,
  cacheMaxAge: 60,
  cacheStaleAge: 300,
  chunkBytes: 10_485_760,
  chunkCacheBytes: 134_217_728,
  limits: { initial: 300, existing: 10_000 },
  logRequests: false,
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

const CATALOG_TIMEOUT_MS = 5_000;
/** Longer than a router lets a query run. */
const SUBSET_FRAME_TIMEOUT_MS = 45_000;
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

interface Connected extends ShapeService {
  readonly messaging: Messaging;
  readonly source: SourceState;
  readonly watcher: HeadWatcher;
  readonly catalog: RelationCatalog;
  readonly cache: ChunkCache;
  readonly reads: ReadTimes;
  readonly journal: RotationJournal;
  readonly handles: HandleRecords;
  readonly room: StoreRoom;
  readonly check: StoreCheck;
}

export function createApi(deps: ApiDeps, options: ApiOptions): Api {
  return new ApiComponent(deps, { ...DEFAULTS, ...options });
}

class ApiComponent implements Api {
  readonly name = 'api';
  readonly #deps: ApiDeps;
  readonly #options: typeof DEFAULTS & ApiOptions;
  readonly #permits: Permits;
  readonly #secrets: Secrets;
  readonly #gate: Gate;
  readonly #route: ShapeRoute;
  readonly #server: ApiServer;
  readonly #stop = new AbortController();
  readonly #connectedOnce = Promise.withResolvers<void>();
  #connected: Connected | undefined;
  #running: Promise<unknown> | undefined;
  #draining = false;
  #stopped: Promise<void> | undefined;

  constructor(deps: ApiDeps, options: typeof DEFAULTS & ApiOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#permits = new Permits(options.limits);
    this.#secrets = new Secrets(options.secrets);
    const { clock, log } = deps;
    this.#gate = new Gate(this.#secrets, log);
    this.#route = new ShapeRoute(
      {
        permits: this.#permits,
        gate: this.#gate,
        service: (signal) => this.#service(signal),
        clock,
        log,
      },
      { clock, server: PRODUCT, sendTimeoutMs: options.sendTimeoutMs, closing: () => this.#draining },
      { ...options, maxAge: options.cacheMaxAge, staleAge: options.cacheStaleAge, clock },
    );
    const others = otherRoutes({ server: PRODUCT, sourceId: options.source, status: () => this.#status() });
    const maxConnections = Math.max(MIN_CONNECTIONS, 2 * (options.limits.initial + options.limits.existing));
    this.#server = new ApiServer(
      {
        route: this.#route,
        authorize: (req, res, query) => {
          authorize(this.#gate, req, res, query).catch((err: unknown) => {
            log.error({ err }, 'a token could not be checked');
            res.destroy();
          });
        },
        others,
        clock,
      },
      { ...options, maxConnections, server: PRODUCT },
    );
  }

  get port(): number {
    return this.#server.port;
  }

  /** Listens at once; connecting goes on behind it, and requests wait for it within their own limits (O 2.2). */
  async start(_signal: AbortSignal): Promise<void> {
    const following = Promise.all([this.#followSecrets(), this.#followAccess()]);
    await this.#server.listen();
    this.#deps.log.info({ port: this.port }, 'listening');
    const connecting = this.#connect().catch((err: unknown) => {
      if (!this.#stop.signal.aborted) this.#deps.log.error({ err }, 'the API cannot connect');
    });
    this.#running = Promise.all([connecting, this.#keepStoreConnected(), following]);
  }

  /** They are read before the first request is. */
  async #followSecrets(): Promise<void> {
    const { secretsFile } = this.#options;
    if (secretsFile !== undefined) await followSecretsFile(secretsFile, this.#secrets, this.#deps, this.#stop.signal);
  }

  async #followAccess(): Promise<void> {
    const { accessFile } = this.#options;
    if (accessFile !== undefined) await followAccessFile(accessFile, this.#gate, this.#deps, this.#stop.signal);
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#shutDown();
    return this.#stopped;
  }

  report(): HealthReport {
    const connected = this.#connected;
    const status = this.#status();
    const stale = connected?.source.stale;
    return {
      // Not that the source is active: shapes that exist are served whatever is missing, by every pod (deployment H20).
      ready:
        connected !== undefined &&
        connected.check.refusal === undefined &&
        this.#deps.store.connected() &&
        !this.#draining,
      status: stale === undefined ? status : 'stale',
      stale,
      shedding: connected?.source.shedding,
      missing: this.#missing(),
      conditions: connected?.source.conditions,
      messaging: connected?.messaging.connected() ?? false,
      store: this.#deps.store.connected(),
      asleep: connected?.source.asleep ?? false,
      incarnation: connected?.source.record?.incarnation,
      held: connected?.hub.held ?? 0,
      chunkCacheBytes: connected?.cache.bytes ?? 0,
      storeMemory: connected?.room.report,
      inProgress: this.#route.inProgress,
      permits: this.#permits.used,
    };
  }

  #status(): HealthStatus {
    if (this.#missing() === undefined) return 'active';
    const connected = this.#connected?.messaging.connected() === true && this.#deps.store.connected();
    if (this.#connected?.check.refusal !== undefined) return 'starting';
    // Shapes that exist can be read to their end, and that is all.
    if (this.#connected?.source.stale !== undefined) return 'starting';
    return connected && this.#connected?.source.leaderless === true ? 'waiting' : 'starting';
  }

  #missing(): string | undefined {
    if (this.#connected === undefined || !this.#connected.messaging.connected()) return 'NATS is not connected';
    if (!this.#deps.store.connected()) return 'Redis is not connected';
    if (this.#connected.check.refusal !== undefined) return this.#connected.check.refusal;
    const { stale, missing } = this.#connected.source;
    return stale === undefined ? missing : `Stale since ${stale.since}: ${stale.reason}`;
  }

  #service(signal: () => AbortSignal): ShapeService | Promise<ShapeService | undefined> {
    return this.#connected ?? this.#waitForService(signal());
  }

  async #waitForService(signal: AbortSignal): Promise<ShapeService | undefined> {
    const given = new AbortController();
    const patience = this.#deps.clock.sleep(this.#options.readyTimeoutMs, AbortSignal.any([signal, given.signal]));
    await Promise.race([this.#connectedOnce.promise, patience.catch(() => undefined)]);
    given.abort();
    return this.#connected;
  }

  async #connect(): Promise<void> {
    const { signal } = this.#stop;
    const open = this.#deps.messaging;
    const messaging = typeof open === 'function' ? await open(signal) : open;
    if (signal.aborted) return typeof open === 'function' ? messaging.close() : undefined;
    this.#connected = this.#assemble(messaging);
    this.#connectedOnce.resolve();
    const parts = [this.#connected.source, this.#connected.journal, this.#connected.handles, this.#connected.reads];
    await Promise.all([...parts, this.#connected.check].map((part) => part.run(signal)));
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

  #assemble(messaging: Messaging): Connected {
    const { clock, log } = this.#deps;
    const options = this.#options;
    const { hints, rpc, registries } = messaging;
    const journal = new RotationJournal({ registries, clock, log }, options.source);
    const handles = new HandleRecords({ registries, clock, log }, options.source);
    const room = new StoreRoom({ ...this.#deps }, { highWater: options.redisHighWater });
    const check = new StoreCheck(
      { store: this.#deps.store, registries, clock, log },
      { source: options.source, homes: () => source.homes, patienceMs: options.readyTimeoutMs },
    );
    const store = livingStore({ store: check.store, log, journal, handles, room });
    const watcher = new HeadWatcher({ store, hints, clock, log }, { pollMs: options.notifyPollMs });
    const cache = new ChunkCache({ maxBytes: options.chunkCacheBytes, expectedBytes: options.chunkBytes });
    const data = endDamagedShapes({ store, hints, log });
    const logs = new LogReader({ store: data, cache });
    const hub = new LiveHub({ logs, watcher, clock, log }, { timeoutMs: options.longPollTimeoutMs });
    const source = new SourceState(
      { messaging, clock, log },
      { source: options.source, onIncarnation: (record) => watcher.incarnationChanged(record.incarnation) },
    );
    const memory = new TableMemory({ registries, log }, options.source);
    const catalog = new RelationCatalog(
      { rpc, memory, asleep: () => source.asleep, clock, log },
      { source: options.source, ttlMs: options.catalogTtlMs, timeoutMs: CATALOG_TIMEOUT_MS },
    );
    const definitions = new Definitions(catalog);
    const resolver = new ShapeResolver({ store, hints, definitions, source }, options);
    const snapshots = new SnapshotReader({ store: data, cache, watcher, clock });
    const start = new ShapeStart({ resolver, snapshots }, options);
    const subsetSource = new SubsetSource(
      { rpc, clock },
      { source: options.source, readyTimeoutMs: options.readyTimeoutMs, frameTimeoutMs: SUBSET_FRAME_TIMEOUT_MS },
    );
    const schemas = new SchemaHeaders(store);
    const subsets = new SubsetReader(
      { store, source, resolver, start, subsets: subsetSource, schemas, clock },
      options,
    );
    const reads = new ReadTimes(
      { store, clock, log, waiting: () => hub.waitedFor() },
      { periodMs: options.readTimesMs },
    );
    const streamEnd = new StreamEnd({ streams: messaging.txStreams, clock, log }, options.source);
    const reader = new ShapeReader(
      { source, resolver, start, snapshots, logs, subsets, schemas, watcher, hub, reads, streamEnd, clock },
      options,
    );
    const deleter = new ShapeDeleter(
      { store, hints, source, resolver },
      { allowed: options.allowDelete, source: options.source, readyTimeoutMs: options.readyTimeoutMs },
    );
    return { messaging, source, watcher, catalog, cache, hub, reader, deleter, reads, journal, handles, room, check };
  }

  /** Keeps accepting for a while, answers what is held bit by bit, finishes transfers, lets go (O 2.3). */
  async #shutDown(): Promise<void> {
    this.#draining = true;
    if (this.#running === undefined) return;
    const { prestopDelayMs, drainSpreadMs, drainMs } = this.#options;
    if (prestopDelayMs > 0) await this.#deps.clock.sleep(prestopDelayMs);
    this.#connected?.hub.drain(drainSpreadMs);
    const leftMs = Math.max(0, Math.min(drainMs, STOP_BUDGET_MS - prestopDelayMs - drainSpreadMs));
    await this.#server.close(drainSpreadMs + leftMs);
    this.#stop.abort(new Error('the API is stopping'));
    await this.#running;
    this.#connected?.watcher.stop();
    this.#connected?.cache.stop();
    this.#connected?.catalog.stop();
    if (typeof this.#deps.messaging === 'function') await this.#connected?.messaging.close();
  }
}
