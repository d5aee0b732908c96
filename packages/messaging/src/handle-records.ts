import { ShapecastError } from '@shapecast/errors';
import type { Clock, Logger } from '@shapecast/service-kit';
import { followRegistry, LazyRegistry, type Following } from './lazy-registry.ts';
import type { HandleRecord } from './records.ts';
import type { Registries } from './registry.ts';

interface HandleDeps {
  readonly registries: Registries;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Not among the buckets that are cleared when a source is removed: its shards count on from here whatever became of the rest
 * (spec I9). A few bytes per shard.
 */
const HANDLES = 'shapecast_handles';
/** Microseconds between what was issued and what may have been, until the next note. */
const HEAD_ROOM_US = 60_000_000;
const ATTEMPTS = 3;

/**
 * How far each shard of a source has come with its handles, outside of the store, so that a store that lost everything, and
 * whose clock went back, does not issue one again (spec R 15.2.2). Noted by the owners of the shards every few seconds, and by
 * whoever sees a handle above the head-room. Over all incarnations: a definition gives the first half of its handles for ever.
 */
export class HandleRecords {
  readonly #deps: HandleDeps;
  readonly #source: string;
  readonly #known = new Map<number, HandleRecord>();
  readonly #read = Promise.withResolvers<void>();
  readonly #registry: LazyRegistry<HandleRecord>;

  constructor(deps: HandleDeps, source: string) {
    this.#deps = deps;
    this.#source = source;
    this.#registry = new LazyRegistry(() => deps.registries.open<HandleRecord>(HANDLES));
  }

  /** Follows the records until `signal` aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const following: Following<HandleRecord> = {
      prefix: `${this.#source}.`,
      onChange: (key, entry) => {
        if (entry) this.#learn(Number(key.slice(this.#source.length + 1)), entry.value);
      },
      onBegun: () => this.#read.resolve(),
      complaint: 'the newest handles cannot be read, retrying',
    };
    await followRegistry(this.#deps, this.#registry, following, signal);
  }

  /** What is known of a shard; undefined when it has issued nothing yet. Throws NOT_READY when that cannot be read. */
  async of(shard: number, timeoutMs: number): Promise<HandleRecord | undefined> {
    const late = Promise.withResolvers<never>();
    const cancel = this.#deps.clock.after(timeoutMs, () => {
      late.reject(new ShapecastError('NOT_READY', 'Timeout waiting for shape metadata to be loaded'));
    });
    try {
      await Promise.race([this.#read.promise, late.promise]);
    } finally {
      cancel();
    }
    return this.#known.get(shard);
  }

  /** Whether a handle lies above all that the records account for. */
  isBeyond(shard: number, issued: number): boolean {
    return issued > (this.#known.get(shard)?.ceiling ?? 0);
  }

  /** Notes a handle that was issued. What is noted never goes back. Throws STREAM_UNAVAILABLE. */
  async note(shard: number, newest: number): Promise<void> {
    if (newest <= (this.#known.get(shard)?.newest ?? 0)) return;
    const registry = await this.#registry.get();
    const key = `${this.#source}.${shard}`;
    const record: HandleRecord = { v: 1, newest, ceiling: newest + HEAD_ROOM_US };
    for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
      const stored = await registry.get(key);
      if (stored && stored.value.newest >= newest) return this.#learn(shard, stored.value);
      const revision =
        stored === undefined ? await registry.create(key, record) : await registry.update(key, record, stored.revision);
      if (revision !== undefined) return this.#learn(shard, record);
    }
  }

  #learn(shard: number, record: HandleRecord): void {
    if (record.newest >= (this.#known.get(shard)?.newest ?? 0)) this.#known.set(shard, record);
  }
}
