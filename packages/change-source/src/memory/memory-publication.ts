import type { PublicationCheck, PublicationSight, PublishedTable, SourcePublication } from '../source-publication.ts';
import type { MemoryDatabase } from './memory-database.ts';

/** The publication of a `MemoryDatabase`: tables are in it or not, and that is all there is to it. */
export class MemoryPublication implements SourcePublication {
  readonly #database: MemoryDatabase;

  constructor(database: MemoryDatabase) {
    this.#database = database;
  }

  async verify(used: readonly number[], signal: AbortSignal): Promise<PublicationCheck> {
    signal.throwIfAborted();
    const published = this.#database.published();
    const missing = used.filter((oid) => !published.includes(oid));
    return {
      publication: 'owned',
      incomplete: false,
      flaws: missing.flatMap((oid) => this.#table(oid)).map((table) => ({ ...table, harmful: false })),
      unneeded: published.filter((oid) => !used.includes(oid)).flatMap((oid) => this.#table(oid)),
    };
  }

  async complete(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
  }

  async hasHarmful(_used: readonly number[], signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted();
    return false;
  }

  async unpublish({ oid }: PublishedTable, mayGo: () => boolean, signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted();
    if (!mayGo()) return false;
    this.#database.unpublish(oid);
    return true;
  }

  async sight(oids: readonly number[], signal: AbortSignal): Promise<PublicationSight> {
    signal.throwIfAborted();
    const known = oids.filter((oid) => this.#database.get(oid) !== undefined);
    const tables = new Map(known.map((oid) => [oid, this.#database.publishedBy(oid)]));
    const moment = { xmax: this.#database.nextXid, running: 0 };
    return { moment, tables };
  }

  #table(oid: number): PublishedTable[] {
    const info = this.#database.get(oid);
    return info ? [{ oid, schema: info.schema, name: info.name }] : [];
  }
}
