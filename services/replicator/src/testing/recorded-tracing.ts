import { NO_SPAN, type Span, type SpanAttributes, type SpanStart, type Tracing } from '@shapecast/telemetry';

/** A span that was started, as a test looks at it. */
export interface RecordedSpan {
  readonly name: string;
  readonly start: SpanStart;
  readonly traceparent: string;
  attributes: SpanAttributes;
  error: unknown;
  /** How often it was ended: once is right. */
  ends: number;
}

/** Keeps the spans of transactions that `sampled` picks, and of all that belongs to them. */
export class RecordedTracing implements Tracing {
  readonly spans: RecordedSpan[] = [];
  enabled = true;
  /** Asked for every trace that begins. */
  sampled: (name: string) => boolean = () => true;
  /** How often it was asked for a span. */
  starts = 0;

  start(name: string, start: SpanStart = {}): Span {
    this.starts += 1;
    if (start.parent === undefined && !this.sampled(name)) return NO_SPAN;
    const id = String(this.spans.length + 1).padStart(16, '0');
    const traceparent = `00-${id.padStart(32, '0')}-${id}-01`;
    const recorded: RecordedSpan = {
      ...{ name, start, traceparent, attributes: start.attributes ?? {}, error: undefined, ends: 0 },
    };
    this.spans.push(recorded);
    return {
      recorded: true,
      traceparent,
      set: (attributes) => void (recorded.attributes = { ...recorded.attributes, ...attributes }),
      fail: (err) => void (recorded.error = err),
      end: () => void (recorded.ends += 1),
    };
  }

  named(name: string): readonly RecordedSpan[] {
    return this.spans.filter((span) => span.name === name);
  }
}
