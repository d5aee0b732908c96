import { Metrics } from './metrics.ts';
import { NO_TRACING, type Tracing } from './tracing.ts';

/** What parts of a process measure with. */
export interface Telemetry {
  readonly metrics: Metrics;
  readonly tracing: Tracing;
}

/** Counts, but tells nobody: of a part that is run without a process of its own, as in tests. */
export function ownTelemetry(): Telemetry {
  return { metrics: new Metrics(), tracing: NO_TRACING };
}
