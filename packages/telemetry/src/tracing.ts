export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

export interface SpanStart {
  /** What this is a part of: a span of this process, or a W3C `traceparent` from elsewhere. Absent: a trace of its own. */
  readonly parent?: Span | string | undefined;
  /** What it has to do with without being a part of it: one transaction is told to thousands of requests (spec D O5). */
  readonly links?: readonly string[];
  readonly kind?: 'internal' | 'server' | 'client' | 'producer' | 'consumer';
  readonly attributes?: SpanAttributes;
  /** Milliseconds since 1970; now when absent. */
  readonly startMs?: number;
  /** Rare, and worth a look whenever it happens: the beginning of a trace is not left to chance. */
  readonly keep?: boolean;
}

/** One step of a trace. Every span that is started is ended once; after that it takes nothing more. */
export interface Span {
  /** Goes to somebody. Where computing an attribute costs something, ask first. */
  readonly recorded: boolean;
  /** For what comes after it in other processes; undefined when it is not recorded. */
  readonly traceparent: string | undefined;
  set(attributes: SpanAttributes): void;
  /** What went wrong; the span still has to be ended. */
  fail(err: unknown): void;
  end(endMs?: number): void;
}

/**
 * Traces of transactions and requests. Contexts are handed over in the open, as `parent`, and not by the call stack: work on a
 * transaction is shared by batches that have no stack of their own.
 */
export interface Tracing {
  /** Whether spans go anywhere at all. */
  readonly enabled: boolean;
  start(name: string, start?: SpanStart): Span;
}

export const NO_SPAN: Span = {
  recorded: false,
  traceparent: undefined,
  set: () => undefined,
  fail: () => undefined,
  end: () => undefined,
};

export const NO_TRACING: Tracing = { enabled: false, start: () => NO_SPAN };
