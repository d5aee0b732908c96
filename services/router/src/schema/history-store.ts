import type { SnapshotMoment, TableSight } from '@shapecast/change-source';
import { BUCKETS, historyKey, type HistoryRecord, type Registries, type Registry } from '@shapecast/messaging';
import { fromRecord, toRecord } from './history-record.ts';
import { extendHistory, type TableHistory } from './table-history.ts';

/** Others who look at the same table at the same moment are few. */
const MAX_TRIES = 20;

/**
 * Histories of tables, shared by all routers of a source and outliving each of them: what happens to a table while nobody owns a
 * shard is noticed by who owns it next (spec R 7.15).
 */
export class HistoryStore {
  readonly #registries: Registries;
  readonly #source: string;
  readonly #incarnation: number;
  #registry: Registry<HistoryRecord> | undefined;

  constructor(
    registries: Registries,
    { source, incarnation }: { readonly source: string; readonly incarnation: number },
  ) {
    this.#registries = registries;
    this.#source = source;
    this.#incarnation = incarnation;
  }

  /** Adds what a look found to what is stored, and returns that. Whoever looked first at an event is who dates it. */
  async extend(sight: TableSight, moment: SnapshotMoment, shown?: ReadonlySet<number>): Promise<TableHistory> {
    const registry = await this.#open();
    const key = historyKey(this.#source, sight.oid);
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      const entry = await registry.get(key);
      const before = entry && fromRecord(this.#incarnation, entry.value);
      const now = extendHistory(before, sight, moment, shown);
      if (now === before) return now;
      // A router that has not heard of a newer incarnation yet must not take its history away.
      if (entry !== undefined && entry.value.incarnation > this.#incarnation) return now;
      const record = toRecord(this.#incarnation, now);
      const stored =
        entry === undefined ? await registry.create(key, record) : await registry.update(key, record, entry.revision);
      if (stored !== undefined) return now;
    }
    throw new Error('the history of a table could not be written');
  }

  /** The table is gone, and its oid with it. */
  async forget(oid: number): Promise<void> {
    await (await this.#open()).delete(historyKey(this.#source, oid));
  }

  async #open(): Promise<Registry<HistoryRecord>> {
    this.#registry ??= await this.#registries.open<HistoryRecord>(BUCKETS.histories.name);
    return this.#registry;
  }
}
