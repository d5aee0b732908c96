import { ShapecastError } from '@shapecast/errors';
import { abortReason, type Clock } from '@shapecast/service-kit';

interface Waiting {
  readonly grant: () => void;
}

interface SlotOptions {
  /** May change; who has a place keeps it. */
  readonly size: () => number;
  /** One of the places that all sources of the process share, once this source has room. */
  readonly shared?: (signal: AbortSignal) => Promise<() => void>;
}

/** Of those that wait for a slot; more are refused at once. */
const MAX_WAITING = 100;
const MAX_WAIT_MS = 5_000;

/** A number of places, first come first served. Who gets none in time is told to try again (spec O 3.4). */
export class SubsetSlots {
  readonly #clock: Clock;
  readonly #options: SlotOptions;
  readonly #waiting: Waiting[] = [];
  #running = 0;
  /** Of those that run: they wait for one of the shared places. */
  #queued = 0;
  #refused = 0;

  constructor(clock: Clock, options: SlotOptions) {
    this.#clock = clock;
    this.#options = options;
  }

  get running(): number {
    return this.#running - this.#queued;
  }

  get waiting(): number {
    return this.#waiting.length + this.#queued;
  }

  /** How many got no place. */
  get refused(): number {
    return this.#refused;
  }

  /** Resolves with the function that gives the place back, to be called once. Throws OVERLOADED. */
  async take(signal: AbortSignal): Promise<() => void> {
    if (signal.aborted) throw abortReason(signal);
    const since = this.#clock.now();
    if (this.#running < this.#options.size()) this.#running += 1;
    else await this.#wait(signal);
    const release = () => {
      const next = this.#running <= this.#options.size() ? this.#waiting.shift() : undefined;
      if (next) next.grant();
      else this.#running -= 1;
    };
    const { shared } = this.#options;
    if (shared === undefined) return release;
    try {
      const leave = await this.#waitForShared(shared, MAX_WAIT_MS - (this.#clock.now() - since), signal);
      return () => {
        leave();
        release();
      };
    } catch (err) {
      release();
      throw err;
    }
  }

  /** A place that is given back goes straight to who waits longest. */
  #wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const full = (): void => reject(this.#full());
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

  async #waitForShared(
    shared: (signal: AbortSignal) => Promise<() => void>,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<() => void> {
    const late = new AbortController();
    const cancel = this.#clock.after(waitMs, () => late.abort());
    this.#queued += 1;
    try {
      return await shared(AbortSignal.any([signal, late.signal]));
    } catch (err) {
      throw late.signal.aborted && !signal.aborted ? this.#full() : err;
    } finally {
      this.#queued -= 1;
      cancel();
    }
  }

  #full(): ShapecastError {
    this.#refused += 1;
    const limit = this.#options.size();
    return new ShapecastError('OVERLOADED', `Too many subset queries are running (limit: ${limit}), please retry`);
  }
}
