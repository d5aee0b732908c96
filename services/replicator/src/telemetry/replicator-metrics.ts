import type { PublicationAction } from '@shapecast/change-source';
import type { TransactionPart, UnusableChange } from '@shapecast/log';
import { wallTime, type Clock } from '@shapecast/service-kit';
import { RecentHighest, type Counter, type Histogram, type Telemetry } from '@shapecast/telemetry';
import { PausedTime } from './paused-time.ts';
import { TransactionTraces } from './transaction-traces.ts';

/** What keeps reading from Postgres: the tx stream does not take it as fast, or the source has used up what it may. */
export type PauseCause = 'publish_window' | 'limit';

/** Why records were published again: another sequence was met, or no usable answer came. */
export type RetryReason = 'conflict' | 'unavailable';

/** How a leadership came about: the first try of the process, one after its own ended, or one after another process's ended. */
export type TakeoverReason = 'start' | 'again' | 'standby';

/**
 * What is counted of the replication of a source. The cells are asked for once; what is told comes in batches, and one transaction costs
 * a few additions. What is true at a moment is read by `watchReplicator`.
 */
export class ReplicatorMetrics {
  readonly #telemetry: Telemetry;
  readonly #clock: Clock;
  readonly #source: string;
  readonly #receiveLag: Histogram;
  readonly #operations: Histogram;
  readonly #transactions: Counter;
  readonly #receivedBytes: Counter;
  readonly #changes: Counter;
  readonly #publishLatency: Histogram;
  readonly #publishedBytes: Counter;
  readonly #resentDropped: Counter;
  readonly #oversize: Counter;
  readonly #unusable: Readonly<Record<UnusableChange['reason'], Counter>>;
  readonly #retries: Readonly<Record<RetryReason, Counter>>;
  readonly #fenced: Counter;
  readonly #reconnects: Counter;
  readonly #publishStage: Histogram;
  readonly #publishLag = new RecentHighest();
  readonly #pauses: Readonly<Record<PauseCause, PausedTime>>;
  /** Changes of the transaction that is being received. */
  #open = 0;

  constructor(telemetry: Telemetry, clock: Clock, source: string) {
    const { metrics } = telemetry;
    const own = { source };
    const received = 'electric.postgres.replication.transaction_received';
    const pause = (cause: PauseCause) =>
      new PausedTime(clock, metrics.counter('shapecast.replicator.paused.duration', { source, cause }));
    const unusable = (reason: UnusableChange['reason']) =>
      metrics.counter('shapecast.replicator.unusable_changes.count', { source, reason });
    const retries = (reason: RetryReason) =>
      metrics.counter('shapecast.replicator.publish.retries.count', { source, reason });
    this.#telemetry = telemetry;
    this.#clock = clock;
    this.#source = source;
    this.#receiveLag = metrics.histogram(`${received}.receive_lag`, own);
    this.#operations = metrics.histogram(`${received}.operations`, own);
    this.#transactions = metrics.counter(`${received}.count`, own);
    this.#receivedBytes = metrics.counter(`${received}.bytes`, own);
    this.#changes = metrics.counter('shapecast.replicator.changes.count', own);
    this.#publishLatency = metrics.histogram('shapecast.replicator.publish.latency', {});
    this.#publishedBytes = metrics.counter('shapecast.replicator.published.bytes', own);
    this.#resentDropped = metrics.counter('shapecast.replicator.resent_dropped.count', own);
    this.#oversize = metrics.counter('shapecast.replicator.oversize_rows.count', own);
    this.#unusable = { no_old_row: unusable('no_old_row'), oversize: unusable('oversize') };
    this.#retries = { conflict: retries('conflict'), unavailable: retries('unavailable') };
    this.#fenced = metrics.counter('shapecast.replicator.fenced.count', own);
    this.#reconnects = metrics.counter('shapecast.replicator.reconnects.count', { source, server: 'postgres' });
    this.#publishStage = metrics.histogram('shapecast.e2e.stage', { source, stage: 'publish' });
    this.#pauses = { publish_window: pause('publish_window'), limit: pause('limit') };
  }

  get telemetry(): Telemetry {
    return this.#telemetry;
  }

  get source(): string {
    return this.#source;
  }

  /** Of one leadership. */
  traces(): TransactionTraces {
    return new TransactionTraces(this.#telemetry.tracing, this.#clock, this.#source);
  }

  /** Parts have come from Postgres, in the order of commits; `bytes` in all, where that is known. */
  received(parts: readonly TransactionPart[], bytes = 0): void {
    const now = wallTime(this.#clock);
    let changes = 0;
    for (const part of parts) {
      if (part.begin) this.#open = 0;
      this.#open += part.changes.length;
      changes += part.changes.length;
      if (!part.commit) continue;
      this.#transactions.add();
      this.#operations.record(this.#open);
      this.#receiveLag.record(now - Number(part.commitTimeUs) / 1_000);
      this.#open = 0;
    }
    this.#changes.add(changes);
    this.#receivedBytes.add(bytes);
  }

  /** So many operations were sent again by Postgres, and are in the tx stream already. */
  resent(operations: number): void {
    this.#resentDropped.add(operations);
  }

  /** A change does not say what rows it is about, so shapes of its table rotate. */
  unusable(reason: UnusableChange['reason'], rows = 1): void {
    this.#unusable[reason].add(rows);
    if (reason === 'oversize') this.#oversize.add(rows);
  }

  /** A record was acknowledged so long after it was sent last. */
  published(bytes: number, latencyMs: number): void {
    this.#publishedBytes.add(bytes);
    this.#publishLatency.record(latencyMs);
  }

  republished(records: number, reason: RetryReason): void {
    this.#retries[reason].add(records);
  }

  /** The latest transaction whose way was looked at was in the tx stream so long after its commit. */
  publishLag(lagMs: number): void {
    this.#publishStage.record(lagMs);
    this.#publishLag.note(lagMs, this.#clock.now());
  }

  /** The highest of the last seconds; undefined when nothing was stored. */
  get publishLagMs(): number | undefined {
    return this.#publishLag.at(this.#clock.now());
  }

  paused(cause: PauseCause): PausedTime {
    return this.#pauses[cause];
  }

  /** Now and then, for what goes on for long. */
  tick(): void {
    this.#pauses.publish_window.tick();
    this.#pauses.limit.tick();
  }

  fenced(): void {
    this.#fenced.add();
  }

  /** A connection to Postgres was made after another one had ended. */
  reconnected(): void {
    this.#reconnects.add();
  }

  tookOver(reason: TakeoverReason, durationMs: number): void {
    this.#telemetry.metrics.histogram('shapecast.replicator.takeover.duration', { reason }).record(durationMs);
  }

  publicationChanged({ action, ok }: PublicationAction): void {
    const name = ok ? 'shapecast.publication.actions.count' : 'shapecast.publication.errors.count';
    this.#telemetry.metrics.counter(name, { source: this.#source, action }).add();
  }

  /** What the source wanted was held back because it has used up what it may. */
  limited(axis: string): void {
    this.#telemetry.metrics.counter('shapecast.tenant.refused.count', { source: this.#source, axis }).add();
  }
}
