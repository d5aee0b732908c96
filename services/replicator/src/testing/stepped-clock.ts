import { systemClock, type Clock } from '@shapecast/service-kit';

/** A clock whose waits take no time and move it. */
export function steppedClock(): Clock & { now: () => number; pass: (ms: number) => void } {
  let now = 1_000_000;
  return {
    ...systemClock,
    now: () => now,
    wall: () => now,
    pass: (ms) => void (now += ms),
    sleep: async (ms, signal) => {
      await new Promise((resolve) => setImmediate(resolve));
      signal?.throwIfAborted();
      now += ms;
    },
  };
}
