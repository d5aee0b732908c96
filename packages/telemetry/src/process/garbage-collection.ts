import { constants, PerformanceObserver, type PerformanceEntry } from 'node:perf_hooks';
import type { Clock, Logger } from '@shapecast/service-kit';
import type { Histogram, Metrics } from '../metrics.ts';

const KINDS: Readonly<Record<number, string>> = {
  [constants.NODE_PERFORMANCE_GC_MINOR]: 'minor',
  [constants.NODE_PERFORMANCE_GC_MAJOR]: 'major',
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL]: 'incremental',
  [constants.NODE_PERFORMANCE_GC_WEAKCB]: 'weak',
};
/** One line in this time says enough: a heap that is full is collected again and again. */
const SILENT_MS = 60_000;

/** Pauses of this thread for garbage collection. One of `longPauseMs` and more is worth a line in the log. */
export function measureGarbageCollection(
  { metrics, clock, log }: { readonly metrics: Metrics; readonly clock: Clock; readonly log: Logger },
  { longPauseMs }: { readonly longPauseMs: number },
): () => void {
  const cells = new Map<string, Histogram>();
  let toldAt = -Infinity;
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const kind = KINDS[kindOf(entry)] ?? 'other';
      let cell = cells.get(kind);
      if (cell === undefined) cells.set(kind, (cell = metrics.histogram('v8js.gc.duration', { kind })));
      cell.record(entry.duration);
      if (entry.duration < longPauseMs || clock.now() - toldAt < SILENT_MS) continue;
      toldAt = clock.now();
      log.info({ kind, durationMs: Math.round(entry.duration) }, 'garbage collection took long');
    }
  });
  observer.observe({ entryTypes: ['gc'] });
  return () => observer.disconnect();
}

function kindOf(entry: PerformanceEntry): number {
  return (entry as { readonly detail?: { readonly kind?: number } }).detail?.kind ?? 0;
}
