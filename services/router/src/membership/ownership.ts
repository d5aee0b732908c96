import type { Clock } from '@shapecast/service-kit';
import type { Membership } from './membership.ts';
import { planShards } from './shard-plan.ts';

/** The shards of a process, as far as who owns them is concerned: `SourceShards`. */
interface HeldShards {
  holding(): ReadonlySet<number>;
  preparing(): ReadonlyMap<number, number | undefined>;
  take(shard: number): void;
  prepare(shard: number): void;
  drop(shard: number): void;
}

interface OwnershipDeps {
  readonly membership: Membership;
  readonly clock: Clock;
  /** Shards that an operator has moved, by the router that is to have them. */
  readonly pins?: { readonly current: ReadonlyMap<number, string> };
}

interface OwnershipOptions {
  readonly source: string;
  readonly routerId: string;
  /** How long an owner has to release a shard that its next owner is prepared for. */
  readonly handoverMs: number;
}

/** Keeps the shards that a router holds equal to those it should hold, step by step. */
export class Ownership {
  readonly #deps: OwnershipDeps;
  readonly #options: OwnershipOptions;
  #wanted: ReadonlySet<number> | undefined;
  #settled = false;

  constructor(deps: OwnershipDeps, options: OwnershipOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Shards that this router is to own; undefined before that is known. */
  get wanted(): ReadonlySet<number> | undefined {
    return this.#wanted;
  }

  /** Nothing was left to be done when it was looked at last. */
  get settled(): boolean {
    return this.#settled;
  }

  /** Does what is to be done now about the `count` shards of the source. Called again whenever something may have changed. */
  reconcile(shards: HeldShards, count: number): void {
    const { membership, clock, pins } = this.#deps;
    const { source, routerId: id, handoverMs } = this.#options;
    // What this router owns it keeps: perhaps nobody reaches the registry. Whoever does may have taken it, and is let have it.
    if (!membership.current) return;
    const preparing = shards.preparing();
    const prepared = new Set([...preparing].flatMap(([shard, since]) => (since === undefined ? [] : [shard])));
    const me = { id, holding: shards.holding(), prepared };
    const plan = planShards(count, membership.live, me, source, pins?.current);
    this.#settled = plan.release.length + plan.prepare.length + plan.take.length + preparing.size === 0;
    this.#wanted = plan.wanted;
    for (const shard of preparing.keys()) {
      if (!plan.prepare.includes(shard) && !plan.take.includes(shard)) shards.drop(shard);
    }
    for (const shard of plan.release) shards.drop(shard);
    for (const shard of plan.prepare) {
      const since = preparing.get(shard);
      // Its owner lives and does not release it. The store knows one owner at a time.
      if (since !== undefined && clock.now() - since >= handoverMs) shards.take(shard);
      else shards.prepare(shard);
    }
    for (const shard of plan.take) shards.take(shard);
  }
}
