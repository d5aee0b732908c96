/** Wake-up hints: lossy, possibly doubled and reordered (spec R 14.2). Nothing correct depends on one. */
export interface Hints {
  publish(subject: string, payload: Uint8Array): void;
  /**
   * A subject that ends in `.*` stands for all with any one word there. The returned function unsubscribes. `onGap` is called after hints may have
   * been lost (a reconnect): re-check everything.
   */
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
  /**
   * Frames that one of the servers of a subject sends, in order and without gaps; asked for when the iteration starts.
   * `timeoutMs` bounds the wait for each frame, the first included. Throws NOT_READY when nobody serves the subject, a frame is
   * late or lost, or the server goes away before its end; or the server's own ShapecastError, also after some frames. Leaving
   * the loop early, or aborting `signal`, cancels the server's work. A few frames travel ahead of the consumer and no more.
   */
  stream(
    subject: string,
    request: unknown,
    options: { readonly timeoutMs: number; readonly signal: AbortSignal },
  ): AsyncIterable<Uint8Array>;
  /**
   * One of the servers of a subject gets each request and answers with frames, best of 64 to 512 KiB; larger ones, up to
   * 128 MiB, travel in pieces. The handler is asked for the next frame only while the consumer has room for it. `signal` aborts
   * when the consumer left, is silent for 15 s, takes nothing for 30 s, or when the returned function was called.
   */
  serveStream(subject: string, handler: StreamHandler): () => void;
}

export type StreamHandler = (request: unknown, signal: AbortSignal) => AsyncIterable<Uint8Array>;
