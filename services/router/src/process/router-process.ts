import type { Messaging } from '@shapecast/messaging';
import type { Clock, Logger } from '@shapecast/service-kit';
import type { ShapeStore } from '@shapecast/shape-store';
import { ProcessHeartbeat } from '../membership/process-heartbeat.ts';
import { StoreReach } from '../membership/store-reach.ts';
import { FairSlots } from './fair-slots.ts';
import { FairTurns } from './fair-turns.ts';
import { ProcessMemory } from './process-memory.ts';
import { PrefetchPool } from './prefetch-pool.ts';

interface RouterProcessDeps {
  readonly messaging: Pick<Messaging, 'registries'>;
  readonly store: ShapeStore;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface RouterProcessOptions {
  /** Unique among the routers of the installation; `[A-Za-z0-9_-]+`. */
  readonly id: string;
  readonly heartbeatMs?: number | undefined;
  /** Silence after which a router does not count as living. */
  readonly leaseMs?: number | undefined;
  /** Size of the stream records read ahead for all shards of all sources together (spec O 3.3). */
  readonly prefetchBytes?: number | undefined;
  /** Snapshots at a time, of all sources together; undefined: as many as the sources may have. */
  readonly snapshotSlots?: number | undefined;
  /** The same for subset queries. */
  readonly subsetSlots?: number | undefined;
  /** How much of the heap's limit the process uses, from 0 to 1. */
  readonly heapUse?: (() => number) | undefined;
  /** How often that is looked at. */
  readonly memoryLookMs?: number | undefined;
}

const MIB = 1024 * 1024;

/** What the routers of all sources share that run in one process, divided fairly between them (spec O 4.6). */
export class RouterProcess {
  readonly id: string;
  readonly heartbeat: ProcessHeartbeat;
  readonly reach: StoreReach;
  readonly turns: FairTurns;
  readonly snapshots: FairSlots;
  readonly subsets: FairSlots;
  readonly prefetch: PrefetchPool;
  readonly memory: ProcessMemory;
  readonly #clock: Clock;
  readonly #stop = new AbortController();
  #running: Promise<unknown> | undefined;

  constructor({ messaging, store, clock, log }: RouterProcessDeps, options: RouterProcessOptions) {
    const { id, heartbeatMs = 500, leaseMs = 3_000 } = options;
    this.id = id;
    this.#clock = clock;
    this.heartbeat = new ProcessHeartbeat(
      { registries: messaging.registries, clock, log },
      { routerId: id, heartbeatMs, leaseMs },
    );
    this.reach = new StoreReach(store, clock);
    this.turns = new FairTurns({ now: () => performance.now(), later: setImmediate });
    this.snapshots = new FairSlots(options.snapshotSlots ?? Infinity);
    this.subsets = new FairSlots(options.subsetSlots ?? Infinity);
    this.prefetch = new PrefetchPool(options.prefetchBytes ?? 32 * MIB);
    this.memory = new ProcessMemory(
      { prefetch: this.prefetch, clock, log },
      { use: options.heapUse, lookMs: options.memoryLookMs },
    );
  }

  start(): void {
    const { signal } = this.#stop;
    this.#running ??= Promise.all([this.heartbeat.run(signal), this.reach.run(signal), this.memory.run(signal)]);
  }

  /** After all of its routers. Whoever is not told counts this process as dead soon enough. */
  async stop(): Promise<void> {
    if (this.#stop.signal.aborted) return;
    await within(this.#clock, GOODBYE_MS, this.heartbeat.leave());
    this.#stop.abort(new Error('the router is stopping'));
    await this.#running;
  }
}

/** The registry may be away; then there is nobody to say it to. */
export const GOODBYE_MS = 1_000;

/** Waits for `work` as long as that, whatever becomes of it. */
export async function within(clock: Clock, ms: number, work: Promise<void>): Promise<void> {
  const late = Promise.withResolvers<void>();
  const cancel = clock.after(ms, late.resolve);
  await Promise.race([work.catch(() => undefined), late.promise]);
  cancel();
}
