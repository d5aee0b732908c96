/** Where an entry comes from, for whoever measures how long entries take to get to readers. Nothing else depends on it. */
export interface EntryOrigin {
  /** When its transaction committed, in milliseconds since 1970 by the clock of Postgres. */
  readonly committedMs: number;
  /** When that was stored in the tx stream, by the clock of the stream. */
  readonly publishedMs: number;
  /** W3C trace context of its transaction, if that is traced. */
  readonly traceparent?: string | undefined;
}

/** Of the newest entry of a log: kept with the head of the shape, so that readers who measure need not ask for more. */
export interface AppliedNote extends EntryOrigin {
  /** When the step with it was sent to the store, by the clock of the router. */
  readonly appliedMs: number;
}
