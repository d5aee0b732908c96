import type { Clock } from '@shapecast/service-kit';

/** What an unused second is good for; more does not add up. */
const BURST_MS = 1_000;

/** Keeps the bytes that all who share it pass on below a rate, by making them wait (spec O 3.2). */
export class ByteRate {
  readonly #clock: Clock;
  readonly #bytesPerSecond: () => number;
  /** When all that was let through so far would have passed at the rate. */
  #passedAt = -Infinity;

  /** The rate may change at any time. */
  constructor(clock: Clock, bytesPerSecond: () => number) {
    this.#clock = clock;
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** Resolves when the caller may go on after `bytes`. In the order of the calls. */
  async pass(bytes: number, signal: AbortSignal): Promise<void> {
    const now = this.#clock.now();
    const from = Math.max(this.#passedAt, now - BURST_MS);
    this.#passedAt = from + (bytes * 1_000) / this.#bytesPerSecond();
    if (this.#passedAt > now) await this.#clock.sleep(this.#passedAt - now, signal);
  }
}
