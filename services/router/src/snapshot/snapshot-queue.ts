import type { SourceDatabase, TableToPublish } from '@shapecast/change-source';
import { encodeShardHint, shardHintSubject, type Hints, type RotationJournal, type Rpc } from '@shapecast/messaging';
import type { ShapecastError } from '@shapecast/errors';
import type { Clock, Logger } from '@shapecast/service-kit';
import type { ShapeRecord, ShapeStore, ShardId } from '@shapecast/shape-store';
import type { FairSlots } from '../process/fair-slots.ts';
import type { SourceCounters } from '../quotas/source-counters.ts';
import type { SourceQuotas } from '../quotas/source-quotas.ts';
import type { UsageSight } from '../quotas/usage-of.ts';
import type { SourceMetrics } from '../telemetry/source-metrics.ts';
import { ByteRate } from './byte-rate.ts';
import { FairQueue } from './fair-queue.ts';
import { Publications } from './publications.ts';
import { ShapeCreator, type CreationOutcome } from './shape-creation.ts';
import type { SnapshotProgress, SnapshotReport } from './snapshot-progress.ts';

interface QueueDeps {
  readonly store: ShapeStore;
  readonly database: SourceDatabase;
  readonly rpc: Rpc;
  readonly hints: Hints;
  readonly journal: RotationJournal;
  /** Shared with the other sources of the process. */
  readonly slots: FairSlots;
  readonly count: SourceCounters;
  readonly metrics: SourceMetrics;
  readonly clock: Clock;
  readonly log: Logger;
}

interface QueueOptions {
  readonly source: string;
  readonly quotas: () => Pick<SourceQuotas, 'snapshotSlots' | 'snapshotBytes'>;
  /** Why no shape may begin now. */
  readonly refusal: () => ShapecastError | undefined;
  /** Shapes that may wait; more stay registered and are taken on when there is room. */
  readonly maxWaiting?: number;
  /** After how much silence another process may take a shape on. */
  readonly leaseMs?: number;
  /** Size of a table from which on an interrupted snapshot goes on where it was, if its key allows that. */
  readonly resumableBytes?: number;
  /** Encoded, of all snapshots of this process together. */
  readonly bytesPerSecond?: () => number;
  readonly progressMs?: number;
}

/** Who a job works for. */
export interface SnapshotOwner {
  /** Aborts when the shard is no longer owned: what has not begun is its next owner's. */
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
  readonly since: number;
}

interface Running {
  readonly job: Job;
  readonly lane: Lane;
  readonly abort: AbortController;
  readonly done: Promise<void>;
  progress: SnapshotProgress | undefined;
}

/** The oid of a table; or what needs no query. */
type Lane = number | 'promotions';

export interface SnapshotQueueReport {
  readonly waiting: number;
  readonly running: number;
  readonly oldestWaitMs: number;
  /** Those that are being taken. */
  readonly snapshots: readonly SnapshotReport[];
}

const MAX_WAITING = 10_000;
const MIB = 1024 * 1024;
/** A shape that another process works on is looked at again this often: its lease may run out. */
const LOOK_AGAIN_MS = 1_000;

/**
 * Which shapes are made live next (spec R 10.7.6): a bounded number at a time, for all shards of a process; tables in turn, and
 * within a table first come first served. A quarter of the places is not for a table that has all the others, so that one
 * whose queries hang, or that cannot be published, does not keep other tables' shapes waiting.
 *
 * What has begun is finished also when the shard gets another owner, which leaves it alone as long as the attempt's lease lasts.
 */
export class SnapshotQueue {
  readonly #deps: QueueDeps;
  readonly #options: QueueOptions;
  readonly #creator: ShapeCreator;
  readonly #publications: Publications;
  readonly #rate: ByteRate;
  /** Waiting, running and resting, by shape. */
  readonly #jobs = new Map<string, Job>();
  readonly #waiting = new FairQueue<Lane, Job>();
  readonly #running = new Set<Running>();
  /** Shards with shapes for which there was no room. */
  readonly #refused = new Set<() => void>();
  readonly #stop = new AbortController();
  #stopping = false;

  constructor(deps: QueueDeps, options: QueueOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#publications = new Publications(deps, options.source, this.#stop.signal);
    this.#rate = new ByteRate(deps.clock, options.bytesPerSecond ?? (() => 64 * MIB));
    this.#creator = new ShapeCreator(
      { ...deps, publications: this.#publications, rate: this.#rate },
      {
        maxBytes: () => options.quotas().snapshotBytes,
        refusal: options.refusal,
        resumableBytes: options.resumableBytes ?? 1024 * MIB,
        beatMs: (options.leaseMs ?? 10_000) / 5,
        progressMs: options.progressMs ?? 10_000,
      },
    );
  }

  /** Encoded bytes stored in the last second, how often a snapshot was made to wait, and what the largest one has so far. */
  get use(): UsageSight['snapshots'] {
    const { bytesPerSecond, waits } = this.#rate;
    let largestBytes = 0;
    for (const { progress } of this.#running) largestBytes = Math.max(largestBytes, progress?.bytes ?? 0);
    return { running: this.#running.size, largestBytes, bytesPerSecond, waits };
  }

  /** More may run at a time than before. */
  resized(): void {
    this.#pump();
  }

  report(): SnapshotQueueReport {
    const now = this.#deps.clock.now();
    let oldest = now;
    for (const { since } of this.#waiting) if (since < oldest) oldest = since;
    return {
      waiting: this.#waiting.size,
      running: this.#running.size,
      oldestWaitMs: now - oldest,
      snapshots: [...this.#running].flatMap(({ progress }) => progress?.report() ?? []),
    };
  }

  /** Takes on those shapes that are not live yet and not being worked on. */
  offer(shard: ShardId, shapes: Iterable<{ readonly record: ShapeRecord }>, owner: SnapshotOwner): void {
    if (this.#stopping) return;
    for (const { record } of shapes) {
      if (record.state === 'live' || record.state === 'dead') continue;
      const key = `${shard.incarnation}/${record.handle}`;
      const known = this.#jobs.get(key);
      if (known && !known.signal.aborted) continue;
      if (this.#waiting.size >= (this.#options.maxWaiting ?? MAX_WAITING)) {
        this.#refused.add(owner.changed);
        break;
      }
      const job: Job = { key, shard, shape: record, since: this.#deps.clock.now(), ...owner };
      this.#jobs.set(key, job);
      this.#waiting.push(record.state === 'promoting' ? 'promotions' : record.definition.oid, job);
    }
    this.#pump();
  }

  /** Shapes of a table ended: it may not be published any more as it was. */
  forget(oid: number): void {
    this.#publications.forget(oid);
  }

  /** Has the replicator publish a table again, with what has come under it. */
  async publish({ oid, schema, name }: TableToPublish): Promise<void> {
    await this.#publications.publish({ oid, schema, name });
  }

  /** Nobody wants the shapes of these incarnations any more. */
  abandonBefore(incarnation: number): void {
    for (const { job, abort } of this.#running) {
      if (job.shard.incarnation < incarnation) abort.abort(new Error('the source has a new incarnation'));
    }
  }

  /**
   * Begins nothing more, hands back what nobody has read of, and finishes the rest within `drainMs` (spec O 2). What is not
   * finished by then is handed back too: the next owner goes on with it where that can be, and rotates it where not.
   */
  async stop(drainMs: number): Promise<void> {
    this.#stopping = true;
    this.#waiting.clear();
    const stopping = new Error('the router is stopping');
    const running = [...this.#running];
    for (const { progress, abort } of running) if (progress?.readable !== true) abort.abort(stopping);
    const all = Promise.all(running.map(({ done }) => done));
    const waited = new AbortController();
    await Promise.race([all, this.#deps.clock.sleep(drainMs, waited.signal).catch(() => undefined)]);
    waited.abort();
    for (const { abort } of running) abort.abort(stopping);
    this.#stop.abort(stopping);
    await all;
  }

  #pump(): void {
    const { snapshotSlots: concurrency } = this.#options.quotas();
    const share = concurrency - Math.floor(concurrency / 4);
    while (this.#running.size < concurrency) {
      const taken = new Map<Lane, number>();
      for (const { lane } of this.#running) taken.set(lane, (taken.get(lane) ?? 0) + 1);
      const job = this.#waiting.take((lane) => (taken.get(lane) ?? 0) < share);
      if (job === undefined) break;
      if (job.signal.aborted) this.#end(job);
      else this.#start(job);
    }
    if (this.#refused.size > 0 && this.#waiting.size < (this.#options.maxWaiting ?? MAX_WAITING) / 2) {
      const refused = [...this.#refused];
      this.#refused.clear();
      for (const changed of refused) changed();
    }
  }

  #start(job: Job): void {
    const abort = new AbortController();
    const lane: Lane = job.shape.state === 'promoting' ? 'promotions' : job.shape.definition.oid;
    const { promise, resolve } = Promise.withResolvers<void>();
    const running: Running = { job, lane, abort, done: promise, progress: undefined };
    this.#running.add(running);
    void this.#work(running).then((outcome) => {
      this.#running.delete(running);
      if (outcome === 'over') this.#end(job);
      else this.#deps.clock.after(LOOK_AGAIN_MS, () => this.#end(job));
      resolve();
      this.#pump();
    });
  }

  #end(job: Job): void {
    if (this.#jobs.get(job.key) === job) this.#jobs.delete(job.key);
    if (!job.signal.aborted) job.changed();
  }

  async #work(running: Running): Promise<CreationOutcome> {
    const { job, abort } = running;
    const { shard, shape, observe, since } = job;
    let leave: (() => void) | undefined;
    try {
      // What other sources do here may take a while; the shape is nobody's until then.
      if (running.lane !== 'promotions') leave = await this.#deps.slots.take(shard.source, abort.signal);
      return await this.#creator.create(
        {
          shard,
          shape,
          observe,
          since,
          tell: () => this.#tell(job),
          began: (progress) => (running.progress = progress),
        },
        abort.signal,
      );
    } catch (err) {
      if (abort.signal.aborted) return 'over';
      this.#deps.log.warn(
        { err, shard: shard.shard, handle: shape.handle },
        'shape creation was interrupted, trying again',
      );
      return 'elsewhere';
    } finally {
      leave?.();
    }
  }

  #tell({ shard, shape, changed }: Job): void {
    changed();
    const subject = shardHintSubject(shard.source, shard.incarnation, shard.shard);
    this.#deps.hints.publish(subject, encodeShardHint([shape.handle]));
  }
}
