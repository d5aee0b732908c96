import { monitorEventLoopDelay, performance, type EventLoopUtilization } from 'node:perf_hooks';
import type { Clock, Logger } from '@shapecast/service-kit';
import type { Metrics } from '../metrics.ts';

interface EventLoopOptions {
  /** A delay that is worth a line in the log. */
  readonly longDelayMs: number;
}

const WINDOW_MS = 10_000;
/** A timer that often shows every delay that matters, and costs nothing that could be measured. */
const RESOLUTION_MS = 20;
const NS = 1e9;

interface Window {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  readonly utilization: number;
}

/**
 * How late the event loop of this thread runs what is due, and how much of its time it works. Both are of whole windows of ten seconds:
 * whoever asks sees the last one, however often they ask.
 */
export function measureEventLoop(
  { metrics, clock, log }: { readonly metrics: Metrics; readonly clock: Clock; readonly log: Logger },
  { longDelayMs }: EventLoopOptions,
): () => void {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  let window: Window | undefined;
  let from: EventLoopUtilization = performance.eventLoopUtilization();
  let cancel: () => void;

  const look = (): void => {
    const now = performance.eventLoopUtilization();
    if (delay.count > 0) {
      window = {
        p50: seconds(delay.percentile(50)),
        p99: seconds(delay.percentile(99)),
        max: seconds(delay.max),
        utilization: performance.eventLoopUtilization(now, from).utilization,
      };
      const delayMs = Math.round(window.max * 1_000);
      if (delayMs >= longDelayMs) log.info({ delayMs }, 'the event loop was held up');
    }
    from = now;
    delay.reset();
    cancel = clock.after(WINDOW_MS, look);
  };
  cancel = clock.after(WINDOW_MS, look);

  const ends = [
    metrics.gauge('nodejs.eventloop.delay.p50', {}, () => window?.p50),
    metrics.gauge('nodejs.eventloop.delay.p99', {}, () => window?.p99),
    metrics.gauge('nodejs.eventloop.delay.max', {}, () => window?.max),
    metrics.gauge('nodejs.eventloop.utilization', {}, () => window?.utilization),
  ];
  return () => {
    cancel();
    delay.disable();
    for (const end of ends) end();
  };
}

/** What is measured is the time from one run of the timer to the next; the delay is what it was late. */
function seconds(measuredNs: number): number {
  return Math.max(0, measuredNs / NS - RESOLUTION_MS / 1_000);
}
