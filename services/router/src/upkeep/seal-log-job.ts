import type { ShapeStore } from '@shapecast/shape-store';
import type { UpkeepJob, UpkeepShard } from './upkeep.ts';

/** Compresses closed chunks of the logs, one per turn (spec R 12.2.2). */
export function createSealLogJob(store: Pick<ShapeStore, 'seal'>, options: { readonly periodMs: number }): UpkeepJob {
  const cursors = new WeakMap<UpkeepShard, string>();
  return {
    name: 'seal-log',
    periodMs: options.periodMs,
    async turn(shard) {
      const { cursor } = await store.seal(shard.id, cursors.get(shard));
      if (cursor === undefined) {
        cursors.delete(shard);
        return 'done';
      }
      cursors.set(shard, cursor);
      return 'more';
    },
  };
}
