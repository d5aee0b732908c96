/** Time and chance, given to parts instead of taken, so that tests can drive them. Nothing correct depends on it (spec I10). */
export interface Clock {
  /**
   * Milliseconds since 1970, as the machine had it when the process started; from then on by a clock that nobody sets. Moments of one
   * process can be compared whatever becomes of the wall clock, and every lease and every wait is such a comparison (spec I10).
   */
  now(): number;
  /**
   * Milliseconds since 1970 as the machine has it now, for people and for what other machines are to agree on: nothing may be decided by
   * the difference between two of them. See `wallTime`; absent where `now` is as good.
   */
  wall?(): number;
  /** Resolves after `ms`, or rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls back once after `ms`; the returned function cancels. Does not keep the process alive. */
  after(ms: number, callback: () => void): () => void;
  /** In [0, 1). */
  random(): number;
}

export const systemClock: Clock = {
  now: () => Math.floor(performance.timeOrigin + performance.now()),
  wall: () => Date.now(),
  sleep(ms, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(abortReason(signal));
      const onAbort = () => {
        clearTimeout(timer);
        reject(abortReason(signal as AbortSignal));
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      }, ms);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  },
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
  random: () => Math.random(),
};

/** An abort signal's reason as an Error, whatever was given to abort(). */
export function abortReason(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error('aborted', { cause: signal.reason });
}

/** What the calendar says: for texts, and for what has to be alike on other machines. Jumps when somebody sets the clock. */
export function wallTime(clock: Clock): number {
  return clock.wall?.() ?? clock.now();
}
