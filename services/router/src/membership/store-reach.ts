import type { Clock } from '@shapecast/service-kit';
import type { ShapeStore } from '@shapecast/shape-store';

const LOOK_MS = 500;
/** A store that starts again is away for everybody: by then all of them have noticed. */
const PATIENCE_MS = 3_000;

/** Whether this process reaches the store. One that does not is to have no shards while another one does. */
export class StoreReach {
  readonly #store: Pick<ShapeStore, 'connected' | 'memory'>;
  readonly #clock: Clock;
  #reachedAt: number;

  constructor(store: Pick<ShapeStore, 'connected' | 'memory'>, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
    this.#reachedAt = clock.now();
  }

  get ok(): boolean {
    return this.#store.connected() || this.#clock.now() - this.#reachedAt < PATIENCE_MS;
  }

  /** Looks until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      // Connecting begins with a call, and a router without shards makes none.
      if (!this.#store.connected()) await this.#store.memory().catch(() => undefined);
      if (this.#store.connected()) this.#reachedAt = this.#clock.now();
      await this.#clock.sleep(LOOK_MS, signal).catch(() => undefined);
    }
  }
}
