import type { Clock, Logger } from '@shapecast/service-kit';
import type { Registries, Registry, RegistryEntry } from '../registry.ts';
import { Watchers, type OnEntry } from '../watchers.ts';

/** Registries of a single process, one per bucket name. */
export class MemoryRegistries implements Registries {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #buckets = new Map<string, MemoryRegistry>();

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
  }

  async open<T>(bucket: string, options: { readonly ttlMs?: number } = {}): Promise<Registry<T>> {
    const registry = this.#buckets.get(bucket) ?? new MemoryRegistry(this.#clock, this.#log);
    registry.ttlMs = options.ttlMs;
    this.#buckets.set(bucket, registry);
    // A bucket holds JSON and does not know its type; whoever opens it does.
    return registry as unknown as Registry<T>;
  }
}

interface Stored {
  readonly json: string;
  readonly revision: number;
  readonly writtenAt: number;
}

class MemoryRegistry implements Registry<unknown> {
  ttlMs: number | undefined;
  readonly #clock: Clock;
  readonly #entries = new Map<string, Stored>();
  readonly #watchers: Watchers<unknown>;
  #revision = 0;

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#watchers = new Watchers(log);
  }

  async get(key: string): Promise<RegistryEntry<unknown> | undefined> {
    return this.#entry(key);
  }

  async create(key: string, value: unknown): Promise<number | undefined> {
    return this.#live(key) ? undefined : this.#write(key, value);
  }

  async update(key: string, value: unknown, revision: number): Promise<number | undefined> {
    return this.#live(key)?.revision === revision ? this.#write(key, value) : undefined;
  }

  async put(key: string, value: unknown): Promise<number> {
    return this.#write(key, value);
  }

  async delete(key: string): Promise<void> {
    this.#revision += 1;
    if (this.#entries.delete(key)) this.#watchers.tell(key, undefined);
  }

  async list(prefix: string): Promise<readonly RegistryEntry<unknown>[]> {
    const keys = [...this.#entries.keys()].filter((key) => key.startsWith(prefix)).sort();
    return keys.map((key) => this.#entry(key)).filter((entry) => entry !== undefined);
  }

  async watch(prefix: string, onChange: OnEntry<unknown>): Promise<() => void> {
    const stop = this.#watchers.add(prefix, onChange);
    for (const key of this.#entries.keys()) {
      const entry = key.startsWith(prefix) ? this.#entry(key) : undefined;
      if (entry) this.#watchers.tellOne(onChange, key, entry);
    }
    return stop;
  }

  #entry(key: string): RegistryEntry<unknown> | undefined {
    const stored = this.#live(key);
    return stored && { key, value: JSON.parse(stored.json) as unknown, revision: stored.revision };
  }

  #write(key: string, value: unknown): number {
    this.#revision += 1;
    const json = JSON.stringify(value) ?? 'null';
    this.#entries.set(key, { json, revision: this.#revision, writtenAt: this.#clock.now() });
    this.#watchers.tell(key, { key, value: JSON.parse(json) as unknown, revision: this.#revision });
    return this.#revision;
  }

  /** Forgets an entry whose time is up when it is looked at. */
  #live(key: string): Stored | undefined {
    const stored = this.#entries.get(key);
    if (!stored || this.ttlMs === undefined || this.#clock.now() - stored.writtenAt < this.ttlMs) return stored;
    this.#entries.delete(key);
    return undefined;
  }
}
