import type { Clock } from '@shapecast/service-kit';

/** Something may have happened: a latch that one loop waits on and others set. Setting it twice wakes once. */
export class Latch {
  #set = false;
  #resolve: (() => void) | undefined;

  set(): void {
    this.#set = true;
    this.#resolve?.();
  }

  /** Resolves, and resets, once set or after `ms`; also when `signal` aborts. */
  async wait(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
    if (!this.#set && !signal.aborted && ms > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const onAbort = () => resolve();
      this.#resolve = resolve;
      const cancel = ms === Infinity ? undefined : clock.after(ms, resolve);
      signal.addEventListener('abort', onAbort, { once: true });
      await promise;
      signal.removeEventListener('abort', onAbort);
      cancel?.();
      this.#resolve = undefined;
    }
    this.#set = false;
  }
}
