import type { SourceDatabase, TableToPublish } from '@shapecast/change-source';
import type { Hints, Registries, RotationJournal, TxStream } from '@shapecast/messaging';
import { emitEvent, type Clock, type Logger } from '@shapecast/service-kit';
import type { RelationInfo } from '@shapecast/shape';
import type { ShapeFailure, ShapeStore } from '@shapecast/shape-store';
import { DurableAge } from './durability/durable-age.ts';
import { keepDurableCursor } from './durability/durable-cursor.ts';
import { EvaluationLog } from './matching/evaluation-log.ts';
import { mostScannedClauses, reportMatching, type MatchingReport } from './matching/matching-report.ts';
import { ShardIndex, type ShardIndexOptions } from './matching/shard-index.ts';
import { Trials } from './poison/trials.ts';
import type { FairTurns } from './process/fair-turns.ts';
import type { PrefetchPool } from './process/prefetch-pool.ts';
import type { SourceCounters } from './quotas/source-counters.ts';
import { PublicationWatch } from './publication/publication-watch.ts';
import { UsageReport } from './publication/usage-report.ts';
import { ShardWorker } from './shard-worker.ts';
import type { ShardWorkerOptions } from './worker-options.ts';
import type { SnapshotQueue } from './snapshot/snapshot-queue.ts';
import type { VersionGate } from './snapshot/version-gate.ts';
import { RecordWindow } from './stream/record-window.ts';
import { HistoryStore } from './schema/history-store.ts';
import { Reconciler, type ReconcilerOptions } from './schema/reconciler.ts';
import { StallWatch, type Remedy } from './stall/stall-watch.ts';
import { EvaluationCount } from './telemetry/evaluation-count.ts';
import { sightOf, type ShardsSight } from './telemetry/shards-sight.ts';
import type { SourceMetrics } from './telemetry/source-metrics.ts';
import type { Upkeep } from './upkeep/upkeep.ts';

interface SourceShardsDeps {
  readonly store: ShapeStore;
  readonly hints: Hints;
  readonly journal: RotationJournal;
  readonly stream: TxStream;
  readonly snapshots: SnapshotQueue;
  readonly gate: VersionGate;
  readonly upkeep: Upkeep;
  /** Shared with the other sources of the process. */
  readonly turns: FairTurns;
  readonly prefetch: PrefetchPool;
  readonly count: SourceCounters;
  readonly metrics: SourceMetrics;
  readonly database: SourceDatabase;
  readonly registries: Registries;
  /** The catalog has a table like this. */
  readonly seen: (relation: RelationInfo) => void;
  readonly clock: Clock;
  readonly log: Logger;
}

interface SourceShardsOptions {
  readonly worker: ShardWorkerOptions;
  readonly matching: Omit<ShardIndexOptions, 'onEvaluationError' | 'onRelationBelow'>;
  readonly catalog: ReconcilerOptions;
  /** One of very many sources: what is done now and then is done less often in shards where nothing happens. */
  readonly unhurried: boolean;
  /** How long a shard may be stuck on records that are at hand before something is done about it (spec R 13.5.2). */
  readonly stallGraceMs: number;
  /** Shards may be acquired: it is known who else lives. */
  readonly mayTake: () => boolean;
  /** Told whenever they change: the shards that are owned, and those that are prepared for being taken over. */
  readonly onHolding: (holding: { readonly owned: readonly number[]; readonly prepared: readonly number[] }) => void;
}

interface Running {
  readonly worker: ShardWorker;
  readonly abort: AbortController;
  readonly done: Promise<void>;
  /** There while the shard is another router's. */
  readonly waiting: Waiting | undefined;
}

/** For its turn to own a shard. */
interface Waiting {
  readonly go: PromiseWithResolvers<void>;
  gone: boolean;
  /** Milliseconds of the clock. */
  preparedAt: number | undefined;
}

/** A shard that was lost to another router is not fought for: membership gets this long to tell who should have it. */
const LOST_PAUSE_MS = 1_000;
const WINDOW_STALL_MS = 500;
const SWEEPS_PER_ROUND = 20;
/** So long nothing must have happened. */
const QUIET_MS = 60_000;
const GLANCE_MS = 1_000;
/** Two thirds of the time after which they are forgotten. */
const UNHURRIED_USAGE_MS = 40_000;
/** A stall is found after so many looks in a row that found no progress. */
const STALL_LOOKS = 12;
const STALLED: ShapeFailure = { code: 'SCHEMA_CHANGED', message: 'A transaction could not be applied to the shape.' };

/** The shards of one incarnation that this process owns or tries to own, and the record window they share. */
export class SourceShards {
  readonly #deps: SourceShardsDeps;
  readonly #options: SourceShardsOptions;
  readonly #window: RecordWindow;
  readonly #leavePrefetch: () => void;
  #maxScannedClauses: number | undefined;
  readonly #evaluationLog: EvaluationLog;
  readonly #trials: Trials;
  readonly #reconciler: Reconciler;
  readonly #watching: Promise<unknown>;
  readonly #stopWatching = new AbortController();
  readonly #running = new Map<number, Running>();
  readonly #lostAt = new Map<number, number>();
  readonly #stalls = new Map<number, StallWatch>();
  readonly #evaluations: EvaluationCount;
  readonly #durable = new Map<number, DurableAge>();

  constructor(deps: SourceShardsDeps, options: SourceShardsOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#evaluationLog = new EvaluationLog(deps);
    this.#trials = new Trials(deps, deps.stream.id);
    this.#evaluations = new EvaluationCount(deps.metrics);
    const { prefetch } = deps;
    const onFull = () => prefetch.divide();
    const traced = deps.metrics.tracing.enabled;
    this.#window = new RecordWindow({ ...deps, traced }, { maxBytes: 0, stallMs: WINDOW_STALL_MS, onFull });
    this.#leavePrefetch = prefetch.join(this.#window);
    this.#maxScannedClauses = options.matching.maxScannedClauses;
    const histories = new HistoryStore(deps.registries, deps.stream.id);
    const publish = (table: TableToPublish) => deps.snapshots.publish(table);
    this.#reconciler = new Reconciler({ ...deps, histories, shards: () => this.#owned(), publish }, options.catalog);
    const owned = () => this.#owned();
    const watch = new PublicationWatch({ ...deps, shards: owned }, options.catalog);
    const pace = options.unhurried ? { refreshMs: UNHURRIED_USAGE_MS } : {};
    const usage = new UsageReport({ ...deps, shards: owned }, { ...deps.stream.id, ...pace });
    const { signal } = this.#stopWatching;
    this.#watching = Promise.all([
      this.#reconciler.run(signal),
      watch.run(signal),
      usage.run(signal),
      this.#watchStalls(signal),
      ...(options.unhurried ? [this.#watchConnections(signal)] : []),
    ]);
  }

  get incarnation(): number {
    return this.#deps.stream.id.incarnation;
  }

  /** Shards that this process owns, or is about to acquire. */
  holding(): ReadonlySet<number> {
    return new Set([...this.#running].flatMap(([shard, { waiting }]) => (isWaiting(waiting) ? [] : [shard])));
  }

  /** Shards of other routers that this process prepares for, by since when it is ready to take them over. */
  preparing(): ReadonlyMap<number, number | undefined> {
    const all = [...this.#running].filter(([, { waiting }]) => isWaiting(waiting));
    return new Map(all.map(([shard, { waiting }]) => [shard, waiting?.preparedAt] as const));
  }

  report() {
    const held = [...this.#running].filter(([, { waiting }]) => !isWaiting(waiting));
    return held.map(([shard, { worker }]) => ({ shard, owned: worker.owned, ...worker.report() }));
  }

  /** What is told of the shards that are owned: sums, and the worst of what each is behind. */
  sight(): ShardsSight {
    const { count, clock } = this.#deps;
    // A shard in which nothing happens notes its progress seldom.
    const ageOf = (worker: ShardWorker) => (this.#isQuiet(worker) ? undefined : this.#durable.get(worker.shard.shard));
    return sightOf(this.#owned(), { weights: count.weights, ageOf, now: clock.now() });
  }

  /** Shapes that every change of their table has to evaluate. */
  get unindexedShapes(): number {
    let shapes = 0;
    for (const matcher of this.#matchers()) shapes += matcher.scannedSize;
    return shapes;
  }

  *#matchers() {
    for (const { worker } of this.#running.values()) for (const { matcher } of worker.index.tables()) yield matcher;
  }

  /** Bytes of the records that are held for the shards. */
  get prefetchedBytes(): number {
    return this.#window.heldBytes;
  }

  /** Shapes of the shards that are held. */
  get shapes(): number {
    let shapes = 0;
    for (const { worker } of this.#running.values()) shapes += worker.index.size;
    return shapes;
  }

  /** Different clauses without an index, of the table that has most of them. */
  get scannedClauses(): number {
    return mostScannedClauses([...this.#running.values()].map(({ worker }) => worker.index));
  }

  /** From now on a table may have so many different clauses that no index serves. */
  limitScans(maxScannedClauses: number): void {
    this.#maxScannedClauses = maxScannedClauses;
    for (const { worker } of this.#running.values()) worker.index.limitScans(maxScannedClauses);
  }

  /** How the changes of each table find their shapes. */
  matching(): MatchingReport {
    return reportMatching([...this.#running.values()].map(({ worker }) => worker.index));
  }

  /** Somebody tells of DDL. */
  poke(): void {
    this.#reconciler.poke();
  }

  /** Starts to own a shard, unless it does or has just lost it. */
  take(shard: number): void {
    const running = this.#running.get(shard);
    if (running?.waiting) {
      running.waiting.gone = true;
      running.waiting.go.resolve();
    }
    if (running === undefined && !this.#lostLately(shard)) this.#start(shard, this.#options.worker);
  }

  /** Loads the shapes of a shard that another router still owns. */
  prepare(shard: number): void {
    if (this.#running.has(shard) || this.#lostLately(shard)) return;
    const waiting = { go: Promise.withResolvers<void>(), gone: false, preparedAt: undefined };
    this.#start(shard, this.#options.worker, waiting);
  }

  #lostLately(shard: number): boolean {
    return this.#deps.clock.now() - (this.#lostAt.get(shard) ?? -Infinity) < LOST_PAUSE_MS;
  }

  #start(shard: number, options: ShardWorkerOptions, waiting?: Waiting): void {
    const abort = new AbortController();
    const id = { ...this.#deps.stream.id, shard };
    const index = new ShardIndex({
      ...this.#options.matching,
      ...(this.#maxScannedClauses === undefined ? {} : { maxScannedClauses: this.#maxScannedClauses }),
      onEvaluationError: (shape, error) => this.#evaluationLog.failed(shape, error),
      onRelationBelow: (oid, below) => this.#reconciler.showed(oid, below),
    });
    const observe = (oid: number, signal: AbortSignal) => this.#reconciler.observe(oid, signal);
    const worker = new ShardWorker(
      { ...this.#deps, observe, index, window: this.#window, trials: this.#trials },
      id,
      options,
    );
    const done = this.#run(shard, worker, abort.signal, waiting);
    this.#running.set(shard, { worker, abort, done, waiting });
  }

  /** Finishes the call in flight and gives the shard up. */
  drop(shard: number): void {
    this.#running.get(shard)?.abort.abort(new Error('the shard moves to another router'));
  }

  async stop(): Promise<void> {
    const all = [...this.#running.values()];
    for (const { abort } of all) abort.abort(new Error('the router is stopping'));
    this.#stopWatching.abort(new Error('the router is stopping'));
    await Promise.all([this.#watching, ...all.map(({ done }) => done)]);
    this.#leavePrefetch();
    await this.#window.close();
  }

  /** Deletes what is left of shapes that ended longer than `graceMs` ago. */
  async sweep(graceMs: number): Promise<void> {
    for (const { worker } of [...this.#running.values()]) {
      if (!worker.owned || this.#isQuiet(worker, 2 * graceMs)) continue;
      try {
        // A bounded number per call, so that many that ended together go together.
        for (let calls = 0; calls < SWEEPS_PER_ROUND; calls += 1) {
          if ((await this.#deps.store.sweep(worker.shard, graceMs)) === 0) break;
        }
      } catch (err) {
        this.#deps.log.debug({ err, shard: worker.shard.shard }, 'ended shapes were not swept');
      }
    }
  }

  async #run(shard: number, worker: ShardWorker, signal: AbortSignal, waiting: Waiting | undefined): Promise<void> {
    let upkeep: Promise<void> | undefined;
    const onPrepared = () => {
      if (waiting) waiting.preparedAt = this.#deps.clock.now();
      this.#tell();
    };
    const { metrics, clock, log } = this.#deps;
    let wasOwned = false;
    try {
      const outcome = await worker.run(
        (owned) => {
          wasOwned = true;
          metrics.shard('acquired');
          this.#announce();
          upkeep = this.#lookAfter(worker, owned);
        },
        signal,
        waiting && { go: waiting.go.promise, onPrepared },
      );
      if (wasOwned) this.#gone(outcome);
      if (outcome === 'lost' && this.#isCurrent(shard, worker)) this.#lostAt.set(shard, clock.now());
    } catch (err) {
      if (wasOwned) this.#gone('lost');
      if (this.#isCurrent(shard, worker)) this.#lostAt.set(shard, clock.now());
      log.error({ err, shard }, 'shard worker failed, starting it again');
    } finally {
      if (this.#isCurrent(shard, worker)) this.#running.delete(shard);
      this.#announce();
      // Its turn, if it has one, ends soon, and need not be over before another router begins.
      await upkeep;
    }
  }

  /** A shard that was owned is so no longer. */
  #gone(outcome: 'released' | 'lost'): void {
    const { metrics } = this.#deps;
    const stopping = this.#stopWatching.signal.aborted;
    if (!stopping) metrics.shard(outcome);
    metrics.writerDown(outcome === 'lost' ? 'crash' : stopping ? 'shutdown' : 'cleanup');
  }

  async #lookAfter(worker: ShardWorker, owned: AbortSignal): Promise<void> {
    const { upkeep, clock } = this.#deps;
    const quiet = () => this.#isQuiet(worker);
    const age = new DurableAge(clock.now());
    this.#durable.set(worker.shard.shard, age);
    const onSafe = (seq: number, at: number) => age.safe(seq, at);
    const cursor = { id: worker.shard, cursorSeq: () => worker.report().cursorSeq, quiet, onSafe };
    const shard = {
      id: worker.shard,
      shards: this.#options.matching.shards ?? 1,
      index: worker.index,
      rotate: (handles: Iterable<readonly [string, ShapeFailure]>) => worker.rotate(handles),
      quiet,
    };
    await Promise.all([upkeep.run(shard, owned), keepDurableCursor(this.#deps, cursor, owned)]);
  }

  /** Nothing has happened in the shard for a while, and there are many others to look after. */
  #isQuiet(worker: ShardWorker, ms = QUIET_MS): boolean {
    return this.#options.unhurried && worker.idleFor(Math.max(ms, QUIET_MS));
  }

  /** What a lost connection may have cost is found out at once, however seldom the store is looked at. */
  async #watchConnections(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#deps.clock.sleep(GLANCE_MS, signal).catch(() => undefined);
      for (const { worker } of this.#running.values()) worker.glance();
    }
  }

  #isCurrent(shard: number, worker: ShardWorker): boolean {
    return this.#running.get(shard)?.worker === worker;
  }

  async #watchStalls(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#deps.clock.sleep(this.#options.stallGraceMs / STALL_LOOKS, signal).catch(() => undefined);
      if (signal.aborted) return;
      this.#evaluations.look(this.#matchers());
      for (const shard of this.#stalls.keys()) if (!this.#running.has(shard)) this.#stalls.delete(shard);
      for (const [shard, { worker }] of [...this.#running]) {
        const watch = this.#stalls.get(shard) ?? new StallWatch(STALL_LOOKS);
        this.#stalls.set(shard, watch);
        const remedy = watch.look(worker.sight());
        if (remedy) void this.#unstick(shard, worker, remedy);
      }
    }
  }

  /**
   * Starts a stuck worker again, without waiting for what it hangs in: the new one owns the shard under a higher epoch, so that
   * nothing the old one may still write gets through.
   */
  async #unstick(shard: number, worker: ShardWorker, remedy: Remedy): Promise<void> {
    const { log } = this.#deps;
    const { cursorSeq: seq } = worker.report();
    const handles = remedy === 'rotate' ? worker.involved() : new Set<string>();
    this.#deps.metrics.stalled();
    emitEvent(log, 'flush_tracker.stall_detected', { shard, seq, remedy, shapes: handles.size });
    try {
      await worker.rotate([...handles].map((handle) => [handle, STALLED] as const));
    } catch (err) {
      log.warn({ err, shard }, 'the shapes that a shard is stuck on could not be ended, trying again later');
    }
    if (!this.#isCurrent(shard, worker) || this.#stopWatching.signal.aborted) return;
    this.drop(shard);
    // Perhaps another router has it by now, and this one could not be told.
    if (!this.#options.mayTake()) {
      this.#running.delete(shard);
      return this.#announce();
    }
    this.#start(shard, { ...this.#options.worker, oneByOneUntil: this.#window.lastSeq, again: true });
  }

  *#owned(): Generator<ShardWorker> {
    for (const { worker } of this.#running.values()) if (worker.owned) yield worker;
  }

  #announce(): void {
    this.#reconciler.poke();
    this.#tell();
  }

  #tell(): void {
    const owned = [...this.#running].filter(([, { worker }]) => worker.owned).map(([shard]) => shard);
    const prepared = [...this.preparing()].flatMap(([shard, since]) => (since === undefined ? [] : [shard]));
    this.#options.onHolding({ owned: owned.sort((a, b) => a - b), prepared: prepared.sort((a, b) => a - b) });
  }
}

function isWaiting(waiting: Waiting | undefined): boolean {
  return waiting !== undefined && !waiting.gone;
}
