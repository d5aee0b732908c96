import { getHeapStatistics } from 'node:v8';
import type { Clock, Logger } from '@shapecast/service-kit';
import type { Metrics } from '../metrics.ts';
import { measureEventLoop } from './event-loop.ts';
import { measureGarbageCollection } from './garbage-collection.ts';

export interface ThreadMetricsOptions {
  readonly longDelayMs: number;
  readonly longPauseMs: number;
}

/** Kinds of resources are classes of Node; there are some thirty. */
const MAX_KINDS = 50;

/** What every thread has: an event loop, a heap, and what it waits for. The returned function ends it. */
export function measureThread(
  parts: { readonly metrics: Metrics; readonly clock: Clock; readonly log: Logger },
  options: ThreadMetricsOptions,
): () => void {
  const { metrics } = parts;
  const ends = [
    measureEventLoop(parts, options),
    measureGarbageCollection(parts, options),
    metrics.gauge('process.memory.heap_used', {}, () => getHeapStatistics().used_heap_size),
    metrics.gauge('process.memory.external', {}, () => getHeapStatistics().external_memory),
  ];
  return () => {
    for (const end of ends) end();
  };
}

/** Counts what keeps the thread running, by kind. A kind that was there once is told as 0 when it is gone. */
export class ActiveHandles {
  readonly #metrics: Metrics;
  readonly #counts = new Map<string, number>();

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
  }

  /** Before somebody looks. */
  refresh(): void {
    for (const kind of this.#counts.keys()) this.#counts.set(kind, 0);
    for (const name of process.getActiveResourcesInfo()) {
      const kind = this.#counts.has(name) || this.#counts.size < MAX_KINDS ? name : 'other';
      const count = this.#counts.get(kind);
      if (count === undefined) {
        this.#metrics.gauge('nodejs.active_handles', { kind }, () => this.#counts.get(kind));
      }
      this.#counts.set(kind, (count ?? 0) + 1);
    }
  }
}
