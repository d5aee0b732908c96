import { randomUUID } from 'node:crypto';
import type { SourceDatabase } from '@shapecast/change-source';
import { isShapecastError, ShapecastError } from '@shapecast/errors';
import type { RotationJournal } from '@shapecast/messaging';
import { Backoff, emitEvent, wallTime, type Clock, type Logger } from '@shapecast/service-kit';
import { NO_SPAN, traceFields } from '@shapecast/telemetry';
import type { InterruptedSnapshot, ShapeFailure, ShapeRecord, ShapeStore, ShardId } from '@shapecast/shape-store';
import type { SourceCounters } from '../quotas/source-counters.ts';
import { underLease, type LeaseOptions } from './attempt-lease.ts';
import type { ByteRate } from './byte-rate.ts';
import type { Publications } from './publications.ts';
import { TablePublication } from './table-publication.ts';
import { Superseded, takeSnapshot, type Attempt } from './snapshot-attempt.ts';
import { decodeMark } from './snapshot-mark.ts';
import { SnapshotProgress } from './snapshot-progress.ts';
import { traced, type TracePlace } from '../telemetry/snapshot-trace.ts';
import type { SourceMetrics } from '../telemetry/source-metrics.ts';

interface CreationDeps {
  readonly store: ShapeStore;
  readonly database: SourceDatabase;
  readonly publications: Publications;
  readonly rate: ByteRate;
  readonly journal: Pick<RotationJournal, 'record'>;
  readonly count: SourceCounters;
  readonly metrics: SourceMetrics;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface CreationOptions extends LeaseOptions {
  readonly maxBytes: () => number;
  readonly resumableBytes: number;
  /** Why no shape may begin now. */
  readonly refusal: () => ShapecastError | undefined;
}

/** A shape to make live, and who wants to know. */
export interface Creation {
  readonly shard: ShardId;
  readonly shape: ShapeRecord;
  /** Readers can see something new, or the shape has changed state. */
  readonly tell: () => void;
  /** Remembers what is below a table, before the first snapshot of it. */
  readonly observe: (oid: number, signal: AbortSignal) => Promise<void>;
  /** Since when it has waited for its turn, in milliseconds of the clock. */
  readonly since: number;
  /** A snapshot begins. */
  readonly began: (progress: SnapshotProgress) => void;
}

/** `elsewhere`: another process has an attempt that lives, so the shape is to be looked at again in a moment. */
export type CreationOutcome = 'over' | 'elsewhere';

const PROMOTE_LIMIT = 500;
/** Snapshots that one shape may begin while nobody has read any of them (spec O F78). */
const MAX_ATTEMPTS = 3;
const RETRY = { minMs: 500, maxMs: 4_000 };
/** One that can be gone on with is worth waiting for: the store says how often. */
const RESUME = { minMs: 500, maxMs: 10_000 };
/** So long a definition whose rows were too many is refused without reading them again. */
const TOO_LARGE_MS = 600_000;
const MAX_TOO_LARGE = 1_000;

const INTERRUPTED: ShapeFailure = { code: 'SNAPSHOT_FAILED', message: 'The snapshot of the shape was interrupted.' };

/** What a connection to Postgres fails with that another one need not fail with. */
const PASSING: ReadonlySet<unknown> = new Set([
  'client_exit',
  'connection_closed',
  'connection_failure',
  'connection_refused',
  'connection_timeout',
  'database_server_shutting_down',
  'database_server_unavailable',
  'insufficient_resources',
  'server_connection_crashed',
]);

/** Makes new shapes live, one call each: has their table published, takes their snapshot, promotes what came in meanwhile. */
export class ShapeCreator {
  readonly #deps: CreationDeps;
  readonly #options: CreationOptions;
  /** By digest, until when, and for which limit. The oldest are forgotten first. */
  readonly #tooLarge = new Map<string, { readonly until: number; readonly maxBytes: number }>();

  constructor(deps: CreationDeps, options: CreationOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Aborting hands the shape back: the next owner of its shard may begin at once. */
  async create(creation: Creation, signal: AbortSignal): Promise<CreationOutcome> {
    if (creation.shape.state !== 'promoting') {
      const outcome = await this.#snapshot(creation, signal);
      if (outcome !== 'taken') return outcome;
    }
    await this.#promote(creation, signal);
    return 'over';
  }

  async #snapshot(creation: Creation, signal: AbortSignal): Promise<CreationOutcome | 'taken'> {
    const { store, clock, count, metrics } = this.#deps;
    const { shard, shape, tell } = creation;
    const { handle, definition } = shape;
    const log = this.#deps.log.child({ shard: shard.shard, handle });
    const backoff = new Backoff(clock, RETRY);
    const resuming = new Backoff(clock, RESUME);
    for (let attempt = 1; ; attempt += 1) {
      const token = randomUUID();
      const start = await store.snapshotBegin(shard, handle, token);
      if (start === 'alive') return 'elsewhere';
      if (start === 'over') return 'over';
      if (start === 'readable') {
        await this.#rotate(creation, log);
        return 'over';
      }
      const progress = new SnapshotProgress(clock, `${definition.schema}.${definition.table}`, handle);
      progress.readable = progress.resumable = start === 'resumed';
      creation.began(progress);
      const startedAt = clock.now();
      const place = this.#traceAttempt(creation, attempt);
      const deps = { ...this.#deps, log };
      const lease = { shard, handle, token, progress };
      try {
        const interrupted = start === 'resumed' ? await this.#goOn(creation, token, progress, log) : undefined;
        const work = { token, progress, interrupted, place };
        const take = (until: AbortSignal) => this.#take(creation, work, until);
        await underLease(deps, lease, this.#options, signal, take);
        const { rows, bytes, ageMs, resumedAt = 0 } = progress.report();
        count.snapshots += 1;
        count.snapshotRows += rows - resumedAt;
        metrics.snapshotStored(rows - resumedAt);
        metrics.snapshotOver(clock.now() - startedAt, 'taken');
        place.parent.set({ rows, bytes });
        log.info({ rows, bytes, ms: ageMs, ...traceFields(place.parent) }, 'snapshot taken');
        tell();
        return 'taken';
      } catch (err) {
        place.parent.fail(err);
        // By somebody who looks after the shape, or by a store that has lost what was written: that shows in a moment.
        if (err instanceof Superseded) return 'elsewhere';
        const goesOn = progress.resumable && (isPassing(err) || isShapecastError(err, 'STORE_UNAVAILABLE'));
        const again = goesOn || (!progress.readable && attempt < MAX_ATTEMPTS && isPassing(err));
        if (signal.aborted || again) await this.#giveBack(shard, handle, token, log);
        if (signal.aborted) return 'over';
        if (again) {
          const { rows } = progress;
          if (goesOn) log.warn({ err, rows }, 'snapshot was interrupted, going on in a moment');
          else log.warn({ err, attempt }, 'snapshot was interrupted, beginning again');
          await (goesOn ? resuming : backoff).wait(signal);
          continue;
        }
        if (isNotResumable(err)) {
          log.warn({ err }, 'snapshot was interrupted and cannot go on');
          await this.#rotate(creation, log);
          return 'over';
        }
        log.warn({ err, ...traceFields(place.parent) }, 'shape could not be created');
        metrics.snapshotOver(clock.now() - startedAt, 'failed');
        if (isShapecastError(err, 'SNAPSHOT_TOO_LARGE')) {
          count.refuse('snapshotBytes');
          this.#rememberTooLarge(shape.digest);
        }
        const failure = failureOf(err);
        // One that nobody has read of may come to life again: it is not live, and its owner ends it (spec R 12.5.8).
        if (progress.readable) await this.#deps.journal.record([[handle, failure]]);
        await store.snapshotFailed(shard, handle, token, failure);
        tell();
        return 'over';
      } finally {
        place.parent.end();
      }
    }
  }

  /** Begins the span of an attempt, below the request that asked for the shape if that is traced (spec O 6.4.1). */
  #traceAttempt({ shard, shape, since }: Creation, attempt: number): TracePlace {
    const { metrics, clock } = this.#deps;
    const { tracing } = metrics;
    if (!tracing.enabled) return { tracing, parent: NO_SPAN };
    const startMs = attempt === 1 ? wallTime(clock) - (clock.now() - since) : wallTime(clock);
    const parent = tracing.start('shape_snapshot.create_snapshot_task', {
      parent: shape.traceparent,
      startMs,
      attributes: {
        source_id: shard.source,
        shard: shard.shard,
        'shape.handle': shape.handle,
        'shape.root_table': `${shape.definition.schema}.${shape.definition.table}`,
        'shape.query_reason': 'initial_snapshot',
        attempt,
      },
    });
    if (attempt === 1) tracing.start('shape_snapshot.checkout_wait', { parent, startMs }).end();
    return { tracing, parent };
  }

  /** The next attempt would put other bytes where readers have seen these (spec R 10.7.4). */
  async #rotate({ shard, shape: { handle }, tell }: Creation, log: Logger): Promise<void> {
    await this.#deps.journal.record([[handle, INTERRUPTED]]);
    const rotated = await this.#deps.store.rotate(shard, handle, INTERRUPTED);
    if (rotated) {
      this.#deps.count.rotations += 1;
      this.#deps.metrics.ended(INTERRUPTED);
      emitEvent(log, 'shape_rotated', { handle, reason: INTERRUPTED.message });
    }
    tell();
  }

  /** What there is to go on with. */
  async #goOn(
    { shard, shape: { handle } }: Creation,
    token: string,
    progress: SnapshotProgress,
    log: Logger,
  ): Promise<InterruptedSnapshot> {
    const interrupted = await this.#deps.store.readInterrupted(shard, handle, token);
    if (interrupted === undefined) throw new Superseded('the snapshot attempt is no longer current');
    const { rows, bytes } = decodeMark(interrupted.mark);
    progress.resume({ rows, bytes });
    log.info({ rows, bytes, segment: interrupted.segments.length + 1 }, 'snapshot resumed where it was interrupted');
    return interrupted;
  }

  async #take(
    creation: Creation,
    work: Pick<Attempt, 'token' | 'progress' | 'interrupted' | 'place'>,
    signal: AbortSignal,
  ): Promise<void> {
    const { shard, shape, tell, observe } = creation;
    const { interrupted, place } = work;
    const { clock, metrics } = this.#deps;
    if (interrupted === undefined) this.#refuse(shape.digest);
    const publication = new TablePublication(this.#deps.publications, shape, signal);
    const askedAt = clock.now();
    await traced(place, 'shape_snapshot.prepare_tables', () => publication.ensure());
    metrics.waitedForPublication(clock.now() - askedAt);
    await observe(shape.definition.oid, signal);
    const limits = { maxBytes: this.#options.maxBytes(), resumableBytes: this.#options.resumableBytes };
    const attempt = { shard, shape, publication, changed: tell, ...work, ...limits };
    await takeSnapshot(this.#deps, attempt, signal);
  }

  async #giveBack(shard: ShardId, handle: string, token: string, log: Logger): Promise<void> {
    try {
      await this.#deps.store.snapshotYield(shard, handle, token);
    } catch (err) {
      // It runs out by itself.
      log.debug({ err }, 'lease of a snapshot could not be given up');
    }
  }

  async #promote({ shard, shape, tell }: Creation, signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      const left = await this.#deps.store.promote(shard, shape.handle, PROMOTE_LIMIT);
      if (left === undefined) return;
      if (left === 0) return tell();
    }
  }

  /** Throws what keeps a shape from beginning. */
  #refuse(digest: string): void {
    const refusal = this.#options.refusal();
    if (refusal) throw refusal;
    const tooLarge = this.#tooLarge.get(digest);
    if (tooLarge === undefined) return;
    const { until, maxBytes } = tooLarge;
    if (until > this.#deps.clock.now() && this.#options.maxBytes() <= maxBytes) {
      throw new ShapecastError('SNAPSHOT_TOO_LARGE', 'Snapshot exceeds the size limit', { refusedUntil: until });
    }
    this.#tooLarge.delete(digest);
  }

  #rememberTooLarge(digest: string): void {
    if (this.#tooLarge.has(digest)) return;
    this.#tooLarge.set(digest, { until: this.#deps.clock.now() + TOO_LARGE_MS, maxBytes: this.#options.maxBytes() });
    const [oldest] = this.#tooLarge.keys();
    if (this.#tooLarge.size > MAX_TOO_LARGE && oldest !== undefined) this.#tooLarge.delete(oldest);
  }
}

function isPassing(err: unknown): boolean {
  return (
    (isShapecastError(err, 'SNAPSHOT_FAILED') || isShapecastError(err, 'SOURCE_UNAVAILABLE')) &&
    PASSING.has(err.details['type'])
  );
}

function isNotResumable(err: unknown): boolean {
  return isShapecastError(err, 'SNAPSHOT_FAILED') && err.details['type'] === 'not_resumable';
}

/** What waiting requests are told. Errors we do not know keep their text to the log. */
function failureOf(err: unknown): ShapeFailure {
  if (isShapecastError(err)) return { code: err.code, message: err.message };
  return { code: 'SNAPSHOT_FAILED', message: 'Unable to create initial snapshot: unexpected error' };
}
