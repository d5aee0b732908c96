import type { Clock } from './clock.ts';

/** The same complaint is not repeated more often (spec O 7.1.2). */
const REPEAT_MS = 60_000;

/**
 * Which failures of something that is tried again and again are worth a line: each kind when it comes up, and once a minute while
 * it goes on. Bounded by the number of kinds, which are few.
 */
export class Complaints {
  readonly #clock: Clock;
  readonly #told = new Map<string, number>();
  #sinceMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** For how long everything has failed; 0 while it works. */
  get failingMs(): number {
    return this.#sinceMs === undefined ? 0 : Math.max(0, this.#clock.now() - this.#sinceMs);
  }

  /** Whether this failure should be told now. */
  failed(kind: string): boolean {
    const now = this.#clock.now();
    this.#sinceMs ??= now;
    const told = this.#told.get(kind);
    if (told !== undefined && now - told < REPEAT_MS && now >= told) return false;
    this.#told.set(kind, now);
    return true;
  }

  /** It works. True when it did not before: whatever fails next is news. */
  worked(): boolean {
    const recovered = this.#sinceMs !== undefined;
    this.#sinceMs = undefined;
    this.#told.clear();
    return recovered;
  }
}
