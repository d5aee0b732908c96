import {
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Context,
  type Span as ApiSpan,
  type SpanContext,
  type Tracer,
} from '@opentelemetry/api';
import { withoutCredentials } from '@shapecast/service-kit';
import { encodeTraceparent, parseTraceparent, type TraceParent } from '../traceparent.ts';
import { NO_SPAN, type Span, type SpanAttributes, type SpanStart, type Tracing } from '../tracing.ts';
import type { Sampling } from './sampling.ts';

interface SdkTracingOptions {
  readonly sampling: Sampling;
  /** Names of spans that are left out; what would be below them hangs on what is above them. */
  readonly exclude: ReadonlySet<string>;
}

const KINDS: Readonly<Record<NonNullable<SpanStart['kind']>, SpanKind>> = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
};
const MAX_MESSAGE = 500;

/**
 * Spans by the API of OpenTelemetry. The context is always the one that is given, never that of the call stack; so nothing of the SDK
 * has to be registered for the whole process, and a thread can have its own.
 */
export class SdkTracing implements Tracing {
  readonly enabled = true;
  readonly #tracer: Tracer;
  readonly #options: SdkTracingOptions;

  constructor(tracer: Tracer, options: SdkTracingOptions) {
    this.#tracer = tracer;
    this.#options = options;
  }

  start(name: string, { parent, links, kind, attributes, startMs, keep }: SpanStart = {}): Span {
    // What belongs to a span that is not recorded is not recorded either; it is not the beginning of a trace.
    if (parent === NO_SPAN) return NO_SPAN;
    const traceparent = typeof parent === 'object' ? parent.traceparent : parent;
    const above = traceparent === undefined ? undefined : parseTraceparent(traceparent);
    if (this.#options.exclude.has(name)) return above === undefined ? NO_SPAN : { ...NO_SPAN, traceparent };
    if (!this.#options.sampling(above, keep)) return NO_SPAN;
    const span = this.#tracer.startSpan(
      name,
      {
        kind: KINDS[kind ?? 'internal'],
        ...(attributes === undefined ? {} : { attributes }),
        ...(links === undefined ? {} : { links: links.flatMap(linkTo) }),
        ...(startMs === undefined ? {} : { startTime: startMs }),
      },
      above === undefined ? ROOT_CONTEXT : below(above, parent),
    );
    return new SdkSpan(span);
  }
}

class SdkSpan implements Span {
  readonly recorded = true;
  readonly traceparent: string;
  readonly #span: ApiSpan;

  constructor(span: ApiSpan) {
    const { traceId, spanId } = span.spanContext();
    this.#span = span;
    this.traceparent = encodeTraceparent({ traceId, spanId, sampled: true });
  }

  set(attributes: SpanAttributes): void {
    this.#span.setAttributes(attributes);
  }

  fail(err: unknown): void {
    const message = withoutCredentials(err instanceof Error ? err.message : String(err)).slice(0, MAX_MESSAGE);
    this.#span.setStatus({ code: SpanStatusCode.ERROR, message });
    this.#span.setAttribute('error.type', errorType(err));
  }

  end(endMs?: number): void {
    this.#span.end(endMs);
  }
}

/** Codes are what errors are told apart by; names where there is none. */
function errorType(err: unknown): string {
  if (!(err instanceof Error)) return typeof err;
  return 'code' in err && typeof err.code === 'string' ? err.code : err.name;
}

function below(above: TraceParent, parent: Span | string | undefined): Context {
  return trace.setSpanContext(ROOT_CONTEXT, spanContext(above, typeof parent === 'string'));
}

function linkTo(traceparent: string): readonly { readonly context: SpanContext }[] {
  const parsed = parseTraceparent(traceparent);
  return parsed === undefined ? [] : [{ context: spanContext(parsed, true) }];
}

function spanContext({ traceId, spanId, sampled }: TraceParent, isRemote: boolean): SpanContext {
  return { traceId, spanId, traceFlags: sampled ? TraceFlags.SAMPLED : TraceFlags.NONE, isRemote };
}
