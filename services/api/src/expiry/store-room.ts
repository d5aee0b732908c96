import type { Clock, Logger } from '@shapecast/service-kit';
import type { ShapeStore, ShardId, StoreMemory } from '@shapecast/shape-store';

interface RoomDeps {
  readonly store: Pick<ShapeStore, 'memory'>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What is known of the memory is believed for this long. */
const FRESH_MS = 1_000;

/** Why no shape can be created; what is said of it to clients. */
const REASONS = {
  full: 'The storage for shapes is nearly full: no new shape is created until there is room. Please retry.',
  evicts: 'The storage for shapes may lose data (its eviction policy): no new shape is created. Please retry.',
} as const;

/**
 * Whether the nodes of the store have room for new shapes: what is left above the mark is for the changes of those that are there (spec R
 * 12.6.1). Nor are there any in a store that deletes data on its own (O F146).
 */
export class StoreRoom {
  readonly #deps: RoomDeps;
  readonly #highWater: number;
  #memory: readonly StoreMemory[] = [];
  #readAt = -Infinity;
  #reading: Promise<void> | undefined;
  /** By the node's name; those that are not in it have room. */
  readonly #states = new Map<string, keyof typeof REASONS>();

  constructor(deps: RoomDeps, options: { readonly highWater: number }) {
    this.#deps = deps;
    this.#highWater = options.highWater;
  }

  /**
   * What keeps shapes from being created in a shard, in words for clients; undefined when nothing does. Asks the store at most once
   * a second, whoever asks how often. One that does not answer counts as it was.
   */
  async refusal(shard: ShardId): Promise<string | undefined> {
    if (this.#deps.clock.now() - this.#readAt >= FRESH_MS) {
      this.#reading ??= this.#read().finally(() => (this.#reading = undefined));
      await this.#reading;
    }
    const state = this.#states.get(this.#memory.find((memory) => memory.holds(shard))?.node ?? '');
    return state && REASONS[state];
  }

  /** Of the fullest node, as last seen. */
  get report(): { readonly state: string } & Partial<StoreMemory> {
    const share = ({ usedBytes, maxBytes }: StoreMemory) => usedBytes / maxBytes;
    const [fullest] = [...this.#memory].sort((a, b) => share(b) - share(a));
    const state = [...this.#states.values()].sort()[0] ?? 'room';
    return { state, ...fullest };
  }

  async #read(): Promise<void> {
    const { store, clock, log } = this.#deps;
    this.#readAt = clock.now();
    try {
      this.#memory = await store.memory();
    } catch (err) {
      log.debug({ err }, 'the memory of the store could not be asked for');
      return;
    }
    const known = new Set(this.#memory.map(({ node }) => node));
    for (const node of this.#states.keys()) if (!known.has(node)) this.#states.delete(node);
    for (const memory of this.#memory) this.#judge(memory);
  }

  #judge(memory: StoreMemory): void {
    const { log } = this.#deps;
    const { node, usedBytes, maxBytes, evicts } = memory;
    const full = usedBytes > this.#highWater * maxBytes;
    const state = evicts ? 'evicts' : full ? 'full' : undefined;
    if (state === this.#states.get(node)) return;
    const fields = { node, usedBytes, maxBytes, evicts, highWater: this.#highWater };
    switch (state) {
      case undefined:
        this.#states.delete(node);
        return log.info(fields, 'the store has room, shapes are created again');
      case 'full':
        this.#states.set(node, state);
        return log.warn(fields, 'the store is nearly full, no shapes are created');
      case 'evicts':
        this.#states.set(node, state);
        return log.error(fields, 'the store evicts data, no shapes are created: set maxmemory-policy to noeviction');
    }
  }
}
