import { randomUUID } from 'node:crypto';
import type { SourceDatabase, TableToPublish } from '@shapecast/change-source';
import { isShapecastError } from '@shapecast/errors';
import { encodeShardHint, publishTableSubject, shardHintSubject, type Hints, type Rpc } from '@shapecast/messaging';
import { Backoff, type Clock, type Logger } from '@shapecast/service-kit';
import type { ShapeFailure, ShapeRecord, ShapeStore, ShardId } from '@shapecast/shape-store';
import { Superseded, takeSnapshot } from './snapshot-attempt.ts';

interface QueueDeps {
  readonly store: ShapeStore;
  readonly database: SourceDatabase;
  readonly rpc: Rpc;
  readonly hints: Hints;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Who a job works for. */
export interface SnapshotOwner {
  /** Aborts when the shard is no longer owned: its next owner takes over. */
  readonly signal: AbortSignal;
  /** The shape has changed state, or the job has ended. */
  readonly changed: () => void;
  /** Remembers what is below a table, before the first snapshot of it. */
  readonly observe: (oid: number, signal: AbortSignal) => Promise<void>;
}

interface Job extends SnapshotOwner {
  readonly key: string;
  readonly shard: ShardId;
  readonly shape: ShapeRecord;
}

/** How long a shape waits for a replicator that can publish its table. */
const PUBLISH_TIMEOUT_MS = 30_000;
/** An attempt waits 2 s for the lock of a table, and all of them end within 5 s (spec R 10.8). */
const PUBLISH_LOCK_RETRY_MS = 3_000;
/** A table that was published a moment ago is not asked for again: a burst of shapes on one table costs one call. */
const PUBLISHED_MS = 5_000;
const PROMOTE_LIMIT = 500;

const INTERRUPTED: ShapeFailure = { code: 'SNAPSHOT_FAILED', message: 'The snapshot of the shape was interrupted.' };

/**
 * Makes new shapes live: publishes their table, takes their snapshot, promotes what came in meanwhile. A bounded number at a
 * time and first come first served (spec R 10.7.6), for all shards of a process.
 */
export class SnapshotQueue {
  readonly #deps: QueueDeps;
  readonly #options: { readonly source: string; readonly concurrency: number };
  /** Waiting and running, by shape. */
  readonly #jobs = new Map<string, Job>();
  readonly #waiting: Job[] = [];
  readonly #published = new Map<number, { readonly promise: Promise<void>; readonly at: number }>();
  readonly #stop = new AbortController();
  #running = 0;

  constructor(deps: QueueDeps, options: { readonly source: string; readonly concurrency: number }) {
    this.#deps = deps;
    this.#options = options;
  }

  get size(): number {
    return this.#jobs.size;
  }

  /** Takes on those shapes that are not live yet and not being worked on. */
  offer(shard: ShardId, shapes: Iterable<{ readonly record: ShapeRecord }>, owner: SnapshotOwner): void {
    for (const { record } of shapes) {
      if (record.state === 'live' || record.state === 'dead') continue;
      const key = `${shard.incarnation}/${record.handle}`;
      const known = this.#jobs.get(key);
      if (known && !known.signal.aborted) continue;
      const job: Job = { key, shard, shape: record, ...owner };
      this.#jobs.set(key, job);
      this.#waiting.push(job);
    }
    this.#pump();
  }

  /** Shapes of a table ended: it may not be published any more as it was. */
  forget(oid: number): void {
    this.#published.delete(oid);
  }

  /** Has the replicator publish a table again, with what has come under it. */
  async publish({ oid, schema, name }: TableToPublish): Promise<void> {
    await this.#callPublish({ oid, schema, name });
  }

  close(): void {
    this.#stop.abort(new Error('the router is stopping'));
    this.#waiting.length = 0;
  }

  #pump(): void {
    while (this.#running < this.#options.concurrency) {
      const job = this.#waiting.shift();
      if (job === undefined) return;
      this.#running += 1;
      void this.#work(job).finally(() => {
        this.#running -= 1;
        if (this.#jobs.get(job.key) === job) this.#jobs.delete(job.key);
        if (!job.signal.aborted) job.changed();
        this.#pump();
      });
    }
  }

  async #work(job: Job): Promise<void> {
    const signal = AbortSignal.any([job.signal, this.#stop.signal]);
    if (signal.aborted) return;
    const log = this.#deps.log.child({ shard: job.shard.shard, handle: job.shape.handle });
    try {
      if (job.shape.state !== 'promoting' && !(await this.#snapshot(job, log, signal))) return;
      await this.#promote(job, signal);
      log.debug({}, 'shape is live');
    } catch (err) {
      if (!signal.aborted) log.warn({ err }, 'shape creation was interrupted, trying again');
      await this.#deps.clock.sleep(500, signal).catch(() => undefined);
    }
  }

  /** False when the shape did not get a snapshot from this attempt. */
  async #snapshot(job: Job, log: Logger, signal: AbortSignal): Promise<boolean> {
    const { store } = this.#deps;
    const { shard, shape } = job;
    const token = randomUUID();
    if (!(await store.snapshotBegin(shard, shape.handle, token))) {
      await this.#clean(job, log);
      return false;
    }
    try {
      await this.#publish(shape, signal);
      await job.observe(shape.definition.oid, signal);
      await takeSnapshot(this.#deps, { shard, shape, token, changed: () => this.#tell(job) }, signal);
      this.#tell(job);
      return true;
    } catch (err) {
      if (signal.aborted || err instanceof Superseded) return false;
      log.warn({ err }, 'shape could not be created');
      await store.snapshotFailed(shard, shape.handle, token, failureOf(err));
      this.#tell(job);
      return false;
    }
  }

  /** An attempt that died after readers saw rows cannot be repeated under the same handle (spec R 10.7.4). */
  async #clean({ shard, shape, changed }: Job, log: Logger): Promise<void> {
    const { store } = this.#deps;
    const head = await store.readHead(shard, shape.handle);
    if (head?.state === 'snapshotting' && head.snapshotStarted) {
      log.info({}, 'rotating a shape whose snapshot was interrupted');
      await store.rotate(shard, shape.handle, INTERRUPTED);
      this.#hint(shard, shape.handle);
    }
    changed();
  }

  async #promote(job: Job, signal: AbortSignal): Promise<void> {
    const { shard, shape } = job;
    for (;;) {
      signal.throwIfAborted();
      const left = await this.#deps.store.promote(shard, shape.handle, PROMOTE_LIMIT);
      if (left === undefined) return;
      if (left === 0) return this.#tell(job);
    }
  }

  /** Asks the replicator to publish the table; concurrent and recent questions for one table are one. */
  async #publish({ definition }: ShapeRecord, signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    const { oid, schema, table: name } = definition;
    const known = this.#published.get(oid);
    if (known && clock.now() - known.at < PUBLISHED_MS) return known.promise;
    const promise = this.#callPublish({ oid, schema, name });
    const entry = { promise, at: Infinity };
    this.#published.set(oid, entry);
    promise.then(
      () => this.#published.set(oid, { promise, at: clock.now() }),
      () => this.#published.delete(oid),
    );
    await promise;
    signal.throwIfAborted();
  }

  async #callPublish(table: TableToPublish): Promise<void> {
    const { rpc, clock } = this.#deps;
    const began = clock.now();
    const deadline = began + PUBLISH_TIMEOUT_MS;
    const backoff = new Backoff(clock, { minMs: 100, maxMs: 2_000 });
    const { signal } = this.#stop;
    for (;;) {
      try {
        const left = Math.max(1, deadline - clock.now());
        await rpc.call(publishTableSubject(this.#options.source), table, { timeoutMs: left, signal });
        return;
      } catch (err) {
        if (!isShapecastError(err, 'NOT_READY') || signal.aborted || clock.now() >= deadline) throw err;
        const locked = err.details['type'] === 'table_lock_timeout';
        if (locked && clock.now() - began >= PUBLISH_LOCK_RETRY_MS) throw err;
        await backoff.wait(signal);
      }
    }
  }

  #tell({ shard, shape, changed }: Job): void {
    changed();
    this.#hint(shard, shape.handle);
  }

  #hint(shard: ShardId, handle: string): void {
    const subject = shardHintSubject(shard.source, shard.incarnation, shard.shard);
    this.#deps.hints.publish(subject, encodeShardHint([handle]));
  }
}

/** What waiting requests are told. Errors we do not know keep their text to the log. */
function failureOf(err: unknown): ShapeFailure {
  if (isShapecastError(err)) return { code: err.code, message: err.message };
  return { code: 'SNAPSHOT_FAILED', message: 'Unable to create initial snapshot: unexpected error' };
}
