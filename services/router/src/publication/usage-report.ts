import { BUCKETS, usageKey, type Registries, type Registry, type UsageRecord } from '@shapecast/messaging';
import type { Clock, Logger } from '@shapecast/service-kit';
import type { ShardIndex } from '../matching/shard-index.ts';

interface UsageReportDeps {
  readonly registries: Registries;
  readonly clock: Clock;
  readonly log: Logger;
  /** Those that this process owns. */
  readonly shards: () => Iterable<{
    readonly index: ShardIndex;
    readonly shard: { readonly shard: number };
    readonly epoch: number | undefined;
  }>;
}

/** Much shorter than any linger (spec R 7.11). */
const INTERVAL_MS = 2_000;
/** Records expire after three times that. */
const REFRESH_MS = 20_000;
/** A record has to fit into a message. */
const MAX_TABLES = 20_000;

interface Written {
  readonly text: string;
  readonly at: number;
}

/**
 * Tells the leading replicator which tables have shapes, shard by shard, so that it knows which ones it may stop publishing (spec R
 * 7.1, 7.11). A shard that nobody tells of keeps all tables published, and so does one whose owner cannot write: records expire.
 */
export class UsageReport {
  readonly #deps: UsageReportDeps;
  readonly #source: string;
  readonly #incarnation: number;
  readonly #refreshMs: number;
  readonly #written = new Map<number, Written>();
  #usages: Registry<UsageRecord> | undefined;
  #failing = false;

  constructor(
    deps: UsageReportDeps,
    stream: { readonly source: string; readonly incarnation: number; readonly refreshMs?: number },
  ) {
    this.#deps = deps;
    this.#refreshMs = stream.refreshMs ?? REFRESH_MS;
    this.#source = stream.source;
    this.#incarnation = stream.incarnation;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    while (!signal.aborted) {
      try {
        await this.write();
        this.#failing = false;
      } catch (err) {
        if (!this.#failing) log.warn({ err }, 'the tables in use cannot be told, trying again');
        this.#failing = true;
      }
      await clock.sleep(INTERVAL_MS, signal).catch(() => undefined);
    }
  }

  /** Writes what has changed, and what would expire. */
  async write(): Promise<void> {
    const now = this.#deps.clock.now();
    const owned = new Set<number>();
    for (const { shard, index, epoch } of [...this.#deps.shards()]) {
      if (epoch === undefined) continue;
      owned.add(shard.shard);
      const record = usageOf(index, epoch);
      const text = JSON.stringify(record);
      const written = this.#written.get(shard.shard);
      if (written?.text === text && now - written.at < this.#refreshMs) continue;
      if (await this.#put(usageKey(this.#source, this.#incarnation, shard.shard), record)) {
        this.#written.set(shard.shard, { text, at: now });
      }
    }
    for (const shard of this.#written.keys()) if (!owned.has(shard)) this.#written.delete(shard);
  }

  /** False when it has to be tried again. An owner after us has the last word. */
  async #put(key: string, record: UsageRecord): Promise<boolean> {
    const { name, ttlMs } = BUCKETS.usages;
    this.#usages ??= await this.#deps.registries.open<UsageRecord>(name, { ttlMs });
    const current = await this.#usages.get(key);
    if (current === undefined) return (await this.#usages.create(key, record)) !== undefined;
    if (current.value.epoch > record.epoch) return true;
    return (await this.#usages.update(key, record, current.revision)) !== undefined;
  }
}

function usageOf(index: ShardIndex, epoch: number): UsageRecord {
  const oids = [...index.oids()].sort((a, b) => a - b);
  if (oids.length > MAX_TABLES) return { epoch, tables: [], any: true };
  return { epoch, tables: oids.map((oid) => [oid, publishedOf(index, oid)] as const) };
}

/** The first shape that knows: one is enough to say that the gap was closed. */
function publishedOf(index: ShardIndex, oid: number): string {
  for (const { record } of index.shapesOn(oid)) {
    if (record.state === 'live' && record.snapshot?.published !== undefined) return record.snapshot.published;
  }
  return '';
}
