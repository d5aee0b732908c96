import type { Clock } from './clock.ts';

export interface BackoffOptions {
  readonly minMs: number;
  readonly maxMs: number;
}

/** Exponential backoff with full jitter over the upper half: attempt n waits within [d/2, d), d = min x 2^n up to max. */
export class Backoff {
  readonly #clock: Clock;
  readonly #options: BackoffOptions;
  #attempt = 0;

  constructor(clock: Clock, options: BackoffOptions) {
    this.#clock = clock;
    this.#options = options;
  }

  /** Attempts since the last reset. */
  get attempt(): number {
    return this.#attempt;
  }

  nextDelayMs(): number {
    const full = Math.min(this.#options.maxMs, this.#options.minMs * 2 ** Math.min(this.#attempt, 30));
    this.#attempt += 1;
    return full / 2 + (this.#clock.random() * full) / 2;
  }

  async wait(signal: AbortSignal): Promise<void> {
    await this.#clock.sleep(this.nextDelayMs(), signal);
  }

  reset(): void {
    this.#attempt = 0;
  }
}
