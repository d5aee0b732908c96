import type { Clock } from '@shapecast/service-kit';

/** What an unused second is good for; more does not add up. */
const BURST_MS = 1_000;

/** Keeps the bytes that all who share it pass on below a rate, by making them wait (spec O 3.2). */
export class ByteRate {
  readonly #clock: Clock;
  readonly #bytesPerSecond: () => number;
  /** When all that was let through so far would have passed at the rate. */
  #passedAt = -Infinity;
  #second = { since: -Infinity, bytes: 0, before: 0 };
  #waits = 0;

  /** The rate may change at any time. */
  constructor(clock: Clock, bytesPerSecond: () => number) {
    this.#clock = clock;
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** Bytes that were passed on in the last whole second. */
  get bytesPerSecond(): number {
    this.#count(0);
    return this.#second.before;
  }

  /** How often somebody had to wait. */
  get waits(): number {
    return this.#waits;
  }

  /** Resolves when the caller may go on after `bytes`. In the order of the calls. */
  async pass(bytes: number, signal: AbortSignal): Promise<void> {
    const now = this.#clock.now();
    this.#count(bytes);
    const from = Math.max(this.#passedAt, now - BURST_MS);
    this.#passedAt = from + (bytes * 1_000) / this.#bytesPerSecond();
    if (this.#passedAt <= now) return;
    this.#waits += 1;
    await this.#clock.sleep(this.#passedAt - now, signal);
  }

  #count(bytes: number): void {
    const passedMs = this.#clock.now() - this.#second.since;
    if (passedMs >= 1_000) {
      const before = passedMs < 2_000 ? this.#second.bytes : 0;
      this.#second = { since: this.#clock.now(), bytes: 0, before };
    }
    this.#second.bytes += bytes;
  }
}
