/** Seconds of the rate that may be used at once. */
const BURST_S = 5;

/**
 * Lets through so much in a second, and for a moment more. The rate is given with every call, since it changes with the limit and
 * with the number of processes that share it. Moments are milliseconds of `Clock.now`.
 */
export class TokenBucket {
  /** Below zero after more was used than there was. */
  #tokens = Infinity;
  #at = -Infinity;

  /** Whether `amount` was there, and then it is taken. */
  take(now: number, rate: number, amount: number): boolean {
    this.#refill(now, rate);
    if (this.#tokens < amount) return false;
    this.#tokens -= amount;
    return true;
  }

  /** What was used whether it was there or not. */
  use(now: number, rate: number, amount: number): void {
    this.#refill(now, rate);
    this.#tokens -= amount;
  }

  /** Of what was taken and not used after all. */
  giveBack(amount: number): void {
    this.#tokens += amount;
  }

  /** Milliseconds until `amount` is there; 0 when it is. */
  waitMs(now: number, rate: number, amount: number): number {
    this.#refill(now, rate);
    return this.#tokens >= amount ? 0 : Math.ceil(((amount - this.#tokens) / rate) * 1_000);
  }

  #refill(now: number, rate: number): void {
    const burst = Math.max(1, rate * BURST_S);
    // A clock that went back gives nothing.
    const passed = this.#at === -Infinity ? Infinity : Math.max(0, now - this.#at);
    this.#tokens = Math.min(burst, this.#tokens + (passed === Infinity ? burst : (passed / 1_000) * rate));
    this.#at = now;
  }
}

const SLOTS = 5;

/** How much of something there was in a second, over the last few. */
export class RecentRate {
  readonly #slots = new Float64Array(SLOTS);
  /** Second of the newest slot, since 1970. */
  #second = 0;

  add(now: number, amount: number): void {
    const second = this.#turn(now);
    const slot = second % SLOTS;
    this.#slots[slot] = (this.#slots[slot] as number) + amount;
  }

  /** Over the seconds before the one that is not over. */
  perSecond(now: number): number {
    const second = this.#turn(now);
    let sum = 0;
    for (let slot = 0; slot < SLOTS; slot += 1) if (slot !== second % SLOTS) sum += this.#slots[slot] as number;
    return sum / (SLOTS - 1);
  }

  #turn(now: number): number {
    const second = Math.max(this.#second, Math.floor(now / 1_000));
    const passed = Math.min(SLOTS, second - this.#second);
    for (let i = 0; i < passed; i += 1) this.#slots[(second - i) % SLOTS] = 0;
    this.#second = second;
    return second;
  }
}
