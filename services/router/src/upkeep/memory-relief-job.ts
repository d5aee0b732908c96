import { emitEvent, type Clock } from '@shapecast/service-kit';
import type { ShapeFailure, ShapeStore, StoreMemory } from '@shapecast/shape-store';
import { endShapes, type EndDeps } from './end-shapes.ts';
import { BYTE_WEIGHT, enough, grouped, inOrderOfUse, readUses, shardsOf, weightOf } from './least-used.ts';
import type { UpkeepJob, UpkeepShard } from './upkeep.ts';

interface ReliefDeps extends EndDeps {
  readonly store: Pick<ShapeStore, 'rotate' | 'leastRead' | 'memory'>;
  readonly clock: Clock;
}

interface ReliefOptions {
  readonly periodMs: number;
  /** Share of the store's memory beyond which shapes end. */
  readonly highWater: number;
  /** How long the data of a shape that ended is still held. */
  readonly graceMs: number;
}

/** Ended in one turn. */
const BATCH = 50;
/** Share of the memory below the mark where it is enough: what is refused and what is ended must not alternate. */
const BELOW = 0.02;
const SWEEP_SLACK_MS = 60_000;
const ALARM_MS = 60_000;

const NO_ROOM: ShapeFailure = {
  code: 'SHAPE_EXPIRED',
  message: 'The store ran short of memory, and this shape was not read for the longest time.',
};

/**
 * Makes room on nodes of the store that are nearly full: ends the least recently used of their shapes, those that somebody waits for
 * last (spec R 12.6.1). Their data goes only later, so what is about to go counts as gone. The owner of the first shard does it for all.
 */
export function createMemoryReliefJob(deps: ReliefDeps, options: ReliefOptions): UpkeepJob {
  const { store, clock, log } = deps;
  const rounds = new WeakMap<UpkeepShard, Map<string, Relief>>();
  let alarmedAt = -Infinity;

  function alarm({ node, usedBytes, maxBytes, evicts }: StoreMemory): void {
    if (!evicts || clock.now() - alarmedAt < ALARM_MS) return;
    log.error({ node, usedBytes, maxBytes }, 'the store evicts data: set maxmemory-policy to noeviction');
    alarmedAt = clock.now();
  }

  async function relieve(
    shard: UpkeepShard,
    memory: StoreMemory,
    known: Map<string, Relief>,
    signal: AbortSignal,
  ): Promise<'done' | 'more'> {
    const { node, usedBytes, maxBytes } = memory;
    const mark = options.highWater * maxBytes;
    const target = mark - BELOW * maxBytes;
    const before = known.get(node);
    if (before === undefined && usedBytes <= mark) return 'done';
    if (usedBytes <= target) {
      log.info({ node, usedBytes, maxBytes, ended: before?.ended }, 'the store has room again');
      known.delete(node);
      return 'done';
    }
    const relief = before ?? { ended: 0, going: [] };
    if (before === undefined) {
      known.set(node, relief);
      emitEvent(log, 'tenant_limit_reached', { limit: 'SHAPECAST_REDIS_HIGH_WATER', value: usedBytes });
    }

    const shards = shardsOf(shard.id, shard.shards).filter((id) => memory.holds(id));
    const idle = await readUses(store, shards, BATCH, 'skip');
    const dying = idle.reduce((sum, [, use]) => sum + use.dyingBytes, 0) * BYTE_WEIGHT;
    // All of it is deleted, whatever it weighed.
    if (dying === 0) relief.going = [];
    const excess = usedBytes - Math.max(dying, goingBytes(relief, clock.now(), options.graceMs)) - target;
    if (excess <= 0) return 'done';
    const all = inOrderOfUse(idle);
    const least = all.length > 0 ? all : inOrderOfUse(await readUses(store, shards, BATCH, 'include'));
    const ending = enough(least, excess, BATCH);
    if (ending.length === 0) {
      log.warn({ node, usedBytes, maxBytes }, 'the store is nearly full, and no shape is left that could end');
      return 'done';
    }
    for (const [id, handles] of grouped(ending)) {
      signal.throwIfAborted();
      await endShapes(deps, id, handles, NO_ROOM);
    }
    relief.ended += ending.length;
    relief.going.push({ at: clock.now(), bytes: ending.reduce((sum, shape) => sum + weightOf(shape), 0) });
    return 'more';
  }

  return {
    name: 'memory-relief',
    always: true,
    periodMs: options.periodMs,
    async turn(shard, signal) {
      if (shard.id.shard !== 0) return 'done';
      const known = rounds.get(shard) ?? new Map<string, Relief>();
      rounds.set(shard, known);
      let outcome: 'done' | 'more' = 'done';
      for (const memory of await store.memory()) {
        alarm(memory);
        if ((await relieve(shard, memory, known, signal)) === 'more') outcome = 'more';
      }
      return outcome;
    },
  };
}

interface Relief {
  ended: number;
  /** What was ended by this process and may not be deleted yet. */
  going: { readonly at: number; readonly bytes: number }[];
}

function goingBytes(relief: Relief, now: number, graceMs: number): number {
  relief.going = relief.going.filter(({ at }) => now - at < graceMs + SWEEP_SLACK_MS);
  return relief.going.reduce((sum, { bytes }) => sum + bytes, 0);
}
