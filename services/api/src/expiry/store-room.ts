import type { Clock, Logger } from '@shapecast/service-kit';
import type { ShapeStore, StoreMemory } from '@shapecast/shape-store';

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
 * Whether the store has room for new shapes: what is left above the mark is for the changes of those that are there (spec R
 * 12.6.1). Nor are there any in a store that deletes data on its own (O F146).
 */
export class StoreRoom {
  readonly #deps: RoomDeps;
  readonly #highWater: number;
  #memory: StoreMemory | undefined;
  #readAt = -Infinity;
  #reading: Promise<void> | undefined;
  #state: 'room' | keyof typeof REASONS = 'room';

  constructor(deps: RoomDeps, options: { readonly highWater: number }) {
    this.#deps = deps;
    this.#highWater = options.highWater;
  }

  /**
   * What keeps shapes from being created, in words for clients; undefined when nothing does. Asks the store at most once a
   * second, whoever asks how often. One that does not answer counts as it was.
   */
  async refusal(): Promise<string | undefined> {
    if (this.#deps.clock.now() - this.#readAt >= FRESH_MS) {
      this.#reading ??= this.#read().finally(() => (this.#reading = undefined));
      await this.#reading;
    }
    return this.#state === 'room' ? undefined : REASONS[this.#state];
  }

  /** As last seen. */
  get report(): { readonly state: string } & Partial<StoreMemory> {
    return { state: this.#state, ...this.#memory };
  }

  async #read(): Promise<void> {
    const { store, clock, log } = this.#deps;
    this.#readAt = clock.now();
    let memory: StoreMemory | undefined;
    try {
      memory = await store.memory();
    } catch (err) {
      log.debug({ err }, 'the memory of the store could not be asked for');
      return;
    }
    const state = this.#judge(memory);
    this.#memory = memory;
    if (state === this.#state) return;
    this.#state = state;
    const fields = { ...memory, highWater: this.#highWater };
    switch (state) {
      case 'room':
        return log.info(fields, 'the store has room, shapes are created again');
      case 'full':
        return log.warn(fields, 'the store is nearly full, no shapes are created');
      case 'evicts':
        return log.error(fields, 'the store evicts data, no shapes are created: set maxmemory-policy to noeviction');
    }
  }

  #judge(memory: StoreMemory | undefined): 'room' | keyof typeof REASONS {
    if (memory === undefined) return 'room';
    if (memory.evicts) return 'evicts';
    return memory.usedBytes > this.#highWater * memory.maxBytes ? 'full' : 'room';
  }
}
