import type { SourceDatabase, TableToPublish } from '@shapecast/change-source';
import type { Hints, Registries, TxStream } from '@shapecast/messaging';
import type { Clock, Logger } from '@shapecast/service-kit';
import type { RelationInfo } from '@shapecast/shape';
import type { ShapeStore } from '@shapecast/shape-store';
import { EvaluationLog } from './matching/evaluation-log.ts';
import { reportMatching, type MatchingReport } from './matching/matching-report.ts';
import { ShardIndex, type ShardIndexOptions } from './matching/shard-index.ts';
import { PublicationWatch } from './publication/publication-watch.ts';
import { UsageReport } from './publication/usage-report.ts';
import { ShardWorker, type ShardWorkerOptions } from './shard-worker.ts';
import type { SnapshotQueue } from './snapshot/snapshot-queue.ts';
import { RecordWindow } from './stream/record-window.ts';
import { HistoryStore } from './schema/history-store.ts';
import { Reconciler, type ReconcilerOptions } from './schema/reconciler.ts';
import type { Upkeep } from './upkeep/upkeep.ts';

interface SourceShardsDeps {
  readonly store: ShapeStore;
  readonly hints: Hints;
  readonly stream: TxStream;
  readonly snapshots: SnapshotQueue;
  readonly upkeep: Upkeep;
  readonly database: SourceDatabase;
  readonly registries: Registries;
  /** The catalog has a table like this. */
  readonly seen: (relation: RelationInfo) => void;
  readonly clock: Clock;
  readonly log: Logger;
}

interface SourceShardsOptions {
  readonly windowBytes: number;
  readonly worker: ShardWorkerOptions;
  readonly matching: Omit<ShardIndexOptions, 'onEvaluationError' | 'onRelationBelow'>;
  readonly catalog: ReconcilerOptions;
  /** Told the owned shards whenever they change. */
  readonly onOwned: (owned: readonly number[]) => void;
}

interface Running {
  readonly worker: ShardWorker;
  readonly abort: AbortController;
  readonly done: Promise<void>;
}

/** A shard that was lost to another router is not fought for: membership gets this long to tell who should have it. */
const LOST_PAUSE_MS = 1_000;
const WINDOW_STALL_MS = 500;

/** The shards of one incarnation that this process owns or tries to own, and the record window they share. */
export class SourceShards {
  readonly #deps: SourceShardsDeps;
  readonly #options: SourceShardsOptions;
  readonly #window: RecordWindow;
  readonly #evaluationLog: EvaluationLog;
  readonly #reconciler: Reconciler;
  readonly #watching: Promise<unknown>;
  readonly #stopWatching = new AbortController();
  readonly #running = new Map<number, Running>();
  readonly #lostAt = new Map<number, number>();

  constructor(deps: SourceShardsDeps, options: SourceShardsOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#evaluationLog = new EvaluationLog(deps);
    this.#window = new RecordWindow(deps, { maxBytes: options.windowBytes, stallMs: WINDOW_STALL_MS });
    const histories = new HistoryStore(deps.registries, deps.stream.id);
    const publish = (table: TableToPublish) => deps.snapshots.publish(table);
    this.#reconciler = new Reconciler({ ...deps, histories, shards: () => this.#owned(), publish }, options.catalog);
    const owned = () => this.#owned();
    const watch = new PublicationWatch({ ...deps, shards: owned }, options.catalog);
    const usage = new UsageReport({ ...deps, shards: owned }, deps.stream.id);
    const { signal } = this.#stopWatching;
    this.#watching = Promise.all([this.#reconciler.run(signal), watch.run(signal), usage.run(signal)]);
  }

  get incarnation(): number {
    return this.#deps.stream.id.incarnation;
  }

  running(): readonly number[] {
    return [...this.#running.keys()];
  }

  report() {
    return [...this.#running].map(([shard, { worker }]) => ({ shard, owned: worker.owned, ...worker.report() }));
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
    if (this.#running.has(shard)) return;
    if (this.#deps.clock.now() - (this.#lostAt.get(shard) ?? -Infinity) < LOST_PAUSE_MS) return;
    const abort = new AbortController();
    const id = { ...this.#deps.stream.id, shard };
    const index = new ShardIndex({
      ...this.#options.matching,
      onEvaluationError: (shape, error) => this.#evaluationLog.failed(shape, error),
      onRelationBelow: (oid, below) => this.#reconciler.showed(oid, below),
    });
    const observe = (oid: number, signal: AbortSignal) => this.#reconciler.observe(oid, signal);
    const worker = new ShardWorker({ ...this.#deps, observe, index, window: this.#window }, id, this.#options.worker);
    const done = this.#run(shard, worker, abort.signal);
    this.#running.set(shard, { worker, abort, done });
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
    await this.#window.close();
  }

  /** Deletes what is left of shapes that ended longer than `graceMs` ago. */
  async sweep(graceMs: number): Promise<void> {
    for (const { worker } of [...this.#running.values()]) {
      if (!worker.owned) continue;
      try {
        await this.#deps.store.sweep(worker.shard, graceMs);
      } catch (err) {
        this.#deps.log.debug({ err, shard: worker.shard.shard }, 'ended shapes were not swept');
      }
    }
  }

  async #run(shard: number, worker: ShardWorker, signal: AbortSignal): Promise<void> {
    let upkeep: Promise<void> | undefined;
    try {
      const outcome = await worker.run((owned) => {
        this.#announce();
        upkeep = this.#deps.upkeep.run(
          { id: worker.shard, index: worker.index, rotate: (handles) => worker.rotate(handles) },
          owned,
        );
      }, signal);
      if (outcome === 'lost') this.#lostAt.set(shard, this.#deps.clock.now());
    } catch (err) {
      this.#lostAt.set(shard, this.#deps.clock.now());
      this.#deps.log.error({ err, shard }, 'shard worker failed, starting it again');
    } finally {
      this.#running.delete(shard);
      this.#announce();
      // Its turn, if it has one, ends soon, and need not be over before another router begins.
      await upkeep;
    }
  }

  *#owned(): Generator<ShardWorker> {
    for (const { worker } of this.#running.values()) if (worker.owned) yield worker;
  }

  #announce(): void {
    this.#reconciler.poke();
    const owned = [...this.#running].filter(([, { worker }]) => worker.owned).map(([shard]) => shard);
    this.#options.onOwned(owned.sort((a, b) => a - b));
  }
}
