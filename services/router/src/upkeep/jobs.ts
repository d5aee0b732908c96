import type { Clock } from '@shapecast/service-kit';
import type { ShapeStore } from '@shapecast/shape-store';
import { createCompactionJob } from './compaction-job.ts';
import { createSealLogJob } from './seal-log-job.ts';
import { createSealSnapshotJob } from './seal-snapshot-job.ts';
import { createSizeLimitJob } from './size-limit-job.ts';
import type { UpkeepJob } from './upkeep.ts';

interface JobDeps {
  readonly store: ShapeStore;
  readonly clock: Clock;
}

export interface UpkeepOptions {
  /** How often closed chunks of logs are looked for, to be compressed. */
  readonly sealMs: number;
  /** How often all shapes are looked at: new snapshots are compressed, logs that are too large end. */
  readonly shapeRoundMs: number;
  /** JSON bytes that every log may have. */
  readonly maxLogBytes: number;
  /** A log may also have this many times the bytes of its snapshot. */
  readonly maxLogRatio: number;
  readonly compactionMs: number;
}

export const DEFAULT_UPKEEP: UpkeepOptions = {
  sealMs: 5_000,
  shapeRoundMs: 60_000,
  maxLogBytes: 1024 ** 3,
  maxLogRatio: 4,
  compactionMs: 600_000,
};

/** Everything that is done for a shard besides applying the stream to it. */
export function upkeepJobs(deps: JobDeps, options: UpkeepOptions): UpkeepJob[] {
  const { shapeRoundMs, maxLogBytes, maxLogRatio } = options;
  return [
    createSealLogJob(deps.store, { periodMs: options.sealMs }),
    createSealSnapshotJob(deps, { periodMs: shapeRoundMs }),
    createSizeLimitJob(deps, { periodMs: shapeRoundMs, maxBytes: maxLogBytes, maxRatio: maxLogRatio }),
    createCompactionJob(deps, { periodMs: options.compactionMs }),
  ];
}
