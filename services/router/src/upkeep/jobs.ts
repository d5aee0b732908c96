import type { HandleRecords, Hints, Registries, RotationJournal } from '@shapecast/messaging';
import type { Clock, Logger } from '@shapecast/service-kit';
import type { ShapeStore } from '@shapecast/shape-store';
import type { RedisRoom } from '../quotas/redis-room.ts';
import type { SourceCounters } from '../quotas/source-counters.ts';
import type { SourceMetrics } from '../telemetry/source-metrics.ts';
import type { SourceQuotas } from '../quotas/source-quotas.ts';
import { createCompactionJob } from './compaction-job.ts';
import { createExpiryJob } from './expiry-job.ts';
import { createHandleJob } from './handle-job.ts';
import { createMemoryReliefJob } from './memory-relief-job.ts';
import { createOrphanJob } from './orphan-job.ts';
import { createRedisQuotaJob } from './redis-quota-job.ts';
import { createSealLogJob } from './seal-log-job.ts';
import { createSealSnapshotJob } from './seal-snapshot-job.ts';
import { createSizeLimitJob } from './size-limit-job.ts';
import type { UpkeepJob } from './upkeep.ts';

interface JobDeps {
  readonly store: ShapeStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly registries: Registries;
  readonly hints: Hints;
  readonly journal: RotationJournal;
  readonly handles: HandleRecords;
  readonly room: RedisRoom;
  readonly count: SourceCounters;
  readonly metrics: SourceMetrics;
}

export interface UpkeepOptions {
  /** How often closed chunks of logs are looked for, to be compressed. */
  readonly sealMs: number;
  /** How often all shapes are looked at: new snapshots are compressed, logs that are too large end. */
  readonly shapeRoundMs: number;
  /** A log may also have this many times the bytes of its snapshot. */
  readonly maxLogRatio: number;
  readonly compactionMs: number;
  readonly expiryMs: number;
  /** Share of the store's memory beyond which shapes end. */
  readonly highWater: number;
  readonly reliefMs: number;
  /** How often a source is weighed that may have so many bytes in the store only. */
  readonly redisQuotaMs: number;
  /** How long the data of a shape that ended is still held. */
  readonly sweepGraceMs: number;
  /** How often the newest handles are noted outside of the store; every wait is up to half as long again. */
  readonly handlesMs: number;
  readonly orphansMs: number;
  /** How long nobody has touched data that is deleted because no shape owns it. */
  readonly orphanGraceMs: number;
}

export const DEFAULT_UPKEEP: UpkeepOptions = {
  sealMs: 5_000,
  shapeRoundMs: 60_000,
  maxLogRatio: 4,
  compactionMs: 600_000,
  expiryMs: 60_000,
  highWater: 0.8,
  reliefMs: 10_000,
  redisQuotaMs: 10_000,
  sweepGraceMs: 120_000,
  handlesMs: 6_000,
  orphansMs: 600_000,
  orphanGraceMs: 600_000,
};

/** Everything that is done for a shard besides applying the stream to it. */
export function upkeepJobs(deps: JobDeps, options: UpkeepOptions, quotas: () => SourceQuotas): UpkeepJob[] {
  const { shapeRoundMs, maxLogRatio: maxRatio } = options;
  const maxBytes = () => quotas().logBytes;
  return [
    createSealLogJob(deps.store, { periodMs: options.sealMs }),
    createSealSnapshotJob(deps, { periodMs: shapeRoundMs }),
    createSizeLimitJob(deps, { periodMs: shapeRoundMs, maxBytes, maxRatio }),
    createCompactionJob(deps, { periodMs: options.compactionMs }),
    // Waits are up to half as long again.
    createExpiryJob(deps, { periodMs: (options.expiryMs * 2) / 3, maxShapes: () => quotas().maxShapes }),
    createRedisQuotaJob(deps, { periodMs: options.redisQuotaMs, quotas }),
    createMemoryReliefJob(deps, {
      periodMs: options.reliefMs,
      highWater: options.highWater,
      graceMs: options.sweepGraceMs,
    }),
    createHandleJob(deps, { periodMs: options.handlesMs }),
    createOrphanJob(deps, { periodMs: options.orphansMs, graceMs: options.orphanGraceMs }),
  ];
}
