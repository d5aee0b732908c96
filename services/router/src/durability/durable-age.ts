/** For how long a shard has had what may not survive a crash of the store. */
export class DurableAge {
  #seq = -1;
  /** All that was applied until then is safe. */
  #at: number;

  constructor(now: number) {
    this.#at = now;
  }

  /** What the shard had applied at `at`, up to the sequence `seq`, is safe. */
  safe(seq: number, at: number): void {
    this.#seq = seq;
    this.#at = at;
  }

  /** Of a shard that stands at `seq`. */
  lagMs(seq: number, now: number): number {
    return seq <= this.#seq ? 0 : Math.max(0, now - this.#at);
  }
}
