import { encodeShardHint, shardHintSubject, type Hints, type RotationJournal } from '@shapecast/messaging';
import { emitEvent, type Logger } from '@shapecast/service-kit';
import type { ShapeFailure, ShapeStore, ShardId } from '@shapecast/shape-store';
import type { SourceCounters } from '../quotas/source-counters.ts';
import type { SourceMetrics } from '../telemetry/source-metrics.ts';

export interface EndDeps {
  readonly store: Pick<ShapeStore, 'rotate'>;
  readonly journal: Pick<RotationJournal, 'record'>;
  readonly hints: Hints;
  readonly count?: SourceCounters;
  readonly metrics?: SourceMetrics;
  readonly log: Logger;
}

/**
 * Ends shapes of any shard of the source, whoever owns it (spec R 15.8): journal, store, readers. The owner notices that its set of
 * shapes has changed. May be repeated after a failure. Returns how many were alive.
 */
export async function endShapes(
  { store, journal, hints, count, metrics, log }: EndDeps,
  shard: ShardId,
  handles: readonly string[],
  failure: ShapeFailure,
): Promise<number> {
  if (handles.length === 0) return 0;
  await journal.record(handles.map((handle) => [handle, failure] as const));
  let alive = 0;
  for (const handle of handles) {
    if (!(await store.rotate(shard, handle, failure))) continue;
    alive += 1;
    if (count) count.rotations += 1;
    metrics?.ended(failure);
    emitEvent(log, 'shape_rotated', { handle, reason: failure.message });
  }
  hints.publish(shardHintSubject(shard.source, shard.incarnation, shard.shard), encodeShardHint(handles));
  return alive;
}
