import type { ShapeStore, ShapeUse } from '@shapecast/shape-store';
import type { Clock } from '@shapecast/service-kit';
import type { UpkeepJob, UpkeepShard } from './upkeep.ts';

interface RoundDeps {
  readonly store: Pick<ShapeStore, 'scanShapes'>;
  readonly clock: Clock;
}

interface RoundOptions {
  readonly name: string;
  readonly periodMs: number;
}

/** What a job does about shapes. */
interface Visitor {
  /** Whether the shape needs anything. */
  wants(shape: ShapeUse): boolean;
  /** A bounded piece of work; 'again' has the shape visited once more before the next one is. */
  visit(shard: UpkeepShard, shape: ShapeUse, signal: AbortSignal): Promise<'next' | 'again'>;
}

interface Round {
  cursor: string | undefined;
  readonly waiting: ShapeUse[];
  lastPage: boolean;
}

/** After this a turn begins no further visit. */
const TURN_MS = 100;

/** A job that goes over all shapes of a shard, one page per turn, and visits those that need something. */
export function createShapeRound(deps: RoundDeps, options: RoundOptions, visitor: Visitor): UpkeepJob {
  const { store, clock } = deps;
  /** A shard that was given up takes its round with it. */
  const rounds = new WeakMap<UpkeepShard, Round>();
  return {
    ...options,
    async turn(shard, signal) {
      const round = rounds.get(shard) ?? { cursor: undefined, waiting: [], lastPage: false };
      rounds.set(shard, round);
      if (round.waiting.length === 0 && !round.lastPage) {
        const { shapes, cursor } = await store.scanShapes(shard.id, round.cursor);
        round.waiting.push(...shapes.filter((shape) => visitor.wants(shape)));
        round.cursor = cursor;
        round.lastPage = cursor === undefined;
      }
      const until = clock.now() + TURN_MS;
      for (let shape = round.waiting[0]; shape !== undefined && clock.now() <= until; shape = round.waiting[0]) {
        signal.throwIfAborted();
        // First of all, so that a shape whose visit fails does not hold up the others: the next round comes to it again.
        round.waiting.shift();
        if ((await visitor.visit(shard, shape, signal)) === 'again') round.waiting.unshift(shape);
      }
      if (round.waiting.length > 0 || !round.lastPage) return 'more';
      rounds.delete(shard);
      return 'done';
    },
  };
}
