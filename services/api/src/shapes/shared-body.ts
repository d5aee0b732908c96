/** Bytes that are read once and sent by many, each at its own speed, also while they are still being read. */
export class SharedBody {
  readonly #pieces: Uint8Array[] = [];
  #bytes = 0;
  #state: 'growing' | 'complete' | 'failed' = 'growing';
  #failure: unknown;
  /** Resolves with the next change; only there while somebody waits for it. */
  #change: PromiseWithResolvers<void> | undefined;

  get bytes(): number {
    return this.#bytes;
  }

  get growing(): boolean {
    return this.#state === 'growing';
  }

  /** Undefined until it is complete. */
  get whole(): readonly Uint8Array[] | undefined {
    return this.#state === 'complete' ? this.#pieces : undefined;
  }

  add(piece: Uint8Array): void {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
    this.#changed();
  }

  complete(): void {
    this.#state = 'complete';
    this.#changed();
  }

  /** Those who read it get what there is, and then the error. */
  fail(error: unknown): void {
    this.#state = 'failed';
    this.#failure = error;
    this.#changed();
  }

  async *read(): AsyncGenerator<Uint8Array> {
    for (let at = 0; ; at += 1) {
      while (at === this.#pieces.length) {
        if (this.#state === 'complete') return;
        if (this.#state === 'failed') throw this.#failure;
        this.#change ??= Promise.withResolvers();
        await this.#change.promise;
      }
      yield this.#pieces[at] as Uint8Array;
    }
  }

  #changed(): void {
    this.#change?.resolve();
    this.#change = undefined;
  }
}
