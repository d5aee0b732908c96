/** Wake-up hints: lossy, possibly doubled and reordered (spec R 14.2). Nothing correct depends on one. */
export interface Hints {
  publish(subject: string, payload: Uint8Array): void;
  /** The returned function unsubscribes. `onGap` is called after hints may have been lost (a reconnect): re-check everything. */
  subscribe(subject: string, onHint: (payload: Uint8Array) => void, onGap: () => void): () => void;
}

/** Requests to whichever process serves a subject. */
export interface Rpc {
  /** Resolves with the answer. Throws NOT_READY when nobody serves the subject or `timeoutMs` passed, or the server's own ShapecastError. */
  call(
    subject: string,
    request: unknown,
    options: { readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<unknown>;
  /** One of the servers of a subject gets each request. Requests and answers are JSON values. The returned function stops serving. */
  serve(subject: string, handler: (request: unknown, signal: AbortSignal) => Promise<unknown>): () => void;
}
