import type { Clock } from '@shapecast/service-kit';
import type { Counter } from '@shapecast/telemetry';

/** Counts for how long something stands still. */
export class PausedTime {
  readonly #clock: Clock;
  readonly #counter: Counter;
  #since: number | undefined;

  constructor(clock: Clock, counter: Counter) {
    this.#clock = clock;
    this.#counter = counter;
  }

  begin(): void {
    this.#since ??= this.#clock.now();
  }

  end(): void {
    this.tick();
    this.#since = undefined;
  }

  /** Now and then, so that a long pause shows before it is over. */
  tick(): void {
    if (this.#since === undefined) return;
    const now = this.#clock.now();
    this.#counter.add(now - this.#since);
    this.#since = now;
  }
}
