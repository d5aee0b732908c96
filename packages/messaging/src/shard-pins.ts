import { ShapecastError } from '@shapecast/errors';
import type { Clock, Logger } from '@shapecast/service-kit';
import { followRegistry, LazyRegistry } from './lazy-registry.ts';
import { BUCKETS } from './records.ts';
import type { Registries, RegistryEntry } from './registry.ts';

/**
 * Registry bucket: key is the source id. Routers that an operator has given shards to, by the number of the shard. They count as long as
 * the router is there and may have shards; then the shard is where it would be without.
 */
export interface ShardPinRecord {
  readonly v: 1;
  readonly pins: Readonly<Record<string, string>>;
}

interface PinDeps {
  readonly registries: Registries;
  readonly clock: Clock;
  readonly log: Logger;
}

const TRIES = 5;

/** The shards of a source that an operator has moved. Every router follows them, so that all come to the same plan. */
export class ShardPins {
  readonly #deps: PinDeps;
  readonly #source: string;
  readonly #onChange: () => void;
  readonly #registry: LazyRegistry<ShardPinRecord>;
  #pins: ReadonlyMap<number, string> = new Map();

  constructor(deps: PinDeps, source: string, onChange: () => void = () => undefined) {
    this.#deps = deps;
    this.#source = source;
    this.#onChange = onChange;
    this.#registry = new LazyRegistry(() => deps.registries.open<ShardPinRecord>(BUCKETS.pins.name));
  }

  /** As they are known so far: by shard, the router. */
  get current(): ReadonlyMap<number, string> {
    return this.#pins;
  }

  /** Follows them until `signal` aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const onChange = (key: string, entry: RegistryEntry<ShardPinRecord> | undefined) => {
      if (key !== this.#source) return;
      this.#pins = pinsIn(entry?.value);
      this.#onChange();
    };
    const complaint = 'the shards that were moved by an operator cannot be read, retrying';
    await followRegistry(
      this.#deps,
      this.#registry,
      { prefix: this.#source, onChange, onBegun: () => undefined, complaint },
      signal,
    );
  }

  /** As they are stored. Throws STREAM_UNAVAILABLE. */
  async read(): Promise<ReadonlyMap<number, string>> {
    const registry = await this.#registry.get();
    return pinsIn((await registry.get(this.#source))?.value);
  }

  /** Gives a shard to a router; undefined: to whoever it would be given to without. Throws STREAM_UNAVAILABLE. */
  async set(shard: number, router: string | undefined): Promise<void> {
    const registry = await this.#registry.get();
    for (let tries = 0; tries < TRIES; tries += 1) {
      const before = await registry.get(this.#source);
      const pins = new Map(pinsIn(before?.value));
      if (router === undefined) pins.delete(shard);
      else pins.set(shard, router);
      const record: ShardPinRecord = { v: 1, pins: Object.fromEntries(pins) };
      const written =
        before === undefined
          ? await registry.create(this.#source, record)
          : await registry.update(this.#source, record, before.revision);
      if (written !== undefined) return;
    }
    throw new ShapecastError('STREAM_UNAVAILABLE', 'Somebody else moves shards of the source. Please retry.');
  }
}

function pinsIn(record: ShardPinRecord | undefined): ReadonlyMap<number, string> {
  // One of a version to come is left alone.
  if (record?.v !== 1) return new Map();
  return new Map(Object.entries(record.pins).map(([shard, router]) => [Number(shard), router]));
}
