import type { Clock } from '@shapecast/service-kit';

interface Waiting {
  readonly place: string;
  readonly run: () => Promise<void>;
  readonly result: Promise<unknown>;
}

/**
 * The one place where a process changes the publication (spec R 7.3). Work is done in passes, one relation after the other and
 * in a fixed order; what comes in while a pass runs waits for the next one, and the same thing is never there twice. So a
 * burst of requests makes at most one pass behind the one at hand. Bounded by the number of relations.
 */
export class DdlQueue {
  readonly #clock: Clock;
  readonly #debounceMs: number;
  readonly #signal: AbortSignal;
  readonly #waiting = new Map<string, Waiting>();
  #running: Promise<void> | undefined;
  #passes = 0;

  constructor(deps: { readonly clock: Clock }, options: { readonly debounceMs: number }, signal: AbortSignal) {
    this.#clock = deps.clock;
    this.#debounceMs = options.debounceMs;
    this.#signal = signal;
  }

  /** How many passes there have been. */
  get passes(): number {
    return this.#passes;
  }

  /**
   * Has `work` done in its turn; with work of the same key that has not begun it is one. `place` decides about the order
   * inside a pass. What fails concerns those who asked for it and nobody else.
   */
  run(key: string, place: string, work: () => Promise<void>): Promise<void> {
    const known = this.#waiting.get(key);
    if (known) return known.result as Promise<void>;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.set(key, { place, run: () => work().then(resolve, reject), result: promise });
    this.#running ??= this.#run();
    return promise;
  }

  async #run(): Promise<void> {
    // Nothing of it may happen inside the call that asked for it.
    await Promise.resolve();
    while (this.#waiting.size > 0) {
      // Also when closing: what waits fails by itself, as its connection does.
      if (this.#debounceMs > 0) await this.#clock.sleep(this.#debounceMs, this.#signal).catch(() => undefined);
      const pass = [...this.#waiting.values()].sort((a, b) => (a.place < b.place ? -1 : a.place > b.place ? 1 : 0));
      this.#waiting.clear();
      this.#passes += 1;
      for (const { run } of pass) await run();
    }
    this.#running = undefined;
  }
}
