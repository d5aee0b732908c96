import { randomUUID } from 'node:crypto';
import { encodeShardHint, shardHintSubject, type Hints, type RotationJournal } from '@shapecast/messaging';
import { emitEvent, wallTime, type Clock, type Logger } from '@shapecast/service-kit';
import {
  DATA_LOST,
  type AppendBatch,
  type ShapeFailure,
  type ShapeStore,
  type ShardId,
  type ShardMeta,
  type ShardShapes,
  type ShardState,
  type WriteOutcome,
} from '@shapecast/shape-store';
import type { ShardIndex } from './matching/shard-index.ts';
import type { Doubt, HeldTransaction, StepStart } from './matching/step.ts';
import type { SourceCounters } from './quotas/source-counters.ts';
import { PendingStep, type StepLimits } from './pending-step.ts';
import { ShapeCensus } from './telemetry/shape-census.ts';
import type { SourceMetrics } from './telemetry/source-metrics.ts';

interface OwnedShardDeps {
  readonly store: ShapeStore;
  readonly hints: Hints;
  readonly journal: RotationJournal;
  /** Empty, and for this shard only. */
  readonly index: ShardIndex;
  readonly count: SourceCounters;
  readonly metrics: SourceMetrics;
  readonly clock: Clock;
  readonly log: Logger;
}

const UNFINISHED: ShapeFailure = { code: 'SNAPSHOT_FAILED', message: 'The snapshot of the shape was interrupted.' };

/**
 * What the owner of a shard remembers of it: the state that its writes are conditional on, the shapes, and the step that is
 * matched against them. All of it can be loaded again from the store; the writes that keep the two in line are here, when
 * to make them is for the worker to say.
 */
export class OwnedShard {
  readonly id: ShardId;
  readonly index: ShardIndex;
  readonly pending: PendingStep;
  /** Of the hints that tell of the shard's shapes. */
  readonly subject: string;
  /** Of the transaction that the cursor stands in. */
  held: HeldTransaction | undefined;
  /** The set of shapes is newer in the store than here. */
  stale = false;
  /** The set of shapes is newer here than what was last offered for snapshots. */
  offerDue = false;
  readonly #deps: OwnedShardDeps;
  readonly #owner = randomUUID();
  #state: ShardState | undefined;
  /** Shapes that are not live are to end before anything else is done about them. */
  #unfinishedDue = false;
  /** Connection to the store on which everything was found as it is known here. */
  #vouched: string | undefined;
  readonly #census: ShapeCensus;
  /** Version of the set of shapes that was loaded while another router owned the shard. */
  #prepared: string | undefined;

  constructor(deps: OwnedShardDeps, id: ShardId, limits: StepLimits) {
    this.#deps = deps;
    this.id = id;
    this.index = deps.index;
    this.pending = new PendingStep(this.index, limits);
    this.#census = new ShapeCensus(deps, id);
    this.subject = shardHintSubject(id.source, id.incarnation, id.shard);
  }

  /** Undefined while the shard is not owned. */
  get state(): ShardState | undefined {
    return this.#state;
  }

  current(): ShardState {
    if (this.#state === undefined) throw new Error('the shard is not owned');
    return this.#state;
  }

  /** Where the next step begins. */
  start(): StepStart {
    return { cursor: this.current().cursor, held: this.held };
  }

  /** Takes the shard over in the store. It is owned once what this returns is loaded. */
  acquire(): ReturnType<ShapeStore['acquire']> {
    return this.#deps.store.acquire(this.id, this.#owner);
  }

  /** Loads the shapes while another router owns the shard, so that only what changes until then is left for `load`. */
  async prepare(): Promise<void> {
    const { ver, shapes } = await this.#deps.store.loadShapes(this.id);
    this.index.reset(shapes);
    this.#prepared = ver;
  }

  /** Takes the store's state of the shard for the truth. */
  async load(meta: ShardMeta): Promise<void> {
    let ver = await this.#loadRest();
    if (ver === undefined) {
      const shapes = await this.#loadAll();
      this.index.reset(shapes.shapes);
      this.#census.reset();
      ver = shapes.ver;
    }
    this.offerDue = true;
    this.#state = { epoch: meta.epoch, owner: meta.owner, ver, cursor: meta.cursor };
    this.held = undefined;
    this.pending.forget();
    this.stale = false;
  }

  /** Another router owns the shard now. */
  lost(): void {
    this.#state = undefined;
  }

  async release(): Promise<void> {
    if (this.#state === undefined) return;
    try {
      await this.#deps.store.release(this.id, this.#state);
    } catch (err) {
      this.#deps.log.debug({ err }, 'shard was not released');
    }
    this.#state = undefined;
  }

  /** Loads what changed in the set of shapes, and matches the step at hand again. */
  async refresh(): Promise<void> {
    this.stale = false;
    const state = this.current();
    const delta = await this.#deps.store.loadDelta(this.id, state.ver);
    const known = typeof delta === 'object';
    if (known && delta.ver === state.ver) return;
    this.offerDue = true;
    if (known) {
      this.#census.changed(delta.changed, this.index);
      this.index.apply(delta.changed);
      this.#state = { ...state, ver: delta.ver };
    } else {
      const shapes = await this.#loadAll();
      this.index.reset(shapes.shapes);
      this.#census.reset();
      this.#state = { ...state, ver: shapes.ver };
    }
    this.pending.matchAgain(this.start());
    if (delta === 'regressed') this.doubtUnfinished(state.cursor.seq);
  }

  /** What changed since `prepare`; undefined where all shapes have to be loaded. */
  async #loadRest(): Promise<string | undefined> {
    const prepared = this.#prepared;
    this.#prepared = undefined;
    if (prepared === undefined) return undefined;
    const { store, journal } = this.#deps;
    const [delta] = await Promise.all([store.loadDelta(this.id, prepared), journal.current()]);
    if (typeof delta !== 'object') return undefined;
    this.index.apply(delta.changed);
    for (const { handle } of this.index.all()) if (journal.failureOf(handle)) return undefined;
    return delta.ver;
  }

  /** All shapes; those that a store which went back has brought to life again are ended first (spec R 12.5.7). */
  async #loadAll(): Promise<ShardShapes> {
    const { store, journal, log } = this.#deps;
    await journal.current();
    const loaded = await store.loadShapes(this.id);
    const undead = loaded.shapes.flatMap(({ handle }) => {
      const failure = journal.failureOf(handle);
      return failure ? [[handle, failure] as const] : [];
    });
    const { damaged = [] } = loaded;
    if (undead.length === 0 && damaged.length === 0) return loaded;
    if (undead.length > 0) {
      log.warn({ handles: undead.length }, 'shapes that had ended are in the store again, ending them');
    }
    if (damaged.length > 0) log.error({ handles: damaged }, 'the store has lost what these shapes are of, ending them');
    await this.rotate([...undead, ...damaged.map((handle) => [handle, DATA_LOST] as const)]);
    return store.loadShapes(this.id);
  }

  /** Writes `batch`, after which the cursor stands where it ends; `held` is of the transaction that it ends in. */
  async append(batch: AppendBatch, held: HeldTransaction | undefined): Promise<WriteOutcome> {
    const state = this.current();
    const appliedMs = wallTime(this.#deps.clock);
    const outcome = await this.#deps.store.append(this.id, state, { ...batch, appliedMs });
    if (outcome === 'ok') {
      this.#state = { ...state, cursor: batch.to };
      this.held = held;
    }
    return outcome;
  }

  /** The cursor is about to be moved over transactions that are not read. */
  async skipRing(): Promise<void> {
    await this.#deps.store.skipRing(this.id);
  }

  /** Tells readers, and whoever else follows the shard, that something happened to these shapes. */
  announce(handles: readonly string[]): void {
    if (handles.length > 0) this.#deps.hints.publish(this.subject, encodeShardHint(handles));
  }

  /**
   * Hands what a step could not decide, because the snapshots are not known yet, to whoever takes them. Before the cursor passes it.
   */
  async doubt(doubts: readonly Doubt[]): Promise<void> {
    if (doubts.length === 0) return;
    const { store } = this.#deps;
    const asked = doubts.map(({ handle, transaction: { lsn, xid } }) => ({ handle, lsn, xid }));
    const unseen = new Set(await store.snapshotDoubts(this.id, asked));
    if (unseen.size === 0) return;
    const ended = doubts.filter(({ handle }) => unseen.has(handle));
    await this.rotate(new Map(ended.map(({ handle, failure }) => [handle, failure] as const)));
  }

  /**
   * They stay in the index until it is refreshed. Returns those that were alive. What the tx stream implies happens again when
   * the stream is read again; everything else is written to the journal first (spec R 12.5.7).
   */
  async rotate(
    handles: Iterable<readonly [string, ShapeFailure]>,
    isImplied: (failure: ShapeFailure) => boolean = () => false,
  ): Promise<readonly string[]> {
    const ended = [...handles];
    await this.#deps.journal.record(ended.filter(([, failure]) => !isImplied(failure)));
    const alive: string[] = [];
    for (const [handle, failure] of ended) {
      const rotated = await this.#deps.store.rotate(this.id, handle, failure);
      if (!rotated) continue;
      alive.push(handle);
      this.#deps.count.rotations += 1;
      this.#census.ended(handle, failure);
      if (failure.code === 'SCAN_LIMIT_EXCEEDED') this.#deps.count.refuse('unindexableClauses');
      emitEvent(this.#deps.log, 'shape_rotated', { handle, reason: failure.message });
    }
    this.announce(ended.map(([handle]) => handle));
    return alive;
  }

  /** Ends the shapes that the index says must not go on. */
  async endDue(): Promise<void> {
    await this.rotate([...this.index.ending].map(([{ handle }, failure]) => [handle, failure] as const));
    await this.refresh();
  }

  /** The store went back, or may have. `before` is the sequence that the shard had come to, if it is known. */
  doubtUnfinished(before?: number): void {
    const { seq } = this.current().cursor;
    this.#unfinishedDue = true;
    if (before === undefined) return;
    this.#deps.metrics.regressed();
    emitEvent(this.#deps.log, 'store_regressed', { shard: this.id.shard, from: before, to: seq });
  }

  /** Ends shapes of which readers may have seen snapshot chunks that a store that went back no longer has (R 12.5.8). */
  async endUnfinished(): Promise<void> {
    if (!this.#unfinishedDue) return;
    const unfinished = [...this.index.all()].filter(({ record }) => record.state !== 'live');
    await this.rotate(unfinished.map(({ handle }) => [handle, UNFINISHED] as const));
    this.#unfinishedDue = false;
    await this.refresh();
  }

  /** Tells the store that nothing was lost when the connection was, once it has been found as it is known here (R 12.5.2). */
  async vouch(connection: string): Promise<void> {
    if (this.#unfinishedDue || this.stale) return;
    if (await this.#deps.store.vouch(this.id, this.current())) this.#vouched = connection;
  }

  /** The connection to the store was made anew since somebody looked whether anything was lost. */
  get doubtful(): boolean {
    return this.#deps.store.connectionOf(this.id) !== this.#vouched;
  }
}
