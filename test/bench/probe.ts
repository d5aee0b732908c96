import { monitorEventLoopDelay } from 'node:perf_hooks';

// Loaded into a service process by `--import`, before the service: answers the benchmark's questions about the process.

export interface ProbeReport {
  /** Resident memory in bytes, after a garbage collection. */
  readonly rss: number;
  readonly heapUsed: number;
  /** CPU microseconds used so far. */
  readonly cpuMicros: number;
  /** Longest time, in milliseconds, in which the event loop was stuck since the last question. */
  readonly longestTurnMs: number;
}

const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();

process.on('message', (question) => {
  const longestTurnMs = delay.max / 1e6;
  if (question === 'collect') for (let i = 0; i < 3; i += 1) globalThis.gc?.();
  const { rss, heapUsed } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  const report: ProbeReport = { rss, heapUsed, cpuMicros: user + system, longestTurnMs };
  process.send?.(report);
  // The collection above stood still by itself.
  delay.reset();
});
process.channel?.unref();
