import { ShapecastError } from '@shapecast/errors';
import { LazyRegistry } from './lazy-registry.ts';
import { BUCKETS } from './records.ts';
import type { Registries } from './registry.ts';

/**
 * Registry bucket: key is `durableKey`. How far a shard has come for sure: its store would still know it after a crash (spec R
 * 12.4.3). Written by the shard's owner every few seconds while it moves; shards that were never owned have none.
 */
export interface DurableRecord {
  readonly v: 1;
  /** The shard never reads messages of the tx stream up to this sequence again, itself included; 0: it may read all. */
  readonly seq: number;
  /** Commit LSN of the last transaction that was applied completely, in decimal. */
  readonly lsn: string;
  /**
   * Inside a transaction, of which everything up to this sequence is applied. Only a new owner reads it again from its beginning; without
   * that, the shapes of the shard would have to start over.
   */
  readonly applied?: number;
  /** When it was written, in milliseconds since 1970; for people. */
  readonly at: number;
}

export function durableKey(source: string, incarnation: number, shard: number): string {
  return `${source}.${incarnation}.${shard}`;
}

/** The shard that has come least far for sure; without a cursor when it has not told. */
export interface LowestCursor {
  readonly shard: number;
  readonly cursor: DurableRecord | undefined;
}

/**
 * The oldest of the durable cursors of an incarnation: the tx stream may be trimmed up to it, less a margin (spec R 9.1.3). A shard that
 * has not told is the oldest. Throws STREAM_UNAVAILABLE.
 */
export async function lowestDurableCursor(
  registries: Registries,
  source: string,
  { incarnation, shards }: { readonly incarnation: number; readonly shards: number },
): Promise<LowestCursor> {
  const registry = await registries.open<DurableRecord>(BUCKETS.durable.name);
  const entries = await registry.list(`${source}.${incarnation}.`);
  const known = new Map(entries.map(({ key, value }) => [key, value]));
  let lowest: LowestCursor | undefined;
  for (let shard = 0; shard < shards; shard += 1) {
    const cursor = known.get(durableKey(source, incarnation, shard));
    if (cursor === undefined) return { shard, cursor };
    if (lowest?.cursor === undefined || BigInt(cursor.lsn) < BigInt(lowest.cursor.lsn)) lowest = { shard, cursor };
  }
  if (lowest === undefined) throw new Error('a source has at least one shard');
  return lowest;
}

/**
 * What no shard needs as long as none changes hands inside a transaction: the messages of the tx stream below this sequence. Undefined as
 * long as one of the shards has not told. Throws STREAM_UNAVAILABLE.
 */
export async function lowestAppliedSeq(
  registries: Registries,
  source: string,
  { incarnation, shards }: { readonly incarnation: number; readonly shards: number },
): Promise<number | undefined> {
  const registry = await registries.open<DurableRecord>(BUCKETS.durable.name);
  const entries = await registry.list(`${source}.${incarnation}.`);
  if (entries.length < shards) return undefined;
  return Math.min(...entries.map(({ value }) => value.applied ?? value.seq));
}

const ATTEMPTS = 5;

/**
 * The durable cursor of one shard, as its owner notes it. Whoever claimed the record last writes it: what an owner that was
 * replaced had confirmed may be of a store that has gone back since.
 */
export class DurableCursorNote {
  readonly #registry: LazyRegistry<DurableRecord>;
  readonly #key: string;
  /** Of our last write; 0 when there was no record to claim, undefined when the record is not ours. */
  #revision: number | undefined;

  constructor(
    registries: Registries,
    place: { readonly source: string; readonly incarnation: number; readonly shard: number },
  ) {
    this.#registry = new LazyRegistry(() => registries.open<DurableRecord>(BUCKETS.durable.name));
    this.#key = durableKey(place.source, place.incarnation, place.shard);
  }

  /**
   * Takes the record over from earlier owners, for a shard that stands at `now`. A record that is ahead of it is set back: the
   * store has lost more than it may, and nothing more must leave the stream on its account (spec O F141). Returns what it said then.
   */
  async claim(now: DurableRecord): Promise<DurableRecord | undefined> {
    const registry = await this.#registry.get();
    for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
      const stored = await registry.get(this.#key);
      if (stored === undefined) {
        this.#revision = 0;
        return undefined;
      }
      const ahead = stored.value.seq > now.seq;
      this.#revision = await registry.update(this.#key, ahead ? now : stored.value, stored.revision);
      if (this.#revision !== undefined) return ahead ? stored.value : undefined;
    }
    throw new ShapecastError(
      'STREAM_UNAVAILABLE',
      'The durable cursor of a shard changes faster than it can be claimed.',
    );
  }

  /** False when somebody else has claimed the record since. Throws STREAM_UNAVAILABLE; then it may be written or not. */
  async note(record: DurableRecord): Promise<boolean> {
    const revision = this.#revision;
    if (revision === undefined) return false;
    const registry = await this.#registry.get();
    this.#revision =
      revision === 0 ? await registry.create(this.#key, record) : await registry.update(this.#key, record, revision);
    return this.#revision !== undefined;
  }
}
