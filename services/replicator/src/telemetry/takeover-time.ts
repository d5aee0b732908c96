import type { Clock } from '@shapecast/service-kit';
import type { ReplicatorMetrics, TakeoverReason } from './replicator-metrics.ts';

/**
 * How long it takes to lead a source: from the first try until transactions can be stored, however often it fails in between. While
 * another process leads there is nothing to be taken over, so a standby's time begins when it gets the lock.
 */
export class TakeoverTime {
  readonly #clock: Clock;
  readonly #metrics: ReplicatorMetrics;
  #since: number | undefined;
  #reason: TakeoverReason = 'start';

  constructor(clock: Clock, metrics: ReplicatorMetrics) {
    this.#clock = clock;
    this.#metrics = metrics;
  }

  /** Tries to lead; again, as a rule. */
  begin(): void {
    this.#since ??= this.#clock.now();
  }

  /** Somebody else has the lock. */
  waits(): void {
    this.#since = undefined;
    this.#reason = 'standby';
  }

  /** Nobody is to lead. */
  rests(): void {
    this.#since = undefined;
    this.#reason = 'again';
  }

  /** Transactions can be stored. */
  done(): void {
    if (this.#since !== undefined) this.#metrics.tookOver(this.#reason, this.#clock.now() - this.#since);
    this.#since = undefined;
    this.#reason = 'again';
  }
}
