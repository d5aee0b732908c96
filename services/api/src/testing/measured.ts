import {
  METRICS,
  Metrics,
  type MetricName,
  type Sample,
  type Span,
  type SpanAttributes,
  type SpanStart,
  type Telemetry,
  type Tracing,
} from '@shapecast/telemetry';

/** A span as a test sees it. */
export interface RecordedSpan {
  readonly name: string;
  readonly start: SpanStart;
  readonly traceparent: string;
  readonly attributes: SpanAttributes;
  readonly failure: unknown;
  readonly endMs: number | undefined;
}

/** Telemetry that a test can look into. `tracing` takes every span there is. */
export class Measured implements Telemetry {
  readonly metrics = new Metrics();
  readonly tracing: Tracing;
  /** Those that have ended, in that order. */
  readonly spans: RecordedSpan[] = [];
  #started = 0;

  constructor(options: { readonly tracing?: boolean } = {}) {
    this.tracing = { enabled: options.tracing === true, start: (name, start = {}) => this.#span(name, start) };
  }

  /** Sum over all series of a metric that have these labels; how often, for a histogram. Undefined: there is none. */
  value(name: MetricName, labels: Readonly<Record<string, string>> = {}): number | undefined {
    const found = this.#find(name, labels);
    if (found.length === 0) return undefined;
    return found.reduce(
      (sum, { value, counts = [] }) => sum + (value ?? counts.reduce((all, count) => all + count, 0)),
      0,
    );
  }

  /** Of what a histogram was told. */
  sum(name: MetricName, labels: Readonly<Record<string, string>> = {}): number {
    return this.#find(name, labels).reduce((all, { sum = 0 }) => all + sum, 0);
  }

  #find(name: MetricName, labels: Readonly<Record<string, string>>): readonly Sample[] {
    const names: readonly string[] = METRICS[name].labels;
    return this.metrics
      .collect()
      .filter((sample) => sample.name === name)
      .filter((sample) =>
        Object.entries(labels).every(([label, value]) => sample.labels[names.indexOf(label)] === value),
      );
  }

  #span(name: string, start: SpanStart): Span {
    let attributes = start.attributes ?? {};
    let failure: unknown;
    this.#started += 1;
    const traceparent = `00-${'a'.repeat(32)}-${String(this.#started).padStart(16, '0')}-01`;
    return {
      recorded: true,
      traceparent,
      set: (more) => void (attributes = { ...attributes, ...more }),
      fail: (err) => void (failure = err),
      end: (endMs) => void this.spans.push({ name, start, traceparent, attributes, failure, endMs }),
    };
  }
}
