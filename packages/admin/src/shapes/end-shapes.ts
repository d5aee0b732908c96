import { encodeShardHint, shardHintSubject, type Hints, type RotationJournal } from '@shapecast/messaging';
import { emitEvent, type Logger } from '@shapecast/service-kit';
import type { ShapeFailure, ShapeStore, ShardId } from '@shapecast/shape-store';

interface EndDeps {
  readonly store: Pick<ShapeStore, 'rotate'>;
  readonly journal: Pick<RotationJournal, 'record'>;
  readonly hints: Pick<Hints, 'publish'>;
  /** Bound to the source. */
  readonly log: Logger;
}

/** A shape that is to end, with the table that the event names. */
export interface EndingShape {
  readonly handle: string;
  readonly table?: string;
}

/**
 * Ends shapes of a shard, whoever owns it (spec R 15.8): journal, so that a store that goes back brings none of them to life, store,
 * readers. The owner notices that its set of shapes has changed. May be repeated after a failure. Returns how many were alive.
 */
export async function endShapes(
  { store, journal, hints, log }: EndDeps,
  shard: ShardId,
  ending: readonly EndingShape[],
  failure: ShapeFailure,
): Promise<number> {
  if (ending.length === 0) return 0;
  await journal.record(ending.map(({ handle }) => [handle, failure] as const));
  let alive = 0;
  for (const { handle, table } of ending) {
    if (!(await store.rotate(shard, handle, failure))) continue;
    alive += 1;
    emitEvent(log, 'shape_rotated', { handle, reason: failure.message, ...(table === undefined ? {} : { table }) });
  }
  const subject = shardHintSubject(shard.source, shard.incarnation, shard.shard);
  hints.publish(subject, encodeShardHint(ending.map(({ handle }) => handle)));
  return alive;
}
