import type { Span, SpanAttributes, SpanStart, Tracing } from '@shapecast/telemetry';

export interface TestSpan {
  readonly name: string;
  readonly start: SpanStart;
  readonly attributes: SpanAttributes;
  readonly failed: boolean;
  readonly ended: boolean;
}

/** Traces everything and keeps it; spans are in the order in which they began. */
export class TestTracing implements Tracing {
  readonly enabled = true;
  readonly spans: TestSpan[] = [];

  start(name: string, start: SpanStart = {}): Span {
    const own = { name, start, attributes: { ...start.attributes }, failed: false, ended: false };
    this.spans.push(own);
    const number = String(this.spans.length).padStart(16, '0');
    return {
      recorded: true,
      traceparent: `00-${'a'.repeat(32)}-${number}-01`,
      set: (attributes) => void Object.assign(own.attributes, attributes),
      fail: () => (own.failed = true),
      end: () => (own.ended = true),
    };
  }

  named(name: string): TestSpan[] {
    return this.spans.filter((span) => span.name === name);
  }
}
