import type { Clock, Logger } from '@shapecast/service-kit';
import { MemoryPressure } from '../membership/memory-pressure.ts';
import type { PrefetchPool } from './prefetch-pool.ts';

/** The shards that a process holds of one source. */
export interface ShardHolder {
  /** Shards that are owned, or about to be. */
  readonly shards: number;
  /** Their shapes: what they weigh, more or less. */
  readonly shapes: number;
}

interface MemoryDeps {
  readonly prefetch: PrefetchPool;
  readonly clock: Clock;
  readonly log: Logger;
}

const LOOK_MS = 2_000;

/** What a process does when its heap fills up, for all of its sources (spec O 3.3, F132). */
export class ProcessMemory {
  readonly #deps: MemoryDeps;
  readonly #use: (() => number) | undefined;
  readonly #lookMs: number;
  readonly #pressure = new MemoryPressure();
  readonly #holders = new Set<ShardHolder>();
  #share = 1;
  #most: number | undefined;
  #mostOf = new Map<ShardHolder, number>();

  constructor(
    deps: MemoryDeps,
    { use, lookMs }: { readonly use?: (() => number) | undefined; readonly lookMs?: number | undefined },
  ) {
    this.#deps = deps;
    this.#use = use;
    this.#lookMs = lookMs ?? LOOK_MS;
  }

  /** Part of its prefetch that the process may use. */
  get share(): number {
    return this.#share;
  }

  add(holder: ShardHolder): () => void {
    this.#holders.add(holder);
    return () => this.#holders.delete(holder);
  }

  /** Shards of one source that the process has the memory for; undefined: any number. */
  mostOf(holder: ShardHolder): number | undefined {
    return this.#most === undefined ? undefined : (this.#mostOf.get(holder) ?? holder.shards);
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (this.#use) this.look(this.#use());
      this.#deps.prefetch.divide();
      await this.#deps.clock.sleep(this.#lookMs, signal).catch(() => undefined);
    }
  }

  /** So much of the heap's limit is used, from 0 to 1. */
  look(use: number): void {
    const holders = [...this.#holders];
    const shards = holders.reduce((sum, holder) => sum + holder.shards, 0);
    const before = { share: this.#share, most: this.#most };
    const { share, most } = this.#pressure.look(use, shards);
    this.#share = share;
    this.#most = most;
    this.#mostOf = most === undefined ? new Map<ShardHolder, number>() : divide(holders, most);
    this.#deps.prefetch.limit(share);
    if (share !== before.share || most !== before.most)
      this.#deps.log.warn({ share, most }, 'memory of the router is short, or no longer so');
  }
}

/**
 * The sources with the most shapes give shards away first, one each in a round. While there is room for more than there is, the ones
 * with the fewest may have more.
 */
function divide(holders: readonly ShardHolder[], most: number): Map<ShardHolder, number> {
  const byWeight = holders.toSorted((a, b) => b.shapes - a.shapes || b.shards - a.shards);
  const left = new Map(byWeight.map((holder) => [holder, holder.shards]));
  let excess = byWeight.reduce((sum, { shards }) => sum + shards, 0) - most;
  while (excess > 0) {
    for (const holder of byWeight) {
      const shards = left.get(holder) ?? 0;
      if (excess <= 0 || shards === 0) continue;
      left.set(holder, shards - 1);
      excess -= 1;
    }
  }
  for (const holder of byWeight.toReversed()) {
    if (excess >= 0) break;
    left.set(holder, (left.get(holder) ?? 0) + 1);
    excess += 1;
  }
  return left;
}
