import type { SourceUsage } from '@shapecast/messaging';
import type { HealthReport } from '@shapecast/service-kit';
import type { Source } from '@shapecast/sources';
import type { Sample } from '@shapecast/telemetry';

/** What the main thread tells a worker. Plain data: it is copied. */
export type ToWorker =
  /** What is to be of a source from now on; undefined: nothing. */
  | { readonly kind: 'set'; readonly id: string; readonly source: Source | undefined }
  /** Everything ends in good order, then the thread does. */
  | { readonly kind: 'stop' };

/** What a worker tells of one of its sources. */
export interface WorkerSourceState {
  /** Absent while there is nothing that could report. */
  readonly report?: HealthReport;
  readonly usage?: SourceUsage;
  /** Why it does not run. */
  readonly problem?: string;
}

/** What a worker tells every second, and when something changes. */
export interface FromWorker {
  readonly sources: Readonly<Record<string, WorkerSourceState>>;
  /** State events since the thread began, by name. */
  readonly events: Readonly<Record<string, number>>;
  /** Bytes of its heap that are in use. */
  readonly heapBytes: number;
  /** What was measured in the thread so far; every second. */
  readonly samples?: readonly Sample[];
}
