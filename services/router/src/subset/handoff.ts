/**
 * Hands things from one who pushes to one who pulls, one at a time: a push is over when the thing was taken. So nothing piles
 * up between the two, and what the puller does not want is not made.
 */
export class Handoff<T> implements AsyncIterable<T> {
  #offered: { readonly value: T; readonly taken: () => void; readonly refused: (reason: Error) => void } | undefined;
  #ended: { readonly error?: unknown } | undefined;
  #closed: Error | undefined;
  #wake: (() => void) | undefined;

  /** Resolves when `value` was taken; rejects with the reason when the puller closed. One call at a time. */
  put(value: T): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(this.#closed);
      this.#offered = { value, taken: resolve, refused: reject };
      this.#wake?.();
    });
  }

  /** Nothing more comes, or nothing more because of an error. */
  end(outcome: { readonly error?: unknown } = {}): void {
    this.#ended = outcome;
    this.#wake?.();
  }

  /** Nothing more is taken. */
  close(reason: Error): void {
    this.#closed = reason;
    this.#offered?.refused(reason);
    this.#offered = undefined;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    for (;;) {
      const offered = this.#offered;
      if (offered) {
        this.#offered = undefined;
        offered.taken();
        yield offered.value;
      } else if (this.#ended) {
        if ('error' in this.#ended) throw this.#ended.error;
        return;
      } else {
        await new Promise<void>((resolve) => (this.#wake = resolve));
        this.#wake = undefined;
      }
    }
  }
}
