const HALF_MS = 5_000;

/**
 * The highest of the last ten seconds, or of somewhat less: there are two halves, and the older one is forgotten as a whole. Costs no
 * timer and no list, whoever notes and however often.
 */
export class RecentHighest {
  #since = -Infinity;
  #highest: number | undefined;
  #before: number | undefined;

  note(value: number, now: number): void {
    this.#turn(now);
    if (this.#highest === undefined || value > this.#highest) this.#highest = value;
  }

  /** Undefined when nothing was noted. */
  at(now: number): number | undefined {
    this.#turn(now);
    if (this.#highest === undefined) return this.#before;
    return this.#before === undefined ? this.#highest : Math.max(this.#highest, this.#before);
  }

  #turn(now: number): void {
    const halves = Math.floor((now - this.#since) / HALF_MS);
    if (halves < 1) return;
    this.#before = halves === 1 ? this.#highest : undefined;
    this.#highest = undefined;
    this.#since = now;
  }
}
