import { BUCKETS, tableKey, type Registries, type Registry } from '@shapecast/messaging';
import type { TableName } from '@shapecast/protocol';
import type { Logger } from '@shapecast/service-kit';
import type { RelationInfo } from '@shapecast/shape';

interface TableMemoryDeps {
  readonly registries: Registries;
  readonly log: Logger;
}

/** Tables as routers last saw them. Not used, not even opened, while routers can say how they are now. */
export class TableMemory {
  readonly #deps: TableMemoryDeps;
  readonly #source: string;
  readonly #reads = new Map<string, Promise<RelationInfo | undefined>>();
  #registry: Registry<RelationInfo> | undefined;

  constructor(deps: TableMemoryDeps, source: string) {
    this.#deps = deps;
    this.#source = source;
  }

  /** Undefined when no router ever saw the table, and when the registry cannot be read either. */
  recall(table: TableName): Promise<RelationInfo | undefined> {
    const key = tableKey(this.#source, table.schema, table.name);
    const running = this.#reads.get(key);
    if (running !== undefined) return running;
    const read = this.#read(key).finally(() => this.#reads.delete(key));
    this.#reads.set(key, read);
    return read;
  }

  async #read(key: string): Promise<RelationInfo | undefined> {
    try {
      this.#registry ??= await this.#deps.registries.open<RelationInfo>(BUCKETS.tables.name);
      return (await this.#registry.get(key))?.value;
    } catch (err) {
      this.#deps.log.debug({ err }, 'the record of a table cannot be read');
      return undefined;
    }
  }
}
