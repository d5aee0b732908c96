/** What a process does about its memory. */
export interface MemoryRemedy {
  /** Part of its prefetch that it may use. */
  readonly share: number;
  /** Shards that it has the memory for; undefined: any number. */
  readonly most: number | undefined;
}

const HIGH = 0.85;
const LOW = 0.7;
const SMALLEST_SHARE = 1 / 8;
/** Looks of which the lowest counts: a heap is full of garbage right before it is collected. */
const LOOKS = 5;
/** Looks with room to spare, in a row, until one step is taken back. */
const CALM_LOOKS = 30;

/**
 * What becomes of a heap that fills up (spec O 3.3, F132): first less is read ahead, then shards go to other routers, one at a time.
 * Taken back step by step, and slowly, so that shards do not go to and fro.
 */
export class MemoryPressure {
  #recent: number[] = [];
  #calm = 0;
  #share = 1;
  #most: number | undefined;

  /** `use` is how much of the heap's limit is used, `shards` how many this process holds. */
  look(use: number, shards: number): MemoryRemedy {
    this.#recent = [...this.#recent, use].slice(-LOOKS);
    const lowest = this.#recent.length < LOOKS ? 0 : Math.min(...this.#recent);
    this.#calm = lowest < LOW ? this.#calm + 1 : 0;
    if (lowest > HIGH) {
      // What comes of it shows after as many looks.
      this.#recent = [];
      if (this.#share > SMALLEST_SHARE) this.#share /= 2;
      else this.#most = Math.max(1, Math.min(this.#most ?? Infinity, shards) - 1);
    } else if (this.#calm >= CALM_LOOKS) {
      this.#calm = 0;
      if (this.#most !== undefined) this.#most = this.#most > shards ? undefined : this.#most + 1;
      else this.#share = Math.min(1, 2 * this.#share);
    }
    return { share: this.#share, most: this.#most };
  }
}
