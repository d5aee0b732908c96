import type { Registries } from '@shapecast/messaging';
import { emitEvent } from '@shapecast/service-kit';
import type { ShapeFailure, ShapeStore } from '@shapecast/shape-store';
import { endShapes, type EndDeps } from './end-shapes.ts';
import { excessOf, grouped, readUses, shardsOf } from './least-used.ts';
import { isSourceActive } from './source-active.ts';
import type { UpkeepJob, UpkeepShard } from './upkeep.ts';

interface ExpiryDeps extends EndDeps {
  readonly store: Pick<ShapeStore, 'rotate' | 'leastRead'>;
  readonly registries: Registries;
}

interface ExpiryOptions {
  readonly periodMs: number;
  /** Shapes that the source may have; undefined: any number. */
  readonly maxShapes: () => number | undefined;
}

/** Ended in one turn. */
const BATCH = 200;

const EXPIRED: ShapeFailure = {
  code: 'SHAPE_EXPIRED',
  message: 'There were more shapes than ELECTRIC_MAX_SHAPES, and this one was not read for the longest time.',
};

/**
 * Ends the shapes that a source has too many of, least recently used first (spec R 15.5.1, O F184). The owner of the first shard
 * does it for all: it counts in the store, so that nothing is lost when the shard gets another owner.
 */
export function createExpiryJob(deps: ExpiryDeps, options: ExpiryOptions): UpkeepJob {
  const { store, registries, log } = deps;
  const ended = new WeakMap<UpkeepShard, number>();
  return {
    name: 'expiry',
    periodMs: options.periodMs,
    async turn(shard, signal) {
      const maxShapes = options.maxShapes();
      if (maxShapes === undefined || shard.id.shard !== 0) return 'done';
      const { source } = shard.id;
      const shards = shardsOf(shard.id, shard.shards);
      const count = (await readUses(store, shards, 0, 'skip')).reduce((sum, [, { alive }]) => sum + alive, 0);
      const before = ended.get(shard) ?? 0;
      if (count <= maxShapes || !(await isSourceActive(registries, source, shard.shards))) {
        if (before > 0) log.info({ ended: before, shapes: count, maxShapes }, 'shapes beyond the limit have ended');
        ended.delete(shard);
        return 'done';
      }
      if (before === 0) emitEvent(log, 'tenant_limit_reached', { limit: 'ELECTRIC_MAX_SHAPES', value: count });
      const uses = await readUses(store, shards, Math.min(BATCH, count - maxShapes), 'skip');
      const excess = excessOf(uses, maxShapes).slice(0, BATCH);
      for (const [id, handles] of grouped(excess)) {
        signal.throwIfAborted();
        const dead = await endShapes(deps, id, handles, EXPIRED);
        deps.count?.refuse('maxShapes', dead);
      }
      if (excess.length > 0) {
        ended.set(shard, before + excess.length);
        return 'more';
      }
      log.info({ ended: before, shapes: count, maxShapes }, 'the other shapes beyond the limit are in use, or new');
      ended.delete(shard);
      return 'done';
    },
  };
}
