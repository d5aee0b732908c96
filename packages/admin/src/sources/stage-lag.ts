import type { SourceSums } from '@shapecast/messaging';

/** How long the latest changes took, by stage. Milliseconds; a stage of which nobody tells is left out. */
export interface StageLag {
  /** From the commit until the change was in the tx stream. */
  readonly publishMs?: number;
  /** From there until it was visible in the store. */
  readonly applyMs?: number;
  /** From there until a live answer with it was written. */
  readonly serveMs?: number;
  /** All the way, as far as it is told of. */
  readonly totalMs?: number;
}

/** Of the highest that each process tells: stages are measured on different changes, so that they need not add up. */
export function stageLagOf({ usage: { gauges = {} } }: SourceSums): StageLag {
  const { publishLagMs, applyLagMs, serveLagMs, deliveryLagMs } = gauges;
  const totalMs = deliveryLagMs ?? applyLagMs ?? publishLagMs;
  return {
    ...(publishLagMs === undefined ? {} : { publishMs: publishLagMs }),
    // Routers tell it from the commit on.
    ...(applyLagMs === undefined ? {} : { applyMs: Math.max(0, applyLagMs - (publishLagMs ?? 0)) }),
    ...(serveLagMs === undefined ? {} : { serveMs: serveLagMs }),
    ...(totalMs === undefined ? {} : { totalMs }),
  };
}
