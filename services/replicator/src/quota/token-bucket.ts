import type { Clock } from '@shapecast/service-kit';

/** So many seconds' worth may be used at once. */
const BURST_S = 5;
/** A limit that is raised, or taken away, is noticed within this time. */
const LONGEST_WAIT_MS = 500;

/**
 * A rate, kept by making whoever exceeded it wait: `spend` never refuses and may leave a debt, `wait` lasts until that is paid. So a
 * single large piece passes, and what comes after it waits the longer.
 */
export class TokenBucket {
  readonly #clock: Clock;
  #perSecond: number | undefined;
  #level = 0;
  #at: number;

  /** `perSecond`: undefined for no limit. */
  constructor(clock: Clock, perSecond?: number) {
    this.#clock = clock;
    this.#at = clock.now();
    this.limit(perSecond);
  }

  get perSecond(): number | undefined {
    return this.#perSecond;
  }

  limit(perSecond: number | undefined): void {
    if (perSecond === this.#perSecond) return;
    this.#perSecond = perSecond;
    this.#level = (perSecond ?? 0) * BURST_S;
    this.#at = this.#clock.now();
  }

  spend(amount: number): void {
    this.#refill();
    this.#level -= amount;
  }

  /** Milliseconds until there is no debt. */
  get debtMs(): number {
    if (this.#perSecond === undefined) return 0;
    this.#refill();
    return this.#level >= 0 ? 0 : Math.ceil((-this.#level / this.#perSecond) * 1_000);
  }

  /** False when `signal` aborted first. */
  async wait(signal: AbortSignal): Promise<boolean> {
    for (let ms = this.debtMs; ms > 0; ms = this.debtMs) {
      if (signal.aborted) return false;
      await this.#clock.sleep(Math.min(ms, LONGEST_WAIT_MS), signal).catch(() => undefined);
    }
    return !signal.aborted;
  }

  #refill(): void {
    if (this.#perSecond === undefined) return;
    const now = this.#clock.now();
    const gained = ((now - this.#at) / 1_000) * this.#perSecond;
    this.#at = now;
    this.#level = Math.min(this.#level + gained, this.#perSecond * BURST_S);
  }
}
