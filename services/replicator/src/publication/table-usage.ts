import { BUCKETS, usageKey, type Registries, type Registry, type UsageRecord } from '@shapecast/messaging';

/** Which tables have shapes, as far as the routers tell. */
export interface Usage {
  /** By what each table was published when one of its shapes began; empty when that is not known. */
  readonly tables: ReadonlyMap<number, string>;
  /** Shards that nobody tells of: any table may have shapes there. */
  readonly unknown: readonly number[];
}

interface TableUsageOptions {
  readonly source: string;
  readonly incarnation: number;
  readonly shards: number;
}

/** Reads what the owners of an incarnation's shards tell of the tables they have shapes on. */
export class TableUsage {
  readonly #registries: Registries;
  readonly #options: TableUsageOptions;
  #usages: Registry<UsageRecord> | undefined;

  constructor(registries: Registries, options: TableUsageOptions) {
    this.#registries = registries;
    this.#options = options;
  }

  async read(): Promise<Usage> {
    const { source, incarnation, shards } = this.#options;
    const { name, ttlMs } = BUCKETS.usages;
    this.#usages ??= await this.#registries.open<UsageRecord>(name, { ttlMs });
    const entries = await this.#usages.list(`${source}.${incarnation}.`);
    const records = new Map(entries.map(({ key, value }) => [key, value]));
    const tables = new Map<number, string>();
    const unknown: number[] = [];
    for (let shard = 0; shard < shards; shard += 1) {
      const record = records.get(usageKey(source, incarnation, shard));
      if (record === undefined || record.any) unknown.push(shard);
      for (const [oid, published] of record?.tables ?? []) tables.set(oid, tables.get(oid) || published);
    }
    return { tables, unknown };
  }
}
