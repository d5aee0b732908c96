/** A share of its bytes that a source is brought below once it had more: what is refused and what is ended must not alternate. */
const ENOUGH = 0.95;

/**
 * How much of its bytes in the store a source has used (spec R 12.6.1): over the limit shapes end, and until it is well below again none
 * begins.
 */
export class RedisRoom {
  readonly #limit: () => number | undefined;
  #used: number | undefined;
  #full = false;

  constructor(limit: () => number | undefined) {
    this.#limit = limit;
  }

  /** As it was found last; undefined before. */
  get used(): number | undefined {
    return this.#used;
  }

  /** No shape may begin. */
  get full(): boolean {
    return this.#full && this.#limit() !== undefined;
  }

  /** It was found to be so much. Returns how much too much it is. */
  found(used: number): number {
    const limit = this.#limit();
    this.#used = used;
    if (limit === undefined) {
      this.#full = false;
      return 0;
    }
    const target = limit * ENOUGH;
    this.#full = used > (this.#full ? target : limit);
    return this.#full ? used - target : 0;
  }
}
