import type { Registries, RegistryEntry } from '@shapecast/messaging';
import type { Clock } from '@shapecast/service-kit';

/** What nobody has asked for this long is no longer followed. */
const UNUSED_MS = 60_000;

interface Bucket {
  readonly name: string;
  readonly ttlMs?: number;
}

interface Followed {
  readonly entries: Map<string, { readonly value: unknown; readonly at: number }>;
  readonly stop: () => void;
}

interface Place {
  readonly following: Promise<Followed>;
  usedAt: number;
}

interface ViewDeps {
  readonly registries: Registries;
  readonly clock: Clock;
}

/**
 * Registries as they are, for whoever looks: followed from the first look on, and until nobody has looked for a minute, so that
 * looking at a thousand sources every few seconds asks NATS for nothing, and nobody looking costs nothing.
 */
export class RecordsView {
  readonly #deps: ViewDeps;
  readonly #places = new Map<string, Place>();
  #cancel: (() => void) | undefined;
  #stopped = false;

  constructor(deps: ViewDeps) {
    this.#deps = deps;
  }

  /** All entries; those that have expired are left out. Throws STREAM_UNAVAILABLE when it cannot be followed. */
  async all<T>(bucket: Bucket): Promise<ReadonlyMap<string, T>> {
    const { clock } = this.#deps;
    const place = this.#places.get(bucket.name) ?? this.#follow(bucket);
    place.usedAt = clock.now();
    const { entries } = await place.following;
    const after = bucket.ttlMs === undefined ? -Infinity : clock.now() - bucket.ttlMs;
    // A bucket holds JSON and does not know its type; whoever reads it does.
    return new Map([...entries].filter(([, { at }]) => at >= after).map(([key, { value }]) => [key, value as T]));
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
    for (const name of this.#places.keys()) this.#leave(name);
  }

  #follow(bucket: Bucket): Place {
    const following = this.#begin(bucket);
    const place = { following, usedAt: this.#deps.clock.now() };
    this.#places.set(bucket.name, place);
    following.catch(() => {
      if (this.#places.get(bucket.name) === place) this.#places.delete(bucket.name);
    });
    this.#sweep();
    return place;
  }

  async #begin({ name, ttlMs }: Bucket): Promise<Followed> {
    const { registries, clock } = this.#deps;
    const entries: Followed['entries'] = new Map();
    const registry = await registries.open<unknown>(name, ttlMs === undefined ? {} : { ttlMs });
    const onChange = (key: string, entry: RegistryEntry<unknown> | undefined) => {
      if (entry === undefined) entries.delete(key);
      else entries.set(key, { value: entry.value, at: clock.now() });
    };
    const stop = await registry.watch('', onChange);
    if (this.#stopped) stop();
    return { entries, stop };
  }

  #sweep(): void {
    this.#cancel ??= this.#deps.clock.after(UNUSED_MS, () => {
      this.#cancel = undefined;
      const before = this.#deps.clock.now() - UNUSED_MS;
      for (const [name, { usedAt }] of this.#places) if (usedAt <= before) this.#leave(name);
      if (this.#places.size > 0) this.#sweep();
    });
  }

  #leave(name: string): void {
    const place = this.#places.get(name);
    this.#places.delete(name);
    place?.following.then(({ stop }) => stop()).catch(() => undefined);
  }
}
