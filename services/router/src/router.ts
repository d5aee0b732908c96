import { randomInt } from 'node:crypto';
import { ShapecastError } from '@shapecast/errors';
import {
  ddlHintSubject,
  HandleRecords,
  introspectSubject,
  keepConditionRecord,
  RotationJournal,
  ShardPins,
  SourceSleep,
  type SourceRecord,
  type SourceUsage,
} from '@shapecast/messaging';
import { ConditionBoard, wallTime, type ConditionName, type HealthReport, type Logger } from '@shapecast/service-kit';
import { ownTelemetry } from '@shapecast/telemetry';
import { Admission } from './home/admission.ts';
import { Latch } from './latch.ts';
import { Membership } from './membership/membership.ts';
import { Ownership } from './membership/ownership.ts';
import type { MatchingReport } from './matching/matching-report.ts';
import { PoolConditions } from './pool-conditions.ts';
import { GOODBYE_MS, RouterProcess, within } from './process/router-process.ts';
import type { ShardHolder } from './process/process-memory.ts';
import { RedisRoom } from './quotas/redis-room.ts';
import { SourceCounters } from './quotas/source-counters.ts';
import { DEFAULT_QUOTAS, type SourceQuotas } from './quotas/source-quotas.ts';
import { usageOf } from './quotas/usage-of.ts';
import { DatabaseRest } from './sleep/database-rest.ts';
import type { Router, RouterBrief, RouterDeps, RouterOptions } from './router-options.ts';
import { SourceShards } from './source-shards.ts';
import { watchSource } from './source-watch.ts';
import { SnapshotQueue } from './snapshot/snapshot-queue.ts';
import { VersionGate } from './snapshot/version-gate.ts';
import { SubsetServer } from './subset/subset-server.ts';
import { TableRecords } from './table-records.ts';
import { watchRouter } from './telemetry/router-gauges.ts';
import { SourceMetrics } from './telemetry/source-metrics.ts';
import { DEFAULT_UPKEEP, upkeepJobs } from './upkeep/jobs.ts';
import { Upkeep } from './upkeep/upkeep.ts';
import { DEFAULT_WORKER_OPTIONS } from './worker-options.ts';

const HAND_OVER_MS = 1_500;
const HAND_OVER_LOOK_MS = 10;
const RECONCILE_MS = 500;
const CONDITIONS_LOOK_MS = 2_000;
/** Between two looks at what nobody tells of, where a process has very many sources (spec O 4.8). */
const UNHURRIED_MS = 10_000;
const SWEEP_INTERVAL_MS = 10_000;
const SWEEP_GRACE_MS = 120_000;
const CATALOG_CHECK_MS = 10_000;
const STALL_GRACE_MS = 60_000;
/** However often the report is asked for, going over the templates of all tables takes a moment. */
const MATCHING_REPORT_MS = 1_000;
/** The same for what is shown of quotas and shards. */
const RECENT_MS = 1_000;
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
  #leaveMemory: (() => void) | undefined;
  #record: SourceRecord | undefined;
  #shards: SourceShards | undefined;
  /** Shards that an operator has moved. */
  readonly #pins: ShardPins;
  readonly #ownership: Ownership;
  readonly #admission: Admission;
  readonly #gate = new VersionGate();
  readonly #process: RouterProcess;
  readonly #ownProcess: boolean;
  readonly #counters = new SourceCounters();
  readonly #metrics: SourceMetrics;
  #stopShowing: (() => void) | undefined;
  #used: { readonly at: number; readonly usage: SourceUsage } | undefined;
  readonly #room = new RedisRoom(() => this.#quotas.redisBytes);
  readonly #holder: ShardHolder;
  #quotas: SourceQuotas;
  #stopping = false;
  /** Between two looks at what changes are told of anyway. */
  readonly #paceMs: number;
  readonly #unhurried: boolean;

  constructor(given: RouterDeps, options: RouterOptions) {
    this.#conditions = new ConditionBoard(given.clock);
    this.#metrics = new SourceMetrics(given.telemetry ?? ownTelemetry(), given.clock, options.source);
    this.#unhurried = options.unhurried === true;
    this.#paceMs = this.#unhurried ? UNHURRIED_MS : RECONCILE_MS;
    const lookMs = this.#unhurried ? UNHURRIED_MS : undefined;
    this.#quotas = { ...DEFAULT_QUOTAS, ...options.quotas };
    this.#process = given.process ?? new RouterProcess(given, { ...options, id: options.routerId });
    this.#ownProcess = given.process === undefined;
    const sleepDeps = { ...given, registries: given.messaging.registries };
    this.#sleep = new SourceSleep(sleepDeps, options.source, lookMs);
    this.#rest = new DatabaseRest({ ...given, sleep: this.#sleep });
    this.#admission = new Admission(
      { ...given, registries: given.messaging.registries, database: this.#rest.database },
      { source: options.source, others: () => this.#membership.others(), lookMs, onChange: () => this.#wake.set() },
    );
    this.#pools = new PoolConditions(this.#admission.database, { clock: given.clock, board: this.#conditions });
    const deps = { ...given, database: this.#pools.database };
    this.#deps = deps;
    this.#options = options;
    this.#log = deps.log.child({ component: 'router', source: options.source, router: options.routerId });
    const { clock, messaging } = deps;
    const { source, routerId } = options;
    const count = this.#counters;
    const metrics = this.#metrics;
    const { heartbeat, reach, memory } = this.#process;
    const shards = () => this.#shards;
    this.#holder = {
      get shards() {
        return shards()?.holding().size ?? 0;
      },
      get shapes() {
        return shards()?.shapes ?? 0;
      },
    };
    this.#membership = new Membership(
      { registries: messaging.registries, heartbeat, clock, log: this.#log },
      {
        source,
        about: () => {
          const { home, granted } = this.#admission;
          const most = memory.mostOf(this.#holder);
          return {
            busy: this.#busy(),
            store: reach.ok && granted,
            ...(home === undefined ? {} : { home }),
            ...(most === undefined ? {} : { most }),
          };
        },
      },
      () => this.#wake.set(),
    );
    const pinDeps = { registries: messaging.registries, clock, log: this.#log };
    this.#pins = new ShardPins(pinDeps, source, () => this.#wake.set());
    this.#ownership = new Ownership(
      { membership: this.#membership, clock, pins: this.#pins },
      { source, routerId, handoverMs: options.handoverMs ?? HAND_OVER_MS },
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
        slots: this.#process.snapshots,
        count,
        metrics,
      },
      {
        source,
        quotas: () => this.#quotas,
        refusal: () => this.#refusal(),
        // The limit is the source's; all its routers share it.
        bytesPerSecond: () => this.#quotas.snapshotBytesPerSecond / Math.max(1, this.#membership.live.length),
        ...(options.snapshotResumableBytes === undefined ? {} : { resumableBytes: options.snapshotResumableBytes }),
        ...(options.snapshotLeaseMs === undefined ? {} : { leaseMs: options.snapshotLeaseMs }),
        ...(options.snapshotProgressMs === undefined ? {} : { progressMs: options.snapshotProgressMs }),
      },
    );
    this.#subsets = new SubsetServer(
      { rpc: messaging.rpc, database: deps.database, slots: this.#process.subsets, metrics, clock, log: this.#log },
      { source, quotas: () => this.#quotas, timeoutMs: options.subsetTimeoutMs ?? 30_000 },
    );
    this.#upkeep = new Upkeep(
      { clock, log: this.#log },
      upkeepJobs(
        {
          ...deps,
          log: this.#log,
          registries,
          hints,
          journal: this.#journal,
          handles: this.#handles,
          room: this.#room,
          count,
          metrics,
        },
        { ...DEFAULT_UPKEEP, sweepGraceMs: options.sweepGraceMs ?? SWEEP_GRACE_MS, ...options.upkeep },
        () => this.#quotas,
      ),
    );
    this.#tables = new TableRecords({ registries: messaging.registries, clock, log: this.#log }, source);
  }

  brief(): RouterBrief {
    return this.#brief(this.#shards?.report() ?? []);
  }

  #brief(shards: ReturnType<SourceShards['report']>): RouterBrief {
    const { messaging, store } = this.#deps;
    const connected = messaging.connected() && store.connected();
    const { wanted } = this.#ownership;
    const has = new Set(shards.flatMap((shard) => (shard.owned ? [shard.shard] : [])));
    const settled = wanted !== undefined && [...wanted].every((shard) => has.has(shard));
    return {
      ready: connected && settled && this.#admission.granted,
      lastError: this.#admission.refusal,
      status: wanted === undefined || !connected ? 'starting' : settled ? 'active' : 'taking over',
      owned: has.size,
      shapes: shards.reduce((sum, shard) => sum + shard.shapes, 0),
      lag: shards.reduce((most, shard) => Math.max(most, shard.lag), 0),
    };
  }

  report(): HealthReport {
    const { messaging, store } = this.#deps;
    const shards = this.#shards?.report() ?? [];
    return {
      ...this.#brief(shards),
      source: this.#options.source,
      conditions: this.#conditions.report(),
      asleep: this.#sleep.asleep,
      messaging: messaging.connected(),
      store: store.connected(),
      incarnation: this.#record?.incarnation,
      routers: this.#membership.live.length,
      snapshots: this.#snapshots.report(),
      subsets: this.#subsets.report(),
      prefetch: {
        heldBytes: this.#shards?.prefetchedBytes ?? 0,
        share: this.#process.memory.share,
        most: this.#process.memory.mostOf(this.#holder),
      },
      quotas: this.usage().quotas,
      shards,
      ...this.matching(),
    };
  }

  matching(): MatchingReport | undefined {
    const now = this.#deps.clock.now();
    if (this.#matching && now - this.#matching.at < MATCHING_REPORT_MS) return this.#matching.report;
    const report = this.#shards?.matching();
    this.#matching = report && { at: now, report };
    return report;
  }

  usage(): SourceUsage {
    return usageOf({
      counters: this.#counters,
      quotas: this.#quotas,
      routers: Math.max(1, this.#membership.live.length),
      shapes: this.#shards?.shapes ?? 0,
      scannedClauses: this.#shards?.scannedClauses ?? 0,
      snapshots: this.#snapshots.use,
      subsets: { running: this.#subsets.report().running, refused: this.#subsets.refused },
      now: wallTime(this.#deps.clock),
    });
  }

  /** Shows what is true of this router at any moment. */
  #show(): () => void {
    const shards = () => this.#shards;
    const database: ConditionName = 'admin_connection_pool_ready';
    return watchRouter(
      {
        shapes: () => shards()?.shapes ?? 0,
        unindexedShapes: () => shards()?.unindexedShapes ?? 0,
        shards: () => shards()?.sight(),
        unownedShards: () => this.#unowned(),
        prefetchedBytes: () => shards()?.prefetchedBytes ?? 0,
        snapshots: () => this.#snapshots.report(),
        databaseReached: () => this.#conditions.get(database)?.ok === true,
        usage: () => this.#recentUsage(),
      },
      this.#metrics,
    );
  }

  /** Shards that no living router says it owns; undefined while that is not known. */
  #unowned(): number | undefined {
    if (this.#record === undefined || !this.#membership.current) return undefined;
    const owned = new Set(this.#membership.live.flatMap((router) => router.owned));
    return Math.max(0, this.#record.shards - owned.size);
  }

  /** Every axis is asked for by itself. */
  #recentUsage(): SourceUsage {
    const now = this.#deps.clock.now();
    if (this.#used === undefined || now - this.#used.at >= RECENT_MS) this.#used = { at: now, usage: this.usage() };
    return this.#used.usage;
  }

  adjust(quotas: Partial<SourceQuotas>): void {
    this.#quotas = { ...this.#quotas, ...quotas };
    this.#shards?.limitScans(this.#quotas.unindexableClauses);
    this.#snapshots.resized();
  }

  /** Why no shape may begin. */
  #refusal(): ShapecastError | undefined {
    if (this.#quotas.draining) {
      this.#counters.refuse('draining');
      return new ShapecastError('SOURCE_DRAINING', 'The source is being drained: no new shape begins.');
    }
    if (!this.#room.full) return undefined;
    this.#counters.refuse('redisBytes');
    const limit = this.#quotas.redisBytes;
    return new ShapecastError('SOURCE_FULL', `The source has used up its bytes in the store (limit: ${limit}).`);
  }

  /** Starts the work and returns: what it waits for (source, registries, store) may come later and may go again. */
  async start(): Promise<void> {
    const { signal } = this.#stop;
    const { clock, messaging } = this.#deps;
    const { rpc, registries } = messaging;
    const { source } = this.#options;
    const introspect = introspectSubject(source);
    const follow = (record: SourceRecord) => this.#setRecord(record);
    if (this.#ownProcess) this.#process.start();
    this.#leaveMemory = this.#process.memory.add(this.#holder);
    this.#stopShowing = this.#show();
    this.#stopServing = [
      rpc.serve(introspect, (request, until) => this.#introspect(request, until)),
      this.#subsets.serve(),
      this.#followDdl(),
    ];
    this.#loops.push(
      this.#admission.run(signal),
      this.#membership.run(signal),
      // Before, this router is nobody to the others.
      this.#admission.untilGranted(signal).then(() => this.#membership.join()),
      this.#journal.run(signal),
      this.#handles.run(signal),
      this.#pins.run(signal),
      watchSource(
        { clock, log: this.#log, registries },
        { source, lookMs: this.#unhurried ? UNHURRIED_MS : undefined },
        follow,
        signal,
      ),
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
    await this.#say(this.#membership.leave());
    await this.#handOver();
    this.#stop.abort(new Error('the router is stopping'));
    for (const stop of this.#stopServing) stop();
    this.#leaveMemory?.();
    this.#stopShowing?.();
    this.#wake.set();
    await this.#shards?.stop();
    await Promise.allSettled(this.#loops);
    // Whoever is not told counts this router as dead soon enough.
    await this.#say(this.#membership.end());
    if (this.#ownProcess) await this.#process.stop();
    // Others have the shards by now; what this process is in the middle of is its own until its lease runs out.
    await this.#snapshots.stop(this.#options.snapshotDrainMs ?? 30_000);
  }

  async #say(told: Promise<void>): Promise<void> {
    told.catch((err: unknown) => this.#log.debug({ err }, 'router could not say goodbye'));
    await within(this.#deps.clock, GOODBYE_MS, told);
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
    const pace = this.#unhurried ? { lookMs: CONDITIONS_LOOK_MS, renewMs: UNHURRIED_MS } : {};
    return keepConditionRecord(deps, { source, instance, ...pace }, read, signal);
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
      await this.#wake.wait(clock, this.#ownership.settled ? this.#paceMs : RECONCILE_MS, signal);
    }
  }

  async #reconcileOnce(): Promise<void> {
    const record = this.#record;
    if (record === undefined || !this.#membership.current || !this.#membership.settled) return;
    if (this.#shards?.incarnation !== record.incarnation) await this.#turnTo(record);
    if (this.#shards === undefined || this.#stop.signal.aborted) return;
    if (this.#admission.granted) this.#ownership.reconcile(this.#shards, record.shards);
    else for (const shard of this.#shards.holding()) this.#shards.drop(shard);
  }

  async #turnTo(record: SourceRecord): Promise<void> {
    const { source, worker } = this.#options;
    const stream = await this.#deps.messaging.txStreams.open({ source, incarnation: record.incarnation });
    if (stream === undefined)
      throw new ShapecastError('NOT_READY', 'The tx stream of the incarnation does not exist yet.');
    this.#metrics.rotatedAll(this.#shards?.shapes ?? 0);
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
        turns: this.#process.turns,
        prefetch: this.#process.prefetch,
        count: this.#counters,
        metrics: this.#metrics,
        log: this.#log,
      },
      {
        unhurried: this.#unhurried,
        worker: { ...DEFAULT_WORKER_OPTIONS, ...(this.#unhurried ? { idlePollMs: UNHURRIED_MS } : {}), ...worker },
        catalog: { intervalMs: this.#options.catalogCheckMs ?? CATALOG_CHECK_MS },
        stallGraceMs: this.#options.stallGraceMs ?? STALL_GRACE_MS,
        matching: {
          seed: this.#seed,
          shards: record.shards,
          maxScannedClauses: this.#quotas.unindexableClauses,
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
