import { ShapecastError } from '@shapecast/errors';
import { abortReason, type Clock } from '@shapecast/service-kit';

interface Waiting {
  readonly grant: () => void;
}

/** Of those that wait for a slot; more are refused at once. */
const MAX_WAITING = 100;
const MAX_WAIT_MS = 5_000;

/** A number of places, first come first served. Who gets none in time is told to try again (spec O 3.4). */
export class SubsetSlots {
  readonly #clock: Clock;
  readonly #size: number;
  readonly #waiting: Waiting[] = [];
  #running = 0;

  constructor(clock: Clock, options: { readonly size: number }) {
    this.#clock = clock;
    this.#size = options.size;
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Resolves with the function that gives the place back, to be called once. Throws OVERLOADED. */
  async take(signal: AbortSignal): Promise<() => void> {
    if (signal.aborted) throw abortReason(signal);
    if (this.#running < this.#size) this.#running += 1;
    else await this.#wait(signal);
    return () => {
      const next = this.#waiting.shift();
      if (next) next.grant();
      else this.#running -= 1;
    };
  }

  /** A place that is given back goes straight to who waits longest. */
  #wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const full = (): void =>
        reject(
          new ShapecastError('OVERLOADED', `Too many subset queries are running (limit: ${this.#size}), please retry`),
        );
      if (this.#waiting.length >= MAX_WAITING) return full();
      const settle = (outcome: () => void): void => {
        const place = this.#waiting.indexOf(waiting);
        if (place !== -1) this.#waiting.splice(place, 1);
        cancel();
        signal.removeEventListener('abort', onAbort);
        outcome();
      };
      const waiting: Waiting = { grant: () => settle(resolve) };
      const onAbort = (): void => settle(() => reject(abortReason(signal)));
      const cancel = this.#clock.after(MAX_WAIT_MS, () => settle(full));
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(waiting);
    });
  }
}
