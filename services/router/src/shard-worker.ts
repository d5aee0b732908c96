import { randomUUID } from 'node:crypto';
import { comparePositions, type Position } from '@shapecast/log';
import { decodeShardHint, encodeShardHint, shardHintSubject, type Hints, type TxStream } from '@shapecast/messaging';
import { Backoff, type Clock, type Logger } from '@shapecast/service-kit';
import type { ShapeFailure, ShapeStore, ShardCursor, ShardId, ShardMeta, ShardState } from '@shapecast/shape-store';
import { Latch } from './latch.ts';
import { beforeTransaction, reopenTransaction } from './matching/reopen-transaction.ts';
import { ShardIndex } from './matching/shard-index.ts';
import type { Doubt, HeldTransaction, Step, StepStart } from './matching/step.ts';
import { PendingStep, type StepLimits } from './pending-step.ts';
import type { SnapshotQueue } from './snapshot/snapshot-queue.ts';
import { firstPlace, followsCursor, locateCursor, newShardPlace, type StreamPlace } from './stream/locate-cursor.ts';
import type { RecordWindow, TakeLimits, WindowReader } from './stream/record-window.ts';
import type { StreamRecord } from './stream/stream-record.ts';

interface ShardWorkerDeps {
  readonly store: ShapeStore;
  readonly hints: Hints;
  readonly stream: TxStream;
  readonly window: RecordWindow;
  readonly snapshots: SnapshotQueue;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface ShardWorkerOptions extends StepLimits {
  /** How often the shard's meta is read to notice loss and lost hints (spec R 12.5.2). */
  readonly metaPollMs: number;
}

export const DEFAULT_WORKER_OPTIONS: ShardWorkerOptions = {
  maxStepChanges: 4_000,
  maxStepBytes: 4 * 1024 * 1024,
  maxStepEntries: 20_000,
  lingerMs: 200,
  emptyLingerMs: 1_000,
  maxLingerRecords: 1_000,
  metaPollMs: 1_000,
};

const GAP: ShapeFailure = {
  code: 'SCHEMA_CHANGED',
  message: 'Changes are no longer stored in the transaction stream.',
};
/** How long the next record of a transaction that is read again may take. */
const RECORD_TIMEOUT_MS = 10_000;
const UNFINISHED: ShapeFailure = { code: 'SNAPSHOT_FAILED', message: 'The snapshot of the shape was interrupted.' };

/**
 * Applies the tx stream to the shapes of one shard, as its owner: takes the records at hand, matches them, appends, tells
 * readers. Everything it remembers can be read again from the store, and every write names the state it was computed from; so
 * whatever a write reports as different is loaded again, and the same records are matched again (spec R 12.5, 13.2, 13.3).
 */
export class ShardWorker {
  readonly shard: ShardId;
  readonly #deps: ShardWorkerDeps;
  readonly #options: ShardWorkerOptions;
  readonly #log: Logger;
  readonly #index = new ShardIndex();
  readonly #pending: PendingStep;
  readonly #owner = randomUUID();
  readonly #subject: string;
  readonly #wake = new Latch();
  /** Of the run: aborts when the shard is to be given up. */
  #signal: AbortSignal = AbortSignal.abort();
  #state: ShardState | undefined;
  #held: HeldTransaction | undefined;
  /** The reader stands where the cursor does. */
  #placed = false;
  /** Position that the last search in the stream was made for. */
  #relocatedFrom: Position | undefined;
  #reader: WindowReader | undefined;
  /** Open questions of shapes whose snapshot is not known yet. */
  #doubts: Doubt[] = [];
  /** The set of shapes is newer in the store than here. */
  #stale = false;
  #offerDue = false;
  #polledAt = 0;
  #lastError: string | undefined;

  constructor(deps: ShardWorkerDeps, shard: ShardId, options: ShardWorkerOptions) {
    this.#deps = deps;
    this.shard = shard;
    this.#options = options;
    this.#log = deps.log.child({ shard: shard.shard, incarnation: shard.incarnation });
    this.#pending = new PendingStep(this.#index, options);
    this.#subject = shardHintSubject(shard.source, shard.incarnation, shard.shard);
  }

  report(): { readonly shapes: number; readonly cursorSeq: number; readonly lag: number; readonly lastError?: string } {
    const cursorSeq = this.#state?.cursor.seq ?? 0;
    return {
      shapes: this.#index.size,
      cursorSeq,
      // Records not applied for longer than they linger; a shard without shapes always is a little behind.
      lag: Math.max(0, this.#deps.window.lastSeq - Math.max(cursorSeq, this.#pending.step?.seq ?? 0)),
      ...(this.#lastError === undefined ? {} : { lastError: this.#lastError }),
    };
  }

  get owned(): boolean {
    return this.#state !== undefined;
  }

  /**
   * Owns the shard until `signal` aborts ('released') or another owner has taken it ('lost'). `onOwned` is called once it does.
   * Failures of store and stream are retried for ever.
   */
  async run(onOwned: () => void, signal: AbortSignal): Promise<'released' | 'lost'> {
    this.#signal = signal;
    const { hints } = this.#deps;
    const stopHints = hints.subscribe(
      this.#subject,
      (payload) => this.#onHint(payload),
      () => this.#refreshSoon(),
    );
    const job = new AbortController();
    const abandon = () => job.abort(new Error('the shard is no longer owned'));
    signal.addEventListener('abort', abandon, { once: true });
    try {
      await this.#acquire(signal);
      if (this.#state === undefined) return 'released';
      onOwned();
      return await this.#apply(job.signal, signal);
    } finally {
      abandon();
      signal.removeEventListener('abort', abandon);
      stopHints();
      this.#reader?.close();
      await this.#release();
    }
  }

  async #acquire(signal: AbortSignal): Promise<void> {
    await this.#retry(signal, async () => {
      const meta = await this.#deps.store.acquire(this.shard, this.#owner);
      await this.#load(meta);
      await this.#endUnknown();
    });
  }

  /**
   * The owner before may have applied a truncation while the snapshot of a new shape was not known, and taken its doubt with
   * it. Such shapes start over.
   */
  async #endUnknown(): Promise<void> {
    const { position } = this.#current().cursor;
    const unknown = [...this.#index.all()].filter(
      ({ record }) => !record.snapshot && record.regLsn < position.lsn && position.lsn > 0n,
    );
    await this.#rotate(unknown.map(({ handle }) => [handle, UNFINISHED] as const));
    if (unknown.length > 0) await this.#refresh();
  }

  async #release(): Promise<void> {
    if (this.#state === undefined) return;
    try {
      await this.#deps.store.release(this.shard, this.#state);
    } catch (err) {
      this.#log.debug({ err }, 'shard was not released');
    }
    this.#state = undefined;
  }

  /** Calls `attempt` until it succeeds or `signal` aborts. */
  async #retry(signal: AbortSignal, attempt: () => Promise<void>): Promise<void> {
    const backoff = new Backoff(this.#deps.clock, { minMs: 50, maxMs: 2_000 });
    while (!signal.aborted) {
      try {
        await attempt();
        this.#lastError = undefined;
        return;
      } catch (err) {
        this.#failed(err, 'shard cannot be loaded, retrying');
        await backoff.wait(signal).catch(() => undefined);
      }
    }
  }

  #failed(err: unknown, message: string): void {
    this.#lastError = err instanceof Error ? err.message : String(err);
    this.#log.warn({ err }, message);
  }

  // ---- state

  /** Takes the store's state of the shard for the truth. */
  async #load(meta: ShardMeta): Promise<void> {
    const { store } = this.#deps;
    const shapes = await store.loadShapes(this.shard);
    this.#index.reset(shapes.shapes);
    this.#offerDue = true;
    this.#state = { epoch: meta.epoch, owner: meta.owner, ver: shapes.ver, cursor: meta.cursor };
    this.#held = undefined;
    this.#pending.forget();
    this.#polledAt = this.#deps.clock.now();
    this.#stale = false;
    this.#placed = false;
    await this.#findPlace();
    this.#log.info({ seq: meta.cursor.seq, shapes: this.#index.size, epoch: meta.epoch }, 'shard loaded');
  }

  /** Points the reader to where the cursor stands, and rebuilds what has to be remembered of an open transaction. */
  async #findPlace(): Promise<void> {
    const { stream } = this.#deps;
    const { cursor } = this.#current();
    if (cursor.seq === 0 && this.#index.size === 0) {
      const place = await newShardPlace(stream);
      if (place) await this.#moveTo(place);
      else this.#seek(1);
    } else if (cursor.openTxSeq > 0) await this.#reopen(cursor);
    else if (cursor.seq === 0 || (await followsCursor(stream, cursor))) this.#seek(cursor.seq + 1);
    else await this.#relocate();
    this.#placed = true;
  }

  /**
   * `record` follows operations that were not read. Perhaps they are elsewhere in the stream, which is looked up once per
   * position; else they are lost.
   */
  async #bridge(record: StreamRecord): Promise<void> {
    const { position } = this.#current().cursor;
    const tried = this.#relocatedFrom !== undefined && comparePositions(this.#relocatedFrom, position) === 0;
    this.#relocatedFrom = position;
    if (tried) await this.#crossGap({ seq: record.firstSeq, position: record.record.prev.position });
    else await this.#relocate();
  }

  /** The stream does not continue where the cursor points: finds the place by position, or crosses a gap (R 9.6.4). */
  async #relocate(): Promise<void> {
    const { cursor } = this.#current();
    if (cursor.openTxSeq > 0) return this.#reopen(cursor);
    const seq = await locateCursor(this.#deps.stream, cursor.position);
    if (seq === undefined) return this.#crossGap();
    this.#log.info({ cursorSeq: cursor.seq, seq }, 'shard cursor was located by position');
    this.#seek(seq);
  }

  /** Rebuilds what has to be remembered of the transaction that the cursor stands in. */
  async #reopen(cursor: ShardCursor): Promise<void> {
    const begin = await locateCursor(this.#deps.stream, beforeTransaction(cursor));
    if (begin === undefined) return this.#crossGap();
    this.#seek(begin);
    const reopened = await reopenTransaction(this.#index, cursor, () => this.#nextRecord());
    if (reopened === undefined) return this.#crossGap();
    this.#held = reopened.held;
    this.#seek(reopened.seq);
  }

  async #nextRecord(): Promise<StreamRecord> {
    const { clock } = this.#deps;
    const giveUpAt = clock.now() + RECORD_TIMEOUT_MS;
    for (;;) {
      const [record] = this.#read({ maxRecords: 1, maxChanges: Infinity, maxBytes: Infinity });
      if (record) return record;
      this.#signal.throwIfAborted();
      if (clock.now() > giveUpAt) throw new Error('the rest of an open transaction is not in the tx stream yet');
      await this.#wake.wait(clock, 100, this.#signal);
    }
  }

  /** Operations are missing (spec R 13.6): nothing can be said of any shape of the shard any more. */
  async #crossGap(to?: StreamPlace): Promise<void> {
    const place = to ?? (await firstPlace(this.#deps.stream));
    const { cursor } = this.#current();
    if (place === undefined) return this.#seek(cursor.seq + 1);
    const fields = { cursorSeq: cursor.seq, seq: place.seq, shapes: this.#index.size };
    if (this.#index.size > 0) this.#log.error(fields, 'tx stream has a gap, rotating the shapes of the shard');
    await this.#rotate([...this.#index.all()].map(({ handle }) => [handle, GAP] as const));
    await this.#refresh();
    this.#held = undefined;
    await this.#moveTo(place);
  }

  /** Sets the cursor without applying what lies in between. A shape that came meanwhile makes it fail, and load again. */
  async #moveTo({ seq, position }: StreamPlace): Promise<void> {
    const state = this.#current();
    const to = { seq: seq - 1, position, openTxSeq: 0 };
    const batch = { entries: [], transactions: [], to, visible: position, watermark: position.lsn };
    const outcome = await this.#deps.store.append(this.shard, state, batch);
    if (outcome !== 'ok') throw new Error(`the shard cursor could not be moved: ${outcome} differs`);
    this.#state = { ...state, cursor: to };
    this.#seek(seq);
  }

  #seek(seq: number): void {
    this.#pending.forget();
    if (this.#reader) this.#reader.seek(seq);
    else this.#reader = this.#deps.window.open(seq, () => this.#wake.set());
  }

  #read(limits: TakeLimits): readonly StreamRecord[] {
    return this.#reader?.take(limits) ?? [];
  }

  #current(): ShardState {
    if (this.#state === undefined) throw new Error('the shard is not owned');
    return this.#state;
  }

  // ---- applying

  async #apply(job: AbortSignal, signal: AbortSignal): Promise<'released' | 'lost'> {
    const backoff = new Backoff(this.#deps.clock, { minMs: 50, maxMs: 2_000 });
    while (!signal.aborted) {
      try {
        const outcome = await this.#turn(job, signal);
        if (outcome === 'lost') {
          this.#log.info({}, 'shard was taken over by another router');
          this.#state = undefined;
          return 'lost';
        }
        if (this.#lastError !== undefined) this.#log.info({}, 'shard goes on');
        this.#lastError = undefined;
        backoff.reset();
      } catch (err) {
        this.#failed(err, 'shard cannot go on, retrying');
        await backoff.wait(signal).catch(() => undefined);
        if (signal.aborted) break;
        // What was written before the failure is for the store to say.
        await this.#recover().catch((error: unknown) => this.#failed(error, 'shard cannot be read, retrying'));
      }
    }
    return 'released';
  }

  /** One round of the loop: refresh, collect, append or wait. */
  async #turn(job: AbortSignal, signal: AbortSignal): Promise<'on' | 'lost'> {
    const { clock } = this.#deps;
    if (clock.now() - this.#polledAt >= this.#options.metaPollMs && (await this.#poll()) === 'lost') return 'lost';
    if (!this.#placed) await this.#findPlace();
    if (this.#stale) await this.#refresh();
    if (this.#offerDue) this.#offer(job);
    const unexpected = this.#pending.collect((limits) => this.#read(limits), this.#start(), clock.now());
    if (unexpected) {
      await this.#bridge(unexpected);
      return 'on';
    }
    const { step } = this.#pending;
    if (step && step.rotations.size > 0) {
      await this.#rotate([...step.rotations]);
      await this.#refresh();
      return 'on';
    }
    const waitMs = this.#pending.lingerMs(clock.now());
    if (step && waitMs <= 0) return this.#append(step);
    const untilPoll = this.#polledAt + this.#options.metaPollMs - clock.now();
    await this.#wake.wait(clock, Math.max(1, Math.min(waitMs, untilPoll)), signal);
    return 'on';
  }

  /** Has shapes that are not live yet made so. */
  #offer(signal: AbortSignal): void {
    this.#offerDue = false;
    const changed = () => {
      this.#offerDue = true;
      this.#refreshSoon();
    };
    this.#deps.snapshots.offer(this.shard, this.#index.all(), { signal, changed });
  }

  #start(): StepStart {
    return { cursor: this.#current().cursor, held: this.#held };
  }

  async #append(step: Step): Promise<'on' | 'lost'> {
    const { store, hints } = this.#deps;
    const state = this.#current();
    const { batch, held, touched, doubts } = step.finish();
    this.#doubts.push(...doubts);
    const outcome = await store.append(this.shard, state, batch);
    switch (outcome) {
      case 'ok':
        this.#state = { ...state, cursor: batch.to };
        this.#held = held;
        this.#pending.done();
        if (touched.size > 0) hints.publish(this.#subject, encodeShardHint([...touched]));
        return 'on';
      case 'ver':
        this.#pending.conflicted();
        await this.#refresh();
        return 'on';
      case 'cursor':
        await this.#recover();
        return 'on';
      case 'epoch':
        return this.#poll();
    }
  }

  // ---- noticing what others did

  #onHint(payload: Uint8Array): void {
    const hint = decodeShardHint(payload);
    // Mostly our own, which name shapes we know.
    if ('handles' in hint && hint.handles.every((handle) => this.#index.get(handle) !== undefined)) return;
    this.#refreshSoon();
  }

  #refreshSoon(): void {
    this.#stale = true;
    this.#wake.set();
  }

  /** Loads what changed in the set of shapes, and matches the step at hand again. */
  async #refresh(): Promise<void> {
    const { store } = this.#deps;
    this.#stale = false;
    const state = this.#current();
    const delta = await store.loadDelta(this.shard, state.ver);
    if (delta?.ver === state.ver) return;
    this.#offerDue = true;
    if (delta) {
      this.#index.apply(delta.changed);
      this.#state = { ...state, ver: delta.ver };
    } else {
      const shapes = await store.loadShapes(this.shard);
      this.#index.reset(shapes.shapes);
      this.#state = { ...state, ver: shapes.ver };
    }
    await this.#settleDoubts();
    this.#pending.matchAgain(this.#start());
  }

  /** Ends shapes that started from a snapshot without a change that their log cannot express. */
  async #settleDoubts(): Promise<void> {
    if (this.#doubts.length === 0) return;
    const ended = new Map<string, ShapeFailure>();
    this.#doubts = this.#doubts.filter(({ handle, transaction, failure }) => {
      const shape = this.#index.get(handle);
      if (shape && !shape.record.snapshot) return true;
      if (shape?.accepts(transaction)) ended.set(handle, failure);
      return false;
    });
    await this.#rotate([...ended]);
  }

  /** Compares with the store now and then: hints may be lost, and so may what the store had acknowledged (R 12.5.2). */
  async #poll(): Promise<'on' | 'lost'> {
    const state = this.#current();
    const meta = await this.#deps.store.readMeta(this.shard);
    this.#polledAt = this.#deps.clock.now();
    // A store that went back knows an older owner, or nobody: not a successor of ours.
    if (meta === undefined || meta.epoch < state.epoch) {
      await this.#takeBack();
      return 'on';
    }
    if (meta.epoch !== state.epoch || meta.owner !== state.owner) return 'lost';
    if (meta.ver !== state.ver) this.#stale = true;
    if (!sameCursor(meta.cursor, state.cursor)) await this.#recover();
    return 'on';
  }

  /** After a failure, or when the store stands elsewhere: continues from what the store says. */
  async #recover(): Promise<void> {
    const state = this.#current();
    const meta = await this.#deps.store.readMeta(this.shard);
    if (meta === undefined || meta.epoch < state.epoch) return this.#takeBack();
    // Another owner: the next append finds out and stops.
    if (meta.epoch !== state.epoch || meta.owner !== state.owner) return;
    this.#stale = true;
    if (sameCursor(meta.cursor, state.cursor)) return;
    await this.#load(meta);
    if (meta.cursor.seq < state.cursor.seq) await this.#endUnfinished(meta, state);
  }

  /** The store went back to before we owned the shard. */
  async #takeBack(): Promise<void> {
    const state = this.#current();
    const meta = await this.#deps.store.acquire(this.shard, this.#owner);
    await this.#load(meta);
    await this.#endUnfinished(meta, state);
  }

  /** Readers may have seen snapshot chunks that a store that went back no longer has (R 12.5.8). */
  async #endUnfinished(now: ShardMeta, before: ShardState): Promise<void> {
    this.#log.warn({ seq: now.cursor.seq, before: before.cursor.seq }, 'the store went back, shard applies again');
    const unfinished = [...this.#index.all()].filter(({ record }) => record.state !== 'live');
    await this.#rotate(unfinished.map(({ handle }) => [handle, UNFINISHED] as const));
    this.#stale = true;
  }

  async #rotate(handles: readonly (readonly [string, ShapeFailure])[]): Promise<void> {
    for (const [handle, failure] of handles) {
      const rotated = await this.#deps.store.rotate(this.shard, handle, failure);
      if (rotated) this.#log.info({ handle, reason: failure.message }, 'shape rotated');
    }
    if (handles.length > 0) this.#deps.hints.publish(this.#subject, encodeShardHint(handles.map(([handle]) => handle)));
  }
}

function sameCursor(a: ShardCursor, b: ShardCursor): boolean {
  return a.seq === b.seq && a.openTxSeq === b.openTxSeq && comparePositions(a.position, b.position) === 0;
}
