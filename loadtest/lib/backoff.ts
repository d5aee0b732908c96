/** As the official client does: full jitter, and never sooner than the service said. */
export class Backoff {
  #delayMs = 100;

  /** Milliseconds until the next attempt. */
  next(retryAfterSeconds: number | undefined): number {
    const jittered = Math.random() * this.#delayMs;
    this.#delayMs = Math.min(this.#delayMs * 1.3, 60_000);
    const atLeast = (retryAfterSeconds ?? 0) * 1_000;
    return atLeast === 0 ? jittered : atLeast + Math.random() * atLeast * 0.5;
  }

  succeeded(): void {
    this.#delayMs = 100;
  }
}
