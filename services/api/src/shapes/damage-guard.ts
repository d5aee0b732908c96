import { isShapecastError } from '@shapecast/errors';
import { encodeShardHint, shardHintSubject, type Hints } from '@shapecast/messaging';
import type { Logger } from '@shapecast/service-kit';
import { DATA_LOST, type LogRead, type ShapeStore, type ShardId } from '@shapecast/shape-store';

interface GuardDeps {
  readonly store: ShapeStore;
  readonly hints: Hints;
  readonly log: Logger;
}

/** What readers of a shape's data need of the store. */
export type ShapeData = Pick<ShapeStore, 'readLog' | 'readSnapshot' | 'readHead'>;

/**
 * The store, for readers: a live shape of which stored data is missing ends at once, with an error in the log, because nobody
 * can be told what it was (spec R 14.8, O F144, F146, F157). Its readers then find what they find of any dead shape whose data is
 * gone, and start over.
 */
export function endDamagedShapes({ store, hints, log }: GuardDeps): ShapeData {
  async function ended(shard: ShardId, handle: string, err: unknown): Promise<void> {
    if (!isShapecastError(err, 'SHAPE_DATA_LOST')) throw err;
    log.error({ err, handle, shard: shard.shard }, 'stored data of a shape is missing, the shape ends');
    await store.rotate(shard, handle, DATA_LOST);
    hints.publish(shardHintSubject(shard.source, shard.incarnation, shard.shard), encodeShardHint([handle]));
  }

  const readLog: ShapeStore['readLog'] = async (shard, head, after, maxBytes, place) => {
    try {
      return await store.readLog(shard, head, after, maxBytes, place);
    } catch (err) {
      await ended(shard, head.handle, err);
      return { entries: [], end: after, upTo: after, closed: false } satisfies LogRead;
    }
  };
  const readSnapshot: ShapeStore['readSnapshot'] = async (shard, handle, ...range) => {
    try {
      return await store.readSnapshot(shard, handle, ...range);
    } catch (err) {
      await ended(shard, handle, err);
      return undefined;
    }
  };
  return { readLog, readSnapshot, readHead: (shard, handle) => store.readHead(shard, handle) };
}
