/** Where a span stands, as it goes over the wire (W3C Trace Context, version 00). */
export interface TraceParent {
  readonly traceId: string;
  readonly spanId: string;
  readonly sampled: boolean;
}

/** Later versions begin alike, and may go on after the flags. */
const FORM = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-|$)/;

/** Undefined for what is none: then the trace begins here. */
export function parseTraceparent(text: string): TraceParent | undefined {
  const match = FORM.exec(text);
  if (match === null) return undefined;
  const [, traceId, spanId, flags] = match as unknown as readonly [string, string, string, string];
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

export function encodeTraceparent({ traceId, spanId, sampled }: TraceParent): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;
}

/** What binds a log line to a trace; nothing for a span that is not recorded. */
export function traceFields(span: { readonly traceparent: string | undefined }): {
  readonly trace_id?: string;
  readonly span_id?: string;
} {
  const parsed = span.traceparent === undefined ? undefined : parseTraceparent(span.traceparent);
  return parsed === undefined ? {} : { trace_id: parsed.traceId, span_id: parsed.spanId };
}
