import { randomInt } from 'node:crypto';
import type { SourceDatabase } from '@shapecast/change-source';
import { ShapecastError } from '@shapecast/errors';
import {
  BUCKETS,
  ddlHintSubject,
  HandleRecords,
  introspectSubject,
  keepConditionRecord,
  RotationJournal,
  SourceSleep,
  type Messaging,
  type SourceRecord,
} from '@shapecast/messaging';
import {
  Backoff,
  ConditionBoard,
  type Clock,
  type Component,
  type HealthReport,
  type Logger,
} from '@shapecast/service-kit';
import type { ShapeStore } from '@shapecast/shape-store';
import { Admission } from './home/admission.ts';
import { Latch } from './latch.ts';
import { Membership } from './membership/membership.ts';
import { MemoryPressure, type MemoryRemedy } from './membership/memory-pressure.ts';
import { Ownership } from './membership/ownership.ts';
import { StoreReach } from './membership/store-reach.ts';
import type { MatchingReport } from './matching/matching-report.ts';
import { PoolConditions } from './pool-conditions.ts';
import { DatabaseRest } from './sleep/database-rest.ts';
import { SourceShards } from './source-shards.ts';
import { SnapshotQueue } from './snapshot/snapshot-queue.ts';
import { VersionGate } from './snapshot/version-gate.ts';
import { SubsetServer } from './subset/subset-server.ts';
import { TableRecords } from './table-records.ts';
import { DEFAULT_WORKER_OPTIONS, type ShardWorkerOptions } from './shard-worker.ts';
import { DEFAULT_UPKEEP, upkeepJobs, type UpkeepOptions } from './upkeep/jobs.ts';
import { Upkeep } from './upkeep/upkeep.ts';

export interface RouterDeps {
  readonly messaging: Messaging;
  readonly store: ShapeStore;
  readonly database: SourceDatabase;
  readonly clock: Clock;
  readonly log: Logger;
  /** Told what the source is replicated from, before anything is done with it. */
  readonly onSource?: (record: SourceRecord) => void;
}

export interface RouterOptions {
  readonly source: string;
  /** Unique among the routers of the source; `[A-Za-z0-9_-]+`. */
  readonly routerId: string;
  /** Size of the stream records read ahead for all shards together (spec O 3.3). */
  readonly prefetchBytes?: number;
  /** Snapshots at a time. */
  readonly snapshotConcurrency?: number;
  /** Encoded bytes of snapshots that all routers of the source together store (spec O 3.2). */
  readonly snapshotBytesPerSecond?: number;
  /** Encoded size of one snapshot (spec O 3.4). */
  readonly snapshotMaxBytes?: number;
  /** Size of a table from which on an interrupted snapshot goes on where it was. */
  readonly snapshotResumableBytes?: number;
  /** The store's lease of a snapshot attempt, which is renewed five times as often. */
  readonly snapshotLeaseMs?: number;
  /** How often the log tells how far a snapshot is. */
  readonly snapshotProgressMs?: number;
  /** How long the snapshots that readers see already may take when the router stops. */
  readonly snapshotDrainMs?: number;
  /** Subset queries at a time; more wait for a moment and are then refused. */
  readonly subsetConcurrency?: number;
  /** How long Postgres may work on a subset query. */
  readonly subsetTimeoutMs?: number;
  /** Different where clauses of one table that no index serves; shapes beyond it are refused (spec W 9.12). */
  readonly maxScannedClauses?: number;
  readonly heartbeatMs?: number;
  /** Silence after which a router does not count as living. */
  readonly leaseMs?: number;
  /** How much of the heap's limit the process uses, from 0 to 1. */
  readonly heapUse?: () => number;
  /** How often that is looked at. */
  readonly memoryLookMs?: number;
  /** How often the catalog is compared with the tables that have shapes (spec R 7.15, 10.3.6). */
  readonly catalogCheckMs?: number;
  /** How long a live router has to hand over a shard whose next owner is prepared; also when it stops. */
  readonly handoverMs?: number;
  /** How long the data of an ended shape stays readable (spec R 14.8). */
  readonly sweepGraceMs?: number;
  /** How often data is looked for that may be deleted by then. */
  readonly sweepIntervalMs?: number;
  /** How long a shard may be stuck on a transaction (spec R 13.5.2). */
  readonly stallGraceMs?: number;
  readonly worker?: Partial<ShardWorkerOptions>;
  readonly upkeep?: Partial<UpkeepOptions>;
}

export interface Router extends Component {
  report(): HealthReport;
}

const HAND_OVER_MS = 1_500;
const HAND_OVER_LOOK_MS = 10;
/** The registry may be away; then there is nobody to say it to. */
const GOODBYE_MS = 1_000;
const MEMORY_LOOK_MS = 2_000;
const SWEEP_INTERVAL_MS = 10_000;
const SWEEP_GRACE_MS = 120_000;
const CATALOG_CHECK_MS = 10_000;
const STALL_GRACE_MS = 60_000;
/** However often the report is asked for, going over the templates of all tables takes a moment. */
const MATCHING_REPORT_MS = 1_000;
/** Bound of `randomInt`. */
const SEEDS = 2 ** 48 - 1;

/** Turns the tx stream of a source into shape logs: owns some of the source's shards, beside other routers. */
export function createRouter(deps: RouterDeps, options: RouterOptions): Router {
  return new RouterService(deps, options);
}

class RouterService implements Router {
  readonly name = 'router';
  readonly #deps: RouterDeps;
  readonly #options: RouterOptions;
  readonly #log: Logger;
  readonly #membership: Membership;
  readonly #snapshots: SnapshotQueue;
  readonly #subsets: SubsetServer;
  readonly #tables: TableRecords;
  readonly #upkeep: Upkeep;
  readonly #journal: RotationJournal;
  readonly #handles: HandleRecords;
  readonly #conditions: ConditionBoard;
  readonly #pools: PoolConditions;
  readonly #sleep: SourceSleep;
  readonly #rest: DatabaseRest;
  readonly #stop = new AbortController();
  readonly #wake = new Latch();
  readonly #loops: Promise<void>[] = [];
  readonly #seed = randomInt(SEEDS);
  #matching: { readonly at: number; readonly report: MatchingReport } | undefined;
  #stopServing: readonly (() => void)[] = [];
  #record: SourceRecord | undefined;
  #shards: SourceShards | undefined;
  readonly #ownership: Ownership;
  readonly #admission: Admission;
  readonly #reach: StoreReach;
  readonly #gate = new VersionGate();
  #memory: MemoryRemedy = { share: 1, most: undefined };
  #stopping = false;

  constructor(given: RouterDeps, options: RouterOptions) {
    this.#conditions = new ConditionBoard(given.clock);
    const sleepDeps = { ...given, registries: given.messaging.registries };
    this.#sleep = new SourceSleep(sleepDeps, options.source);
    this.#rest = new DatabaseRest({ ...given, sleep: this.#sleep });
    this.#admission = new Admission(
      { ...given, registries: given.messaging.registries, database: this.#rest.database },
      { source: options.source, routerId: options.routerId, onChange: () => this.#wake.set() },
    );
    this.#pools = new PoolConditions(this.#admission.database, { clock: given.clock, board: this.#conditions });
    const deps = { ...given, database: this.#pools.database };
    this.#deps = deps;
    this.#options = options;
    this.#log = deps.log.child({ component: 'router', source: options.source, router: options.routerId });
    const { clock, messaging } = deps;
    const { source, routerId } = options;
    this.#reach = new StoreReach(deps.store, clock);
    this.#membership = new Membership(
      { registries: messaging.registries, clock, log: this.#log },
      {
        source,
        routerId,
        heartbeatMs: options.heartbeatMs ?? 500,
        leaseMs: options.leaseMs ?? 3_000,
        about: () => ({
          busy: this.#busy(),
          store: this.#reach.ok && this.#admission.granted,
          ...(this.#admission.home === undefined ? {} : { home: this.#admission.home }),
          ...(this.#memory.most === undefined ? {} : { most: this.#memory.most }),
        }),
      },
      () => this.#wake.set(),
    );
    this.#ownership = new Ownership(
      { membership: this.#membership, clock },
      { routerId, handoverMs: options.handoverMs ?? HAND_OVER_MS },
    );
    const { registries, hints } = messaging;
    this.#journal = new RotationJournal({ registries, clock, log: this.#log }, source);
    this.#handles = new HandleRecords({ registries, clock, log: this.#log }, source);
    this.#snapshots = new SnapshotQueue(
      {
        ...deps,
        store: this.#gate.guard(deps.store),
        log: this.#log,
        rpc: messaging.rpc,
        hints,
        journal: this.#journal,
      },
      {
        source,
        concurrency: options.snapshotConcurrency ?? 16,
        // The limit is the source's; all its routers share it.
        bytesPerSecond: () =>
          (options.snapshotBytesPerSecond ?? 64 * 1024 * 1024) / Math.max(1, this.#membership.live.length),
        ...(options.snapshotMaxBytes === undefined ? {} : { maxBytes: options.snapshotMaxBytes }),
        ...(options.snapshotResumableBytes === undefined ? {} : { resumableBytes: options.snapshotResumableBytes }),
        ...(options.snapshotLeaseMs === undefined ? {} : { leaseMs: options.snapshotLeaseMs }),
        ...(options.snapshotProgressMs === undefined ? {} : { progressMs: options.snapshotProgressMs }),
      },
    );
    this.#subsets = new SubsetServer(
      { rpc: messaging.rpc, database: deps.database, clock, log: this.#log },
      { source, concurrency: options.subsetConcurrency ?? 8, timeoutMs: options.subsetTimeoutMs ?? 30_000 },
    );
    this.#upkeep = new Upkeep(
      { clock, log: this.#log },
      upkeepJobs(
        { ...deps, log: this.#log, registries, hints, journal: this.#journal, handles: this.#handles },
        { ...DEFAULT_UPKEEP, sweepGraceMs: options.sweepGraceMs ?? SWEEP_GRACE_MS, ...options.upkeep },
      ),
    );
    this.#tables = new TableRecords({ registries: messaging.registries, clock, log: this.#log }, source);
  }

  report(): HealthReport {
    const { messaging, store } = this.#deps;
    const shards = this.#shards?.report() ?? [];
    const owned = shards.filter((shard) => shard.owned).length;
    const connected = messaging.connected() && store.connected();
    const { wanted } = this.#ownership;
    const has = new Set(shards.flatMap((shard) => (shard.owned ? [shard.shard] : [])));
    const settled = wanted !== undefined && [...wanted].every((shard) => has.has(shard));
    return {
      ready: connected && settled && this.#admission.granted,
      lastError: this.#admission.refusal,
      status: wanted === undefined || !connected ? 'starting' : settled ? 'active' : 'taking over',
      source: this.#options.source,
      conditions: this.#conditions.report(),
      asleep: this.#sleep.asleep,
      messaging: messaging.connected(),
      store: store.connected(),
      incarnation: this.#record?.incarnation,
      routers: this.#membership.live.length,
      snapshots: this.#snapshots.report(),
      subsets: this.#subsets.report(),
      owned,
      prefetch: { heldBytes: this.#shards?.prefetchedBytes ?? 0, ...this.#memory },
      shapes: shards.reduce((sum, shard) => sum + shard.shapes, 0),
      lag: shards.reduce((most, shard) => Math.max(most, shard.lag), 0),
      shards,
      ...this.#matchingReport(),
    };
  }

  async #watchMemory(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    const { heapUse, memoryLookMs = MEMORY_LOOK_MS } = this.#options;
    const pressure = new MemoryPressure();
    while (heapUse && !signal.aborted) {
      const before = this.#memory;
      this.#memory = pressure.look(heapUse(), this.#shards?.holding().size ?? 0);
      this.#shards?.limitPrefetch(this.#memory.share);
      if (this.#memory.share !== before.share || this.#memory.most !== before.most)
        this.#log.warn({ ...this.#memory }, 'memory of the router is short, or no longer so');
      await clock.sleep(memoryLookMs, signal).catch(() => undefined);
    }
  }

  #matchingReport(): MatchingReport | undefined {
    const now = this.#deps.clock.now();
    if (this.#matching && now - this.#matching.at < MATCHING_REPORT_MS) return this.#matching.report;
    const report = this.#shards?.matching();
    this.#matching = report && { at: now, report };
    return report;
  }

  /** Starts the work and returns: what it waits for (source, registries, store) may come later and may go again. */
  async start(): Promise<void> {
    const { signal } = this.#stop;
    const { rpc } = this.#deps.messaging;
    const introspect = introspectSubject(this.#options.source);
    this.#stopServing = [
      rpc.serve(introspect, (request, until) => this.#introspect(request, until)),
      this.#subsets.serve(),
      this.#followDdl(),
    ];
    this.#loops.push(
      this.#admission.run(signal),
      this.#admission.untilGranted(signal).then(() => this.#membership.run(signal)),
      this.#reach.run(signal),
      this.#watchMemory(signal),
      this.#journal.run(signal),
      this.#handles.run(signal),
      this.#watchSource(signal),
      this.#reconcile(signal),
      this.#sweep(signal),
      this.#tables.run(signal),
      this.#pools.run(signal),
      this.#sleep.run(signal),
      this.#rest.run(() => this.#busy(), signal),
      this.#tellConditions(signal),
    );
  }

  async stop(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    await this.#sayGoodbye();
    await this.#handOver();
    this.#stop.abort(new Error('the router is stopping'));
    for (const stop of this.#stopServing) stop();
    this.#wake.set();
    await this.#shards?.stop();
    await Promise.allSettled(this.#loops);
    // Whoever is not told counts this router as dead soon enough.
    await this.#sayGoodbye();
    // Others have the shards by now; what this process is in the middle of is its own until its lease runs out.
    await this.#snapshots.stop(this.#options.snapshotDrainMs ?? 30_000);
  }

  async #sayGoodbye(): Promise<void> {
    const { clock } = this.#deps;
    const late = Promise.withResolvers<void>();
    const cancel = clock.after(GOODBYE_MS, late.resolve);
    const left = this.#membership.leave();
    left.catch((err: unknown) => this.#log.debug({ err }, 'router could not say goodbye'));
    await Promise.race([left.catch(() => undefined), late.promise]);
    cancel();
  }

  /** Leaves each shard to the router that goes on with it, once that is prepared, for as long as there is time. */
  async #handOver(): Promise<void> {
    const { clock } = this.#deps;
    const { routerId, handoverMs = HAND_OVER_MS } = this.#options;
    const giveUpAt = clock.now() + handoverMs;
    const heirs = () => this.#membership.live.some(({ id, reluctant }) => id !== routerId && reluctant !== 'leaving');
    while ((this.#shards?.holding().size ?? 0) > 0 && this.#membership.current && heirs()) {
      if (clock.now() >= giveUpAt) return;
      await clock.sleep(HAND_OVER_LOOK_MS);
    }
  }

  #followDdl(): () => void {
    const look = () => this.#shards?.poke();
    return this.#deps.messaging.hints.subscribe(ddlHintSubject(this.#options.source), look, look);
  }

  /** Somebody waits for what this router reads from the database. */
  #busy(): boolean {
    const [snapshots, subsets] = [this.#snapshots.report(), this.#subsets.report()];
    return snapshots.running + snapshots.waiting + subsets.running + subsets.waiting > 0;
  }

  #tellConditions(signal: AbortSignal): Promise<void> {
    const { source, routerId: instance } = this.#options;
    const deps = { ...this.#deps, registries: this.#deps.messaging.registries };
    const read = () => ({ role: 'router', conditions: this.#conditions.report() }) as const;
    return keepConditionRecord(deps, { source, instance }, read, signal);
  }

  async #introspect(request: unknown, signal: AbortSignal): Promise<unknown> {
    const { schema, table } = (request ?? {}) as { readonly schema?: unknown; readonly table?: unknown };
    if (typeof schema !== 'string' || typeof table !== 'string') {
      throw new ShapecastError('INVALID_REQUEST', 'introspect needs the names of a schema and a table');
    }
    const relation = await this.#deps.database.introspect(schema, table, signal);
    this.#tables.seen(schema, table, relation);
    return relation ?? null;
  }

  async #watchSource(signal: AbortSignal): Promise<void> {
    const { clock, messaging } = this.#deps;
    const { source } = this.#options;
    const backoff = new Backoff(clock, { minMs: 100, maxMs: 5_000 });
    let stopWatching: (() => void) | undefined;
    while (!signal.aborted) {
      try {
        const sources = await messaging.registries.open<SourceRecord>(BUCKETS.sources.name);
        stopWatching ??= await sources.watch(source, (key, entry) => {
          if (key === source && entry) this.#setRecord(entry.value);
        });
        const entry = await sources.get(source);
        if (entry) this.#setRecord(entry.value);
        backoff.reset();
        await clock.sleep(2_000, signal);
      } catch (err) {
        if (signal.aborted) break;
        this.#log.warn({ err }, 'source registry cannot be reached, retrying');
        await backoff.wait(signal).catch(() => undefined);
      }
    }
    stopWatching?.();
  }

  #setRecord(record: SourceRecord): void {
    if (this.#record !== undefined && record.incarnation < this.#record.incarnation) return;
    this.#deps.onSource?.(record);
    this.#admission.follow(record, this.#sleep.asleep, this.#stop.signal);
    if (record.incarnation === this.#record?.incarnation) return;
    this.#record = record;
    this.#wake.set();
  }

  /** Keeps what this router owns equal to what it should own. */
  async #reconcile(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    while (!signal.aborted) {
      try {
        await this.#reconcileOnce();
      } catch (err) {
        if (!signal.aborted) this.#log.warn({ err }, 'shards cannot be set up, retrying');
      }
      await this.#wake.wait(clock, 500, signal);
    }
  }

  async #reconcileOnce(): Promise<void> {
    const record = this.#record;
    if (record === undefined || !this.#membership.current) return;
    if (this.#shards?.incarnation !== record.incarnation) await this.#turnTo(record);
    if (this.#shards === undefined || this.#stop.signal.aborted) return;
    if (this.#admission.granted) this.#ownership.reconcile(this.#shards, record.shards);
    else for (const shard of this.#shards.holding()) this.#shards.drop(shard);
  }

  async #turnTo(record: SourceRecord): Promise<void> {
    const { source, prefetchBytes, worker, maxScannedClauses } = this.#options;
    const stream = await this.#deps.messaging.txStreams.open({ source, incarnation: record.incarnation });
    if (stream === undefined)
      throw new ShapecastError('NOT_READY', 'The tx stream of the incarnation does not exist yet.');
    await this.#shards?.stop();
    this.#snapshots.abandonBefore(record.incarnation);
    this.#log.info(
      { incarnation: record.incarnation, shards: record.shards },
      'following an incarnation of the source',
    );
    this.#shards = new SourceShards(
      {
        ...this.#deps,
        hints: this.#deps.messaging.hints,
        journal: this.#journal,
        registries: this.#deps.messaging.registries,
        seen: (relation) => this.#tables.seen(relation.schema, relation.name, relation),
        stream,
        snapshots: this.#snapshots,
        gate: this.#gate,
        upkeep: this.#upkeep,
        log: this.#log,
      },
      {
        prefetchBytes: prefetchBytes ?? 32 * 1024 * 1024,
        worker: { ...DEFAULT_WORKER_OPTIONS, ...worker },
        catalog: { intervalMs: this.#options.catalogCheckMs ?? CATALOG_CHECK_MS },
        stallGraceMs: this.#options.stallGraceMs ?? STALL_GRACE_MS,
        matching: {
          seed: this.#seed,
          shards: record.shards,
          ...(maxScannedClauses === undefined ? {} : { maxScannedClauses }),
        },
        mayTake: () => this.#membership.current,
        onHolding: (holding) => {
          this.#membership.hold(holding);
          this.#wake.set();
        },
      },
    );
  }

  async #sweep(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    while (!signal.aborted) {
      await clock.sleep(this.#options.sweepIntervalMs ?? SWEEP_INTERVAL_MS, signal).catch(() => undefined);
      if (signal.aborted) return;
      await this.#shards?.sweep(this.#options.sweepGraceMs ?? SWEEP_GRACE_MS);
    }
  }
}
