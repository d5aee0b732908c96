import type { Turn } from './fair-turns.ts';

/** One of the turns of the source. */
export interface WorkTurn {
  /** A step is full with so many. */
  readonly bytes: number;
  /** What it was for so far. */
  cost: number;
  /** A second call is a no-op. */
  end(): void;
}

export function workTurn({ bytes, end }: Turn): WorkTurn {
  let ended = false;
  const turn: WorkTurn = {
    bytes,
    cost: 0,
    end() {
      if (!ended) end(turn.cost);
      ended = true;
    },
  };
  return turn;
}
