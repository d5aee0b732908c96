import { emitEvent, type Clock } from '@shapecast/service-kit';
import type { ShapeFailure, ShapeStore, ShardId } from '@shapecast/shape-store';
import type { RedisRoom } from '../quotas/redis-room.ts';
import type { SourceQuotas } from '../quotas/source-quotas.ts';
import type { SourceCounters } from '../quotas/source-counters.ts';
import { endShapes, type EndDeps } from './end-shapes.ts';
import { BYTE_WEIGHT, enough, grouped, inOrderOfUse, readUses, SHAPE_BYTES, shardsOf, weightOf } from './least-used.ts';
import type { UpkeepJob, UpkeepShard } from './upkeep.ts';

interface QuotaDeps extends EndDeps {
  readonly store: Pick<ShapeStore, 'rotate' | 'leastRead' | 'weigh'>;
  readonly room: RedisRoom;
  readonly count: SourceCounters;
  readonly clock: Clock;
}

/** Ended in one turn. */
const BATCH = 50;

const NO_ROOM: ShapeFailure = {
  code: 'SHAPE_EXPIRED',
  message: 'The source had used up its bytes in the store, and this shape was not read for the longest time.',
};

/**
 * Accounts what a source has in the store, and ends its least recently used shapes when that is more than it may have (spec R 12.6.1,
 * O 3.4). Every router accounts, so that each can refuse what is new; the owner of the first shard ends, for all. What is about to be
 * deleted counts as gone. A source without a limit is not accounted.
 */
export function createRedisQuotaJob(
  deps: QuotaDeps,
  options: { readonly periodMs: number; readonly quotas: () => Pick<SourceQuotas, 'redisBytes'> },
): UpkeepJob {
  const { store, room, count, clock, log } = deps;
  let lookedAt = -Infinity;

  async function weigh(shards: readonly ShardId[]): Promise<number> {
    let [bytes, dying] = [0, 0];
    for (const shard of shards) {
      let cursor: string | undefined;
      do {
        const step = await store.weigh(shard, cursor);
        bytes += step.bytes * BYTE_WEIGHT + step.alive * SHAPE_BYTES;
        dying += step.dyingBytes * BYTE_WEIGHT;
        cursor = step.cursor;
      } while (cursor !== undefined);
    }
    count.redisBytes = Math.round(bytes + dying);
    return Math.round(bytes);
  }

  async function relieve(shard: UpkeepShard, shards: readonly ShardId[], excess: number, signal: AbortSignal) {
    const idle = inOrderOfUse(await readUses(store, shards, BATCH, 'skip'));
    const least = idle.length > 0 ? idle : inOrderOfUse(await readUses(store, shards, BATCH, 'include'));
    const ending = enough(least, excess, BATCH);
    for (const [id, handles] of grouped(ending)) {
      signal.throwIfAborted();
      const ended = await endShapes(deps, id, handles, NO_ROOM);
      count.refuse('redisBytes', ended);
    }
    log.info(
      {
        shard: shard.id.shard,
        ended: ending.length,
        excess,
        bytes: ending.reduce((sum, one) => sum + weightOf(one), 0),
      },
      'shapes of a source that had used up its bytes in the store have ended',
    );
    return ending.length > 0;
  }

  return {
    name: 'redis-quota',
    always: true,
    periodMs: options.periodMs,
    async turn(shard, signal) {
      const { redisBytes } = options.quotas();
      if (redisBytes === undefined) {
        room.found(0);
        count.redisBytes = undefined;
        return 'done';
      }
      const ends = shard.id.shard === 0;
      // One look is enough for all shards of this process; the one that ends shapes makes its own.
      if (!ends && clock.now() - lookedAt < options.periodMs / 2) return 'done';
      lookedAt = clock.now();
      const shards = shardsOf(shard.id, shard.shards);
      const wasFull = room.full;
      const excess = room.found(await weigh(shards));
      if (room.full && !wasFull) {
        emitEvent(log, 'tenant_limit_reached', { limit: 'redisBytes', value: room.used ?? 0 });
      }
      if (!ends || excess <= 0) return 'done';
      return (await relieve(shard, shards, excess, signal)) ? 'more' : 'done';
    },
  };
}
