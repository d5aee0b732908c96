import type { ShardId, WriteOutcome } from '@shapecast/shape-store';
import type { Span, Tracing } from '@shapecast/telemetry';

/** What is told of a step whose transactions are traced. */
interface TracedStep {
  /** Of its records. */
  readonly traces: readonly string[];
  readonly entries: number;
  readonly shapes: number;
  readonly transactions: readonly unknown[];
}

/** The spans of one attempt to append a step. */
interface StepTrace {
  /** The store has answered; anything but 'ok' says what stood elsewhere than expected. */
  end(outcome: WriteOutcome): void;
  fail(err: unknown): void;
}

/** Of so many at most: of many small transactions in a step, seldom more are sampled. */
const MAX_TRACES = 8;

/**
 * Begins the spans of an attempt to append a step, below each of its transactions that is traced (spec O 6.4). Undefined where none is,
 * or no shape of the shard gets anything. `startMs`: when the step began to be matched.
 */
export function traceStep(
  tracing: Tracing,
  { source, shard }: ShardId,
  { traces, entries, shapes, transactions }: TracedStep,
  startMs: number,
): StepTrace | undefined {
  if (!tracing.enabled || traces.length === 0 || entries === 0) return undefined;
  const spans: Span[] = [];
  for (const parent of traces.slice(-MAX_TRACES)) {
    const attributes = { source_id: source, shard, entries, shapes, transactions: transactions.length };
    const handled = tracing.start('shape_write.consumer.handle_txn', { parent, kind: 'consumer', startMs, attributes });
    const applied = tracing.start('router.apply', { parent: handled, attributes: { shard, entries } });
    const called = { script: 'append', shard, entries };
    const script = tracing.start('redis.script', { parent: applied, kind: 'client', attributes: called });
    // The innermost ends first.
    spans.push(script, applied, handled);
  }
  return {
    end(outcome) {
      for (const span of spans) {
        if (outcome !== 'ok') span.set({ conflict: outcome });
        span.end();
      }
    },
    fail(err) {
      for (const span of spans) {
        span.fail(err);
        span.end();
      }
    },
  };
}
