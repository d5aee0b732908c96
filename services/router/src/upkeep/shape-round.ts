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
  /** All shapes of the shard were looked at. */
  over?(shard: UpkeepShard, weight: RoundWeight): void;
}

/** What all shapes of a shard together have, as a round found them. */
export interface RoundWeight {
  /** As the store holds them. */
  readonly heldBytes: number;
  /** Of changes that wait for snapshots. */
  readonly pendingBytes: number;
  /** How long it took to look at them, without what was done about them. */
  readonly lookMs: number;
}

interface Round {
  cursor: string | undefined;
  readonly waiting: ShapeUse[];
  lastPage: boolean;
  heldBytes: number;
  pendingBytes: number;
  lookMs: number;
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
      const round = rounds.get(shard) ?? beginning();
      rounds.set(shard, round);
      if (round.waiting.length === 0 && !round.lastPage) {
        const startedAt = clock.now();
        const { shapes, cursor } = await store.scanShapes(shard.id, round.cursor);
        round.lookMs += clock.now() - startedAt;
        for (const { heldBytes, pendingBytes = 0 } of shapes) {
          round.heldBytes += heldBytes;
          round.pendingBytes += pendingBytes;
        }
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
      visitor.over?.(shard, round);
      return 'done';
    },
  };
}

function beginning(): Round {
  return { cursor: undefined, waiting: [], lastPage: false, heldBytes: 0, pendingBytes: 0, lookMs: 0 };
}
