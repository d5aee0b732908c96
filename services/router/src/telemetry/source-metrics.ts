import { wallTime, type Clock } from '@shapecast/service-kit';
import type { EntryOrigin, ShapeFailure, WriteOutcome } from '@shapecast/shape-store';
import { RecentHighest, type Counter, type Histogram, type Telemetry, type Tracing } from '@shapecast/telemetry';
import { END_REASONS, endReason, type EndReason } from './end-reason.ts';

/** What became of a step that was appended. */
export interface AppliedStep {
  /** Transactions that began with it. */
  readonly transactions: number;
  readonly entries: number;
  readonly bytes: number;
  /** That got entries. */
  readonly shapes: number;
  readonly matchMs: number;
  readonly applyMs: number;
  /** Of the oldest transaction with entries that became visible. */
  readonly oldest: EntryOrigin | undefined;
}

/** Why a shard began or ceased to be this router's. `lost`: another router took it, or it had to be given up. */
export type ShardTurn = 'acquired' | 'released' | 'lost';

const CONFLICTS = { cursor: 'position', ver: 'version', epoch: 'epoch' } as const satisfies Readonly<
  Record<Exclude<WriteOutcome, 'ok'>, string>
>;

/**
 * What is counted of the work for a source. The cells are asked for once, and told once for each step, snapshot or end of a shape: a
 * change costs nothing. What is true at a moment is read by `watchRouter`.
 */
export class SourceMetrics {
  readonly source: string;
  readonly #telemetry: Telemetry;
  readonly #clock: Clock;
  readonly #storedTransactions: Counter;
  readonly #storedEntries: Counter;
  readonly #storedBytes: Counter;
  readonly #replicationLag: Histogram;
  readonly #applyStage: Histogram;
  readonly #applyLag = new RecentHighest();
  readonly #affectedShapes: Histogram;
  readonly #matching: Histogram;
  readonly #applying: Histogram;
  readonly #conflicts: Readonly<Record<Exclude<WriteOutcome, 'ok'>, Counter>>;
  readonly #indexed: Counter;
  readonly #scanned: Counter;
  readonly #created: Counter;
  readonly #gaps: Counter;
  readonly #regressions: Counter;
  readonly #lost: Counter;
  readonly #skipped: Counter;
  readonly #stalls: Counter;
  readonly #snapshotTask: Histogram;
  readonly #snapshotRead: Histogram;
  readonly #snapshotBytes: Counter;
  readonly #snapshots: Counter;
  readonly #snapshotRows: Counter;
  readonly #snapshotFailures: Counter;
  readonly #safetyRetries: Counter;
  readonly #publicationWait: Histogram;
  readonly #subsets: Counter;
  readonly #subsetRows: Counter;
  readonly #subsetBytes: Counter;
  readonly #weighing: Histogram;
  #endsShown = false;
  #loaded: { readonly ms: number; readonly shapes: number } | undefined;

  constructor(telemetry: Telemetry, clock: Clock, source: string) {
    const { metrics } = telemetry;
    const own = { source };
    const conflict = (kind: string) => metrics.counter('shapecast.router.cas_conflicts.count', { kind });
    this.source = source;
    this.#telemetry = telemetry;
    this.#clock = clock;
    this.#storedTransactions = metrics.counter('electric.storage.transaction_stored.count', own);
    this.#storedEntries = metrics.counter('electric.storage.transaction_stored.operations', own);
    this.#storedBytes = metrics.counter('electric.storage.transaction_stored.bytes', own);
    this.#replicationLag = metrics.histogram('electric.storage.transaction_stored.replication_lag', own);
    this.#applyStage = metrics.histogram('shapecast.e2e.stage', { source, stage: 'apply' });
    this.#affectedShapes = metrics.histogram('electric.shape_log_collector.transaction.affected_shape_count', own);
    this.#matching = metrics.histogram('shapecast.router.match.duration', {});
    this.#applying = metrics.histogram('shapecast.router.apply.duration', {});
    this.#conflicts = {
      cursor: conflict(CONFLICTS.cursor),
      ver: conflict(CONFLICTS.ver),
      epoch: conflict(CONFLICTS.epoch),
    };
    this.#indexed = metrics.counter('shapecast.router.evaluations.count', { source, mode: 'indexed' });
    this.#scanned = metrics.counter('shapecast.router.evaluations.count', { source, mode: 'scanned' });
    this.#created = metrics.counter('shapecast.shapes.created.count', own);
    this.#gaps = metrics.counter('shapecast.router.gap.count', own);
    this.#regressions = metrics.counter('shapecast.store.regressions.count', own);
    this.#lost = metrics.counter('shapecast.store.lost.count', own);
    this.#skipped = metrics.counter('shapecast.router.skipped_records.count', own);
    this.#stalls = metrics.counter('electric.flush_tracker.stall_detected.count', own);
    this.#snapshotTask = metrics.histogram('electric.shape_snapshot.create_snapshot_task.stop.duration', own);
    this.#snapshotRead = metrics.histogram('electric.storage.make_new_snapshot.stop.duration', own);
    this.#snapshotBytes = metrics.counter('electric.storage.snapshot_stored.bytes', own);
    this.#snapshots = metrics.counter('electric.storage.snapshot_stored.count', own);
    this.#snapshotRows = metrics.counter('electric.storage.snapshot_stored.operations', own);
    this.#snapshotFailures = metrics.counter('shapecast.snapshot.failures.count', own);
    this.#safetyRetries = metrics.counter('shapecast.snapshot.safety_retries.count', own);
    this.#publicationWait = metrics.histogram('shapecast.snapshot.publication_gap_wait', own);
    this.#subsets = metrics.counter('electric.subqueries.subset_result.count', own);
    this.#subsetRows = metrics.counter('electric.subqueries.subset_result.rows', own);
    this.#subsetBytes = metrics.counter('electric.subqueries.subset_result.bytes', own);
    this.#weighing = metrics.histogram('electric.storage.used.measurement_duration', {});
  }

  get telemetry(): Telemetry {
    return this.#telemetry;
  }

  get tracing(): Tracing {
    return this.#telemetry.tracing;
  }

  // ---- changes

  applied({ transactions, entries, bytes, shapes, matchMs, applyMs, oldest }: AppliedStep): void {
    this.#storedTransactions.add(transactions);
    this.#matching.record(matchMs);
    this.#applying.record(applyMs);
    // Steps without entries wait for more to come: how long says nothing.
    if (entries === 0) return;
    this.#storedEntries.add(entries);
    this.#storedBytes.add(bytes);
    this.#affectedShapes.record(shapes);
    if (oldest === undefined) return;
    const now = wallTime(this.#clock);
    const staged = now - oldest.publishedMs;
    this.#replicationLag.record(now - oldest.committedMs);
    this.#applyStage.record(staged);
    this.#applyLag.note(Math.max(0, staged), this.#clock.now());
  }

  /** The shard stood elsewhere than the step was made for. */
  conflicted(outcome: Exclude<WriteOutcome, 'ok'>): void {
    this.#conflicts[outcome].add();
  }

  /** From published until visible, the highest of the last seconds; undefined when nothing became visible. */
  get applyLagMs(): number | undefined {
    return this.#applyLag.at(this.#clock.now());
  }

  evaluated(indexed: number, scanned: number): void {
    this.#indexed.add(indexed);
    this.#scanned.add(scanned);
  }

  /** Changes are gone that shapes of a shard should have had. */
  gap(): void {
    this.#gaps.add();
  }

  regressed(): void {
    this.#regressions.add();
  }

  storeLost(): void {
    this.#lost.add();
  }

  skippedRecord(): void {
    this.#skipped.add();
  }

  stalled(): void {
    this.#stalls.add();
  }

  // ---- shards

  shard(turn: ShardTurn): void {
    this.#telemetry.metrics.counter('shapecast.router.rebalances.count', { reason: turn }).add();
  }

  writerDown(reason: 'cleanup' | 'shutdown' | 'crash'): void {
    this.#telemetry.metrics.counter('electric.flush_tracker.writer_down.count', { source: this.source, reason }).add();
  }

  loaded(ms: number, shapes: number): void {
    this.#loaded = { ms, shapes };
    if (shapes > 0) this.#showEnds();
  }

  /** Of the shard that was loaded last. */
  get lastLoad(): { readonly ms: number; readonly shapes: number } | undefined {
    return this.#loaded;
  }

  // ---- shapes

  created(shapes: number): void {
    this.#created.add(shapes);
    this.#showEnds();
  }

  ended(failure: ShapeFailure): void {
    this.#count(endReason(failure), 1);
  }

  /** With everything of the incarnation before. */
  rotatedAll(shapes: number): void {
    this.#count({ kind: 'rotated', reason: 'new_incarnation' }, shapes);
  }

  #count(end: EndReason, shapes: number): void {
    this.#endsOf(end).add(shapes);
  }

  #endsOf({ kind, reason }: EndReason): Counter {
    const name = kind === 'rotated' ? 'shapecast.shapes.rotated.count' : 'shapecast.shapes.removed.count';
    return this.#telemetry.metrics.counter(name, { source: this.source, reason });
  }

  /** Where there are shapes, every way to end is there before it happens: an alert has to see the first one too. */
  #showEnds(): void {
    if (this.#endsShown) return;
    this.#endsShown = true;
    for (const end of END_REASONS) this.#endsOf(end);
  }

  // ---- snapshots and subsets

  snapshotOver(ms: number, outcome: 'taken' | 'failed' | 'interrupted'): void {
    if (outcome !== 'interrupted') this.#snapshotTask.record(ms);
    if (outcome === 'failed') this.#snapshotFailures.add();
  }

  snapshotStored(rows: number): void {
    this.#snapshots.add();
    this.#snapshotRows.add(rows);
  }

  snapshotPiece(bytes: number): void {
    this.#snapshotBytes.add(bytes);
  }

  snapshotRead(ms: number): void {
    this.#snapshotRead.record(ms);
  }

  safetyRetry(): void {
    this.#safetyRetries.add();
  }

  waitedForPublication(ms: number): void {
    this.#publicationWait.record(ms);
  }

  subset(rows: number, bytes: number): void {
    this.#subsets.add();
    this.#subsetRows.add(rows);
    this.#subsetBytes.add(bytes);
  }

  // ---- upkeep

  weighed(ms: number): void {
    this.#weighing.record(ms);
  }
}
