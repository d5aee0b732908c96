import { BatchSpanProcessor, type ReadableSpan, type SpanExporter, type SpanProcessor } from '@opentelemetry/sdk-trace';
import type { Counter } from '../metrics.ts';
import type { Exports } from './exports.ts';

interface SpanQueueOptions {
  /** Spans of answers without news are left out. */
  readonly dropEmpty: boolean;
}

/** Spans that wait, and spans on their way, together. At the bound new ones are given up and counted. */
const MAX_PENDING = 4_096;
const MAX_BATCH = 512;
const DELAY_MS = 1_000;

/**
 * Spans on their way to the collector. It decides what is given up where the batches of the SDK would drop it without a count: at the
 * bound, and when a push has failed.
 */
export class SpanQueue implements SpanProcessor {
  readonly #batches: BatchSpanProcessor;
  readonly #full: Counter;
  readonly #options: SpanQueueOptions;
  #pending = 0;

  constructor(
    exporter: SpanExporter,
    { exports, full, failed }: { readonly exports: Exports; readonly full: Counter; readonly failed: Counter },
    options: SpanQueueOptions,
  ) {
    this.#full = full;
    this.#options = options;
    const counting: SpanExporter = {
      export: (spans, done) =>
        exporter.export(spans, (result) => {
          this.#pending -= spans.length;
          exports.ended('spans', result, failed, spans.length);
          // Batches would throw what they are told; it is counted and logged by now.
          done({ code: 0 });
        }),
      forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve(),
      shutdown: () => exporter.shutdown(),
    };
    const sizes = { maxQueueSize: MAX_PENDING, maxExportBatchSize: MAX_BATCH, scheduledDelayMillis: DELAY_MS };
    this.#batches = new BatchSpanProcessor({ exporter: counting, ...sizes });
  }

  onStart(): void {
    // What a span is, is known at its end.
  }

  onEnd(span: ReadableSpan): void {
    // The reference marks answers without news with a rate of 0 (spec O 6.4).
    if (this.#options.dropEmpty && span.attributes['SampleRate'] === 0) return;
    if (this.#pending >= MAX_PENDING) return this.#full.add();
    this.#pending += 1;
    this.#batches.onEnd(span);
  }

  forceFlush(): Promise<void> {
    return this.#batches.forceFlush();
  }

  shutdown(): Promise<void> {
    return this.#batches.shutdown();
  }
}
