import { isShapecastError } from '@shapecast/errors';
import { comparePositions, formatPosition, type Relation } from '@shapecast/log';
import { decodeShardHint, type Hints, type RotationJournal, type TxStream } from '@shapecast/messaging';
import { Backoff, emitEvent, wallTime, type Clock, type Logger } from '@shapecast/service-kit';
import type { ShapeFailure, ShapeStore, ShardCursor, ShardId, ShardMeta } from '@shapecast/shape-store';
import { JournalledShapes } from './journalled-shapes.ts';
import { Latch } from './latch.ts';
import type { RoutedShape } from './matching/routed-shape.ts';
import type { ShardIndex } from './matching/shard-index.ts';
import { POISON, type Step } from './matching/step.ts';
import { OwnedShard } from './owned-shard.ts';
import { RecordTrial } from './poison/record-trial.ts';
import type { Trials } from './poison/trials.ts';
import type { FairTurns } from './process/fair-turns.ts';
import { workTurn, type WorkTurn } from './process/work-turn.ts';
import type { SourceCounters } from './quotas/source-counters.ts';
import { ShardPlace } from './shard-place.ts';
import type { WorkerSight } from './stall/stall-watch.ts';
import type { SnapshotQueue } from './snapshot/snapshot-queue.ts';
import type { VersionGate } from './snapshot/version-gate.ts';
import type { SourceMetrics } from './telemetry/source-metrics.ts';
import { StepMeter } from './telemetry/step-meter.ts';
import type { RecordWindow } from './stream/record-window.ts';
import type { StreamRecord } from './stream/stream-record.ts';
import type { TakeLimits } from './stream/window-reader.ts';
import type { ShardWorkerOptions } from './worker-options.ts';

interface ShardWorkerDeps {
  readonly store: ShapeStore;
  readonly hints: Hints;
  readonly journal: RotationJournal;
  readonly stream: TxStream;
  readonly window: RecordWindow;
  readonly snapshots: SnapshotQueue;
  readonly gate: VersionGate;
  readonly trials: Trials;
  /** Shared with the other sources of the process. */
  readonly turns: FairTurns;
  readonly count: SourceCounters;
  readonly metrics: SourceMetrics;
  /** Remembers what is below a table, before the first snapshot of it. */
  readonly observe: (oid: number, signal: AbortSignal) => Promise<void>;
  /** Empty, and for this shard only. */
  readonly index: ShardIndex;
  readonly clock: Clock;
  readonly log: Logger;
}

/** How soon a record is tried again that has to wait for another one. */
const TRIAL_WAIT_MS = 20;
/** How long the store may take for an append until others have their turn: perhaps it is one node of many that hangs. */
const TURN_MS = 100;
/** So long nothing must have happened in a shard for it to be idle. */
const IDLE_MS = 10_000;
/** Appends in a row that came too late because of new shapes; then these wait for one. */
const CONFLICTS_TO_HOLD = 3;

/** WAL, and the age of the oldest transaction, that a shard has not applied. */
export interface ShardLag {
  readonly bytes: number;
  readonly ms: number;
}

/** A shard that another router still owns. */
interface HandOver {
  /** Resolves when it is to be acquired. */
  readonly go: Promise<void>;
  /** Called when all is at hand for it. */
  readonly onPrepared: () => void;
}

/**
 * Applies the tx stream to the shapes of one shard, as its owner: takes the records at hand, matches them, appends, tells
 * readers. Everything it remembers can be read again from the store, and every write names the state it was computed from; so
 * whatever a write reports as different is loaded again, and the same records are matched again (spec R 12.5, 13.2, 13.3).
 */
export class ShardWorker {
  readonly #deps: ShardWorkerDeps;
  readonly #options: ShardWorkerOptions;
  readonly #log: Logger;
  readonly #wake = new Latch();
  readonly #shard: OwnedShard;
  readonly #place: ShardPlace;
  /** Of the run: aborts when the shard is to be given up. */
  #signal: AbortSignal = AbortSignal.abort();
  #polledAt = 0;
  /** When something was last written to a log, or told of the shapes. */
  #activeAt = -Infinity;
  /** Shapes of ours that somebody has put into the journal, to end them. */
  readonly #journalled: JournalledShapes;
  #lastError: string | undefined;
  /** The last failure was the store's, NATS's or the database's. */
  #outage = false;
  /** Pieces of long work that were done. */
  #busy = 0;
  /** Lets shapes that wait for an append go on. */
  #open: (() => void) | undefined;
  readonly #trial: RecordTrial;
  readonly #meter: StepMeter;

  constructor(deps: ShardWorkerDeps, shard: ShardId, options: ShardWorkerOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#log = deps.log.child({ shard: shard.shard, incarnation: shard.incarnation });
    this.#shard = new OwnedShard({ ...deps, log: this.#log }, shard, options);
    this.#meter = new StepMeter(deps, shard);
    this.#journalled = new JournalledShapes(deps.journal, this.#shard);
    this.#trial = new RecordTrial({ ...deps, log: this.#log }, this.#shard);
    this.#place = new ShardPlace({ ...deps, log: this.#log }, this.#shard, this.#wake);
  }

  /** For who watches over it; undefined while the shard is not owned. */
  sight(): WorkerSight | undefined {
    const { state, pending } = this.#shard;
    if (state === undefined) return undefined;
    const { seq, position } = state.cursor;
    return {
      place: `${seq} ${formatPosition(position)}`,
      busy: this.#busy,
      waiting: pending.waiting,
      outage: this.#outage || !this.#deps.store.connected(),
    };
  }

  /** Shapes that may be what keeps the shard from going on. */
  involved(): ReadonlySet<string> {
    return this.#shard.pending.involved();
  }

  get shard(): ShardId {
    return this.#shard.id;
  }

  get index(): ShardIndex {
    return this.#shard.index;
  }

  report(): { readonly shapes: number; readonly cursorSeq: number; readonly lag: number; readonly lastError?: string } {
    const { state, index, pending } = this.#shard;
    const cursorSeq = state?.cursor.seq ?? 0;
    return {
      shapes: index.size,
      cursorSeq,
      // Records not applied for longer than they linger; a shard without shapes always is a little behind.
      lag: Math.max(0, this.#deps.window.lastSeq - Math.max(cursorSeq, pending.step?.seq ?? 0)),
      ...(this.#lastError === undefined ? {} : { lastError: this.#lastError }),
    };
  }

  /** How far the shard is behind what was read of the tx stream; undefined while it is not owned. */
  behind(): ShardLag | undefined {
    const { state } = this.#shard;
    const { window, clock } = this.#deps;
    if (state === undefined) return undefined;
    const { seq, position } = state.cursor;
    // One that has applied nothing so far is not all of the WAL behind: it begins near the end.
    if (seq >= window.lastSeq || position.lsn === 0n) return { bytes: 0, ms: 0 };
    const bytes = Math.max(0, Number((window.lastLsn ?? position.lsn) - position.lsn));
    // Before the window, all that is known is what came before that.
    const committedMs = window.covers(seq + 1) ? window.committedAfter(seq) : this.#meter.committedMs;
    return { bytes, ms: committedMs === undefined ? 0 : Math.max(0, wallTime(clock) - committedMs) };
  }

  /** Ends shapes for a reason that is not in the stream. Returns the handles that were alive. */
  async rotate(handles: Iterable<readonly [string, ShapeFailure]>): Promise<readonly string[]> {
    const alive = await this.#shard.rotate(handles);
    this.#refreshSoon();
    return alive;
  }

  /** Nothing was written to a log, or told of a shape, for as long. */
  idleFor(ms: number): boolean {
    return this.#deps.clock.now() - this.#activeAt > ms;
  }

  /** Has the store looked at, if the connection to it was made anew. */
  glance(): void {
    if (!this.owned || !this.#shard.doubtful || !this.#deps.store.connected()) return;
    this.#polledAt = -Infinity;
    this.#wake.set();
  }

  /** There is something to do that the worker cannot know of. */
  wake(): void {
    this.#wake.set();
  }

  /** Under which the shard is owned; undefined while it is not. */
  get epoch(): number | undefined {
    return this.#shard.state?.epoch;
  }

  get owned(): boolean {
    return this.#shard.state !== undefined;
  }

  /**
   * Owns the shard until `signal` aborts ('released') or another owner has taken it ('lost'). `onOwned` is called once it does,
   * with what aborts when it no longer does. With `handOver` it prepares first and then waits.
   * Failures of store and stream are retried for ever.
   */
  async run(
    onOwned: (owned: AbortSignal) => void,
    signal: AbortSignal,
    handOver?: HandOver,
  ): Promise<'released' | 'lost'> {
    this.#signal = signal;
    const stopHints = this.#deps.hints.subscribe(
      this.#shard.subject,
      (payload) => this.#onHint(payload),
      () => this.#refreshSoon(),
    );
    const stopJournal = this.#deps.journal.onRecorded((handles) => {
      if (this.#journalled.note(handles)) this.#refreshSoon();
    });
    const job = new AbortController();
    const abandon = () => job.abort(new Error('the shard is no longer owned'));
    signal.addEventListener('abort', abandon, { once: true });
    try {
      if (handOver) await this.#prepare(handOver, signal);
      if ((await this.#acquire(signal)) === 'lost') return this.#lost();
      if (!this.owned) return 'released';
      this.#shard.pending.oneByOne(this.#shard.start(), this.#options.oneByOneUntil);
      const { owner, epoch } = this.#shard.current();
      emitEvent(this.#log, 'shard_owner_changed', { shard: this.#shard.id.shard, owner, epoch });
      onOwned(job.signal);
      return await this.#apply(job.signal, signal);
    } finally {
      abandon();
      signal.removeEventListener('abort', abandon);
      stopHints();
      stopJournal();
      this.#place.close();
      this.#letGo();
      await this.#trial.pause();
      await this.#shard.release();
    }
  }

  async #prepare({ go, onPrepared }: HandOver, signal: AbortSignal): Promise<void> {
    await this.#retry(signal, () => this.#shard.prepare());
    if (signal.aborted) return;
    onPrepared();
    const { promise: aborted, resolve } = Promise.withResolvers<void>();
    signal.addEventListener('abort', () => resolve(), { once: true });
    await Promise.race([go, aborted]);
  }

  async #acquire(signal: AbortSignal): Promise<'on' | 'lost'> {
    let before: ShardMeta | undefined;
    let acquired: ShardMeta | undefined;
    let lost = false;
    await this.#retry(signal, async () => {
      const now = await this.#deps.store.readMeta(this.shard);
      before ??= now;
      // Acquired, and then not loaded: whoever has taken it since keeps it. One that is cut off from NATS would take it back for ever.
      lost = acquired !== undefined && now !== undefined && isSuccessor(now, acquired);
      if (lost) return;
      const meta = await this.#shard.acquire();
      acquired = meta;
      if (this.#options.again !== true) await this.#trial.suspect(before, meta.cursor.seq);
      await this.#load(meta);
      if (meta.maybeLost) this.#shard.doubtUnfinished();
    });
    return lost ? 'lost' : 'on';
  }

  #lost(): 'lost' {
    this.#log.info({}, 'shard was taken over by another router');
    this.#shard.lost();
    return 'lost';
  }

  /** Calls `attempt` until it succeeds or `signal` aborts. */
  async #retry(signal: AbortSignal, attempt: () => Promise<void>): Promise<void> {
    const backoff = new Backoff(this.#deps.clock, { minMs: 50, maxMs: 2_000 });
    while (!signal.aborted) {
      try {
        await attempt();
        this.#lastError = undefined;
        this.#outage = false;
        return;
      } catch (err) {
        this.#failed(err, 'shard cannot be loaded, retrying');
        await backoff.wait(signal).catch(() => undefined);
      }
    }
  }

  #failed(err: unknown, message: string): void {
    this.#lastError = err instanceof Error ? err.message : String(err);
    this.#outage = isShapecastError(err) && err.retryable;
    this.#log.warn({ err }, message);
  }

  /** Takes the store's state of the shard for the truth, and reads on from there. */
  async #load(meta: ShardMeta): Promise<void> {
    const { clock, metrics } = this.#deps;
    const startedAt = clock.now();
    await this.#shard.load(meta);
    this.#polledAt = clock.now();
    metrics.loaded(this.#polledAt - startedAt, this.#shard.index.size);
    await this.#place.find(this.#signal);
    this.#log.info({ seq: meta.cursor.seq, shapes: this.#shard.index.size, epoch: meta.epoch }, 'shard loaded');
  }

  // ---- applying

  async #apply(job: AbortSignal, signal: AbortSignal): Promise<'released' | 'lost'> {
    const backoff = new Backoff(this.#deps.clock, { minMs: 50, maxMs: 2_000 });
    while (!signal.aborted) {
      try {
        const outcome = await this.#turn(job, signal);
        if (outcome === 'lost') return this.#lost();
        if (this.#lastError !== undefined) this.#log.info({}, 'shard goes on');
        this.#lastError = undefined;
        this.#outage = false;
        backoff.reset();
      } catch (err) {
        this.#failed(err, 'shard cannot go on, retrying');
        this.#letGo();
        await this.#trial.pause();
        if (!this.#outage && this.owned) this.#shard.pending.oneByOne(this.#shard.start());
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
    const shard = this.#shard;
    const { pending } = shard;
    if (clock.now() - this.#polledAt >= this.#pollMs && (await this.#poll()) === 'lost') return 'lost';
    // In this order: a place is looked for with the shapes that there are, and moving to it fails while others have come.
    if (shard.stale) await shard.refresh();
    if (!this.#place.found) await this.#place.find(signal);
    if (shard.index.ending.size > 0) {
      this.#forgetTables(shard.index.ending.keys());
      await shard.endDue();
    }
    await shard.endUnfinished();
    if (shard.offerDue) this.#offer(job);
    if (!(await this.#trial.begin((limits) => this.#place.read(limits)))) {
      await this.#wake.wait(clock, TRIAL_WAIT_MS, signal);
      return 'on';
    }
    const given = this.#deps.turns.take(this.shard.source);
    const turn = workTurn(given instanceof Promise ? await given : given);
    try {
      const unexpected = this.#collect(turn);
      if (unexpected) {
        turn.end();
        await this.#place.bridge(unexpected, signal);
        return 'on';
      }
      const outcome = await this.#applyCollected(turn, signal);
      if (outcome !== 'wait') return outcome;
    } finally {
      turn.end();
    }
    const untilPoll = this.#polledAt + this.#pollMs - clock.now();
    await this.#wake.wait(clock, Math.max(1, Math.min(pending.lingerMs(clock.now()), untilPoll)), signal);
    return 'on';
  }

  get #pollMs(): number {
    const { metaPollMs, idlePollMs = metaPollMs } = this.#options;
    return this.idleFor(IDLE_MS) ? idlePollMs : metaPollMs;
  }

  /** Returns the record before which operations are missing, if there is one. */
  #collect(turn: WorkTurn): StreamRecord | undefined {
    const { pending } = this.#shard;
    const before = pending.cost;
    try {
      const { clock } = this.#deps;
      const read = (limits: TakeLimits) => this.#place.read(limits);
      if (pending.step === undefined) this.#meter.begin();
      return this.#meter.match(() => pending.collect(read, this.#shard.start(), clock.now(), turn.bytes));
    } finally {
      turn.cost = Math.max(0, pending.cost - before);
    }
  }

  /** 'wait': nothing is to be done before there are more records. */
  async #applyCollected(turn: WorkTurn, signal: AbortSignal): Promise<'on' | 'lost' | 'wait'> {
    const { clock } = this.#deps;
    const shard = this.#shard;
    const { pending } = shard;
    // What is done here beside appending is rare, and takes long.
    if (pending.waitsFor ?? (shard.index.ending.size > 0 || (pending.step?.rotations.size ?? 0) > 0)) turn.end();
    if (pending.waitsFor) {
      await this.#compile(pending.waitsFor, signal);
      return 'on';
    }
    // The first change of a table shows which of its shapes are too many, or started without it.
    if (shard.index.ending.size > 0) return 'on';
    if (await this.#trial.endSkipped()) return 'on';
    const { step } = pending;
    if (step && step.rotations.size > 0) {
      this.#forgetTables([...step.rotations.keys()].map((handle) => shard.index.get(handle)));
      await shard.rotate(step.rotations, (failure) => failure !== POISON);
      await shard.refresh();
      return 'on';
    }
    if (step === undefined || pending.lingerMs(clock.now()) > 0) return 'wait';
    const cancel = clock.after(TURN_MS, () => turn.end());
    try {
      return await this.#append(step);
    } finally {
      cancel();
    }
  }

  /** What ends shapes may come from how their table is published: the next ones have it looked at again. */
  #forgetTables(shapes: Iterable<RoutedShape | undefined>): void {
    for (const shape of shapes) if (shape) this.#deps.snapshots.forget(shape.record.definition.oid);
  }

  /** Many shapes take seconds to parse and to file, in which leases have to be renewed and other shards to go on. */
  async #compile(relation: Relation, signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    const startedAt = clock.now();
    await this.#shard.index.compile(relation, async () => {
      await new Promise((resolve) => setImmediate(resolve));
      this.#busy += 1;
      signal.throwIfAborted();
    });
    const table = `${relation.schema}.${relation.name}`;
    this.#log.info({ table, shapes: this.#shard.index.size, ms: clock.now() - startedAt }, 'table indexed');
  }

  /** Has shapes that are not live yet made so. */
  #offer(signal: AbortSignal): void {
    const shard = this.#shard;
    shard.offerDue = false;
    const changed = () => {
      shard.offerDue = true;
      this.#refreshSoon();
    };
    this.#deps.snapshots.offer(shard.id, shard.index.all(), { signal, changed, observe: this.#deps.observe });
  }

  async #append(step: Step): Promise<'on' | 'lost'> {
    const shard = this.#shard;
    const result = step.finish();
    const { batch, held, touched, doubts } = result;
    await shard.doubt(doubts);
    const outcome = await this.#meter.append(step, result, () => shard.append(batch, held));
    switch (outcome) {
      case 'ok':
        this.#counted(step, batch.entries.length);
        shard.pending.done();
        this.#letGo();
        shard.announce([...touched]);
        await this.#trial.appended();
        return 'on';
      case 'ver':
        shard.pending.conflicted();
        if (shard.pending.conflicts >= CONFLICTS_TO_HOLD) await this.#hold();
        await shard.refresh();
        return 'on';
      case 'cursor':
        await this.#recover();
        return 'on';
      case 'epoch':
        return this.#poll();
    }
  }

  #counted({ bytes, commitTimeUs }: Step, entries: number): void {
    const { count, clock } = this.#deps;
    count.entries += entries;
    count.entryBytes += bytes;
    // What goes past all shapes waits for more to come: how long says nothing.
    if (entries === 0) return;
    this.#activeAt = clock.now();
    if (commitTimeUs !== undefined) count.visible(wallTime(clock) - Number(commitTimeUs / 1_000n), wallTime(clock));
  }

  /** New shapes come faster than a step can be appended: they wait until it is (spec R 13.3.3, O F134). */
  async #hold(): Promise<void> {
    this.#letGo();
    this.#open = await this.#deps.gate.close(this.shard);
    await this.#deps.store.hold(this.shard, this.#shard.current());
  }

  #letGo(): void {
    this.#open?.();
    this.#open = undefined;
  }

  // ---- noticing what others did

  #onHint(payload: Uint8Array): void {
    const hint = decodeShardHint(payload);
    // Mostly our own, which name shapes we know.
    if ('handles' in hint && hint.handles.every((handle) => this.#shard.index.get(handle) !== undefined)) return;
    this.#refreshSoon();
  }

  #refreshSoon(): void {
    this.#activeAt = this.#deps.clock.now();
    this.#shard.stale = true;
    this.#wake.set();
  }

  /** Compares with the store now and then: hints may be lost, and so may what the store had acknowledged (R 12.5.2). */
  async #poll(): Promise<'on' | 'lost'> {
    const state = this.#shard.current();
    const connection = this.#deps.store.connectionOf(this.shard);
    const meta = await this.#deps.store.readMeta(this.shard);
    this.#polledAt = this.#deps.clock.now();
    if (meta === undefined) this.#deps.metrics.storeLost();
    // A store that went back knows an older owner, or nobody: not a successor of ours.
    if (meta === undefined || meta.epoch < state.epoch) {
      await this.#takeBack();
      return 'on';
    }
    if (meta.epoch !== state.epoch || meta.owner !== state.owner) return 'lost';
    if (meta.ver !== state.ver) this.#shard.stale = true;
    if (!sameCursor(meta.cursor, state.cursor)) await this.#recover();
    else if (this.#shard.doubtful) await this.#shard.vouch(connection);
    await this.#journalled.end();
    return 'on';
  }

  /** After a failure, or when the store stands elsewhere: continues from what the store says. */
  async #recover(): Promise<void> {
    const state = this.#shard.current();
    const meta = await this.#deps.store.readMeta(this.shard);
    if (meta === undefined) this.#deps.metrics.storeLost();
    if (meta === undefined || meta.epoch < state.epoch) return this.#takeBack();
    // Another owner: the next append finds out and stops.
    if (meta.epoch !== state.epoch || meta.owner !== state.owner) return;
    this.#shard.stale = true;
    if (sameCursor(meta.cursor, state.cursor)) return;
    await this.#load(meta);
    if (comparePositions(meta.cursor.position, state.cursor.position) < 0)
      this.#shard.doubtUnfinished(state.cursor.seq);
  }

  /** The store went back to before we owned the shard. */
  async #takeBack(): Promise<void> {
    const state = this.#shard.current();
    const meta = await this.#shard.acquire();
    await this.#load(meta);
    this.#shard.doubtUnfinished(state.cursor.seq);
  }
}

/** Of another owner, and no older than what we acquired. */
function isSuccessor(now: ShardMeta, acquired: ShardMeta): boolean {
  return now.owner !== acquired.owner && now.epoch >= acquired.epoch;
}

function sameCursor(a: ShardCursor, b: ShardCursor): boolean {
  return a.seq === b.seq && a.openTxSeq === b.openTxSeq && comparePositions(a.position, b.position) === 0;
}
