import { wallTime, type Clock } from '@shapecast/service-kit';
import type { ShardId, WriteOutcome } from '@shapecast/shape-store';
import type { Step, StepResult } from '../matching/step.ts';
import type { SourceMetrics } from './source-metrics.ts';
import { traceStep } from './step-trace.ts';

/** Measures the steps of one shard: a few readings of the clock for each, whatever is in it. */
export class StepMeter {
  readonly #metrics: SourceMetrics;
  readonly #clock: Clock;
  readonly #shard: ShardId;
  /** What matching the step at hand took so far, and when it was begun. */
  #matchMs = 0;
  #beganMs = 0;
  #committedMs: number | undefined;

  constructor(deps: { readonly metrics: SourceMetrics; readonly clock: Clock }, shard: ShardId) {
    this.#metrics = deps.metrics;
    this.#clock = deps.clock;
    this.#shard = shard;
  }

  /** When the newest transaction that became visible committed, in milliseconds since 1970. */
  get committedMs(): number | undefined {
    return this.#committedMs;
  }

  /** What is matched from now on belongs to another step. */
  begin(): void {
    this.#matchMs = 0;
    this.#beganMs = wallTime(this.#clock);
  }

  /** Does what belongs to matching the step at hand. */
  match<T>(work: () => T): T {
    const startedAt = performance.now();
    try {
      return work();
    } finally {
      this.#matchMs += performance.now() - startedAt;
    }
  }

  /** Has a step written. */
  async append(step: Step, result: StepResult, write: () => Promise<WriteOutcome>): Promise<WriteOutcome> {
    const { entries, transactions } = result.batch;
    const about = { traces: step.traces, entries: entries.length, shapes: result.touched.size, transactions };
    const trace = traceStep(this.#metrics.tracing, this.#shard, about, this.#beganMs);
    const sentAt = performance.now();
    let outcome: WriteOutcome;
    try {
      outcome = await write();
    } catch (err) {
      trace?.fail(err);
      throw err;
    }
    trace?.end(outcome);
    if (outcome !== 'ok') {
      this.#metrics.conflicted(outcome);
      return outcome;
    }
    this.#metrics.applied({
      transactions: transactions.length,
      entries: entries.length,
      bytes: step.bytes,
      shapes: result.touched.size,
      matchMs: this.#matchMs,
      applyMs: performance.now() - sentAt,
      oldest: step.oldest,
    });
    if (step.commitTimeUs !== undefined) this.#committedMs = Number(step.commitTimeUs) / 1_000;
    return outcome;
  }
}
