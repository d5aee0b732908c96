import type { DurableAge } from '../durability/durable-age.ts';
import type { ShardWorker } from '../shard-worker.ts';
import type { RoundWeight } from '../upkeep/shape-round.ts';

/** The shards that a process owns, all together. */
export interface ShardsSight {
  readonly owned: number;
  readonly catchingUp: number;
  readonly lagBytes: number;
  readonly lagMs: number;
  readonly durableLagMs: number;
  /** Of all their shapes, as the last round over them found it. */
  readonly heldBytes: number;
  readonly pendingBytes: number;
}

interface SightOptions<W> {
  /** By shard, as far as they are known. */
  readonly weights: ReadonlyMap<number, Pick<RoundWeight, 'heldBytes' | 'pendingBytes'>>;
  readonly ageOf: (worker: W) => DurableAge | undefined;
  readonly now: number;
}

type Sighted = Pick<ShardWorker, 'shard' | 'report' | 'behind'>;

export function sightOf<W extends Sighted>(owned: Iterable<W>, { weights, ageOf, now }: SightOptions<W>): ShardsSight {
  const sight = { owned: 0, catchingUp: 0, lagBytes: 0, lagMs: 0, durableLagMs: 0, heldBytes: 0, pendingBytes: 0 };
  for (const worker of owned) {
    const { lag, cursorSeq } = worker.report();
    const behind = worker.behind();
    const weight = weights.get(worker.shard.shard);
    sight.owned += 1;
    sight.catchingUp += lag > 0 ? 1 : 0;
    sight.lagBytes = Math.max(sight.lagBytes, behind?.bytes ?? 0);
    sight.lagMs = Math.max(sight.lagMs, behind?.ms ?? 0);
    sight.durableLagMs = Math.max(sight.durableLagMs, ageOf(worker)?.lagMs(cursorSeq, now) ?? 0);
    sight.heldBytes += weight?.heldBytes ?? 0;
    sight.pendingBytes += weight?.pendingBytes ?? 0;
  }
  return sight;
}
