import type { ReadableSpan, SpanProcessor } from '@opentelemetry/sdk-trace';
import type { Logger } from '@shapecast/service-kit';

/** Writes spans to the log as they end (ELECTRIC_OTEL_DEBUG). */
export function printedSpans(log: Logger): SpanProcessor {
  return {
    onStart() {},
    onEnd(span: ReadableSpan) {
      const { traceId: trace_id, spanId: span_id } = span.spanContext();
      const [seconds, nanoseconds] = span.duration;
      const fields = { trace_id, span_id, parent_span_id: span.parentSpanContext?.spanId, span: span.name };
      const durationMs = seconds * 1_000 + nanoseconds / 1e6;
      const links = span.links.map(({ context }) => context.traceId);
      log.info({ ...fields, durationMs, attributes: span.attributes, links }, 'span ended');
    },
    forceFlush: () => Promise.resolve(),
    shutdown: () => Promise.resolve(),
  };
}
