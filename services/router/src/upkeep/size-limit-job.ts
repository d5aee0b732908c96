import type { Clock } from '@shapecast/service-kit';
import type { ShapeStore, ShapeUse } from '@shapecast/shape-store';
import type { SourceCounters } from '../quotas/source-counters.ts';
import type { SourceMetrics } from '../telemetry/source-metrics.ts';
import { createShapeRound } from './shape-round.ts';
import type { UpkeepJob } from './upkeep.ts';

interface SizeLimitOptions {
  readonly periodMs: number;
  /** JSON bytes that every log may have. */
  readonly maxBytes: () => number;
  /** A log may also have this many times the bytes of its snapshot: then reading it still beats starting over. */
  readonly maxRatio: number;
}

interface SizeLimitDeps {
  readonly store: Pick<ShapeStore, 'scanShapes'>;
  readonly count?: SourceCounters;
  readonly metrics?: SourceMetrics;
  readonly clock: Clock;
}

/** Ends shapes whose log has become too large (spec R 11.7.1). */
export function createSizeLimitJob(deps: SizeLimitDeps, options: SizeLimitOptions): UpkeepJob {
  const { periodMs } = options;
  return createShapeRound(
    deps,
    { name: 'size-limit', periodMs },
    {
      wants(shape) {
        deps.count?.sawLog(shape.logBytes, deps.clock.now());
        return shape.state === 'live' && shape.logBytes > limitOf(shape, options);
      },
      async visit(shard, shape) {
        const limit = limitOf(shape, options);
        const message = `The log of the shape has ${shape.logBytes} bytes, more than the limit of ${limit}.`;
        const ended = await shard.rotate([[shape.handle, { code: 'LOG_TOO_LARGE', message }]]);
        deps.count?.refuse('logBytes', ended.length);
        return 'next';
      },
      over({ id }, weight) {
        deps.count?.weights.set(id.shard, weight);
        deps.metrics?.weighed(weight.lookMs);
      },
    },
  );
}

function limitOf({ snapshotBytes }: ShapeUse, { maxBytes, maxRatio }: SizeLimitOptions): number {
  return Math.max(maxBytes(), maxRatio * snapshotBytes);
}
