import { ShapecastError } from '@shapecast/errors';
import { introspectSubject, type Rpc } from '@shapecast/messaging';
import type { TableName } from '@shapecast/protocol';
import type { Clock, Logger } from '@shapecast/service-kit';
import type { RelationInfo } from '@shapecast/shape';
import type { TableMemory } from './table-memory.ts';

const MAX_TABLES = 10_000;

interface CatalogDeps {
  readonly rpc: Rpc;
  readonly memory: TableMemory;
  /** The source sleeps: its catalog is not to be asked. */
  readonly asleep?: () => boolean;
  readonly clock: Clock;
  readonly log: Logger;
}

interface CatalogOptions {
  readonly source: string;
  /** How long an answer counts as current. */
  readonly ttlMs: number;
  readonly timeoutMs: number;
}

interface Entry {
  readonly relation: RelationInfo;
  readonly text: string;
  readonly fetchedAt: number;
}

/**
 * Tables as the source's catalog shows them, asked from a router and remembered for a short while. A table that does not
 * exist is asked for every time. As long as a table does not change, the same object comes back, so that what was derived
 * from it can be kept too.
 */
export class RelationCatalog {
  readonly #deps: CatalogDeps;
  readonly #options: CatalogOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #lookups = new Map<string, Promise<RelationInfo | undefined>>();
  readonly #stop = new AbortController();

  constructor(deps: CatalogDeps, options: CatalogOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** What is known without asking, however old. A value older than the ttl is asked for again in the background. */
  known(table: TableName): RelationInfo | undefined {
    const key = keyOf(table);
    const entry = this.#entries.get(key);
    if (entry !== undefined && this.#age(entry) > this.#options.ttlMs && !this.#asleep() && !this.#lookups.has(key)) {
      this.#fetch(key, table).catch((err: unknown) => this.#deps.log.debug({ err }, 'table could not be looked up'));
    }
    return entry?.relation;
  }

  /** A value not older than `maxAgeMs`, the ttl by default. Undefined: no such table. Throws when nobody can say. */
  async lookup(table: TableName, maxAgeMs = this.#options.ttlMs): Promise<RelationInfo | undefined> {
    const key = keyOf(table);
    const entry = this.#entries.get(key);
    if (entry !== undefined && this.#age(entry) <= maxAgeMs) return entry.relation;
    return this.#fetch(key, table);
  }

  /**
   * What is left when `lookup` fails: the table as this pod, or any router, saw it last, however long ago that was. Good for
   * finding shapes that exist, and for nothing else: it may not even exist any more. The next lookup asks for it again.
   */
  async remembered(table: TableName): Promise<RelationInfo | undefined> {
    const key = keyOf(table);
    if (!this.#entries.has(key)) {
      const relation = await this.#deps.memory.recall(table);
      if (relation !== undefined && !this.#entries.has(key)) {
        this.#set(key, { relation, text: JSON.stringify(relation), fetchedAt: -Infinity });
      }
    }
    return this.#entries.get(key)?.relation;
  }

  /** The table is not as we remember it: the next one who needs a value that is current asks for it. */
  distrust(table: TableName): void {
    const key = keyOf(table);
    const entry = this.#entries.get(key);
    if (entry !== undefined) this.#entries.set(key, { ...entry, fetchedAt: -Infinity });
  }

  stop(): void {
    this.#stop.abort(new Error('the API is stopping'));
  }

  #age(entry: Entry): number {
    return this.#deps.clock.now() - entry.fetchedAt;
  }

  /** Concurrent questions about one table are one question. */
  #fetch(key: string, table: TableName): Promise<RelationInfo | undefined> {
    const running = this.#lookups.get(key);
    if (running !== undefined) return running;
    const lookup = this.#ask(key, table).finally(() => this.#lookups.delete(key));
    this.#lookups.set(key, lookup);
    return lookup;
  }

  #asleep(): boolean {
    return this.#deps.asleep?.() === true;
  }

  async #ask(key: string, table: TableName): Promise<RelationInfo | undefined> {
    if (this.#asleep()) throw new ShapecastError('NOT_READY', 'The source sleeps: its catalog is not read.');
    const askedAt = this.#deps.clock.now();
    const answer = await this.#deps.rpc.call(
      introspectSubject(this.#options.source),
      { schema: table.schema, table: table.name },
      { timeoutMs: this.#options.timeoutMs, signal: this.#stop.signal },
    );
    const before = this.#entries.get(key);
    this.#entries.delete(key);
    if (answer === null || answer === undefined) return undefined;
    const text = JSON.stringify(answer);
    const relation = before?.text === text ? before.relation : (answer as RelationInfo);
    this.#set(key, { relation, text, fetchedAt: askedAt });
    return relation;
  }

  #set(key: string, entry: Entry): void {
    if (this.#entries.size >= MAX_TABLES) this.#entries.delete(this.#entries.keys().next().value as string);
    this.#entries.set(key, entry);
  }
}

function keyOf(table: TableName): string {
  return JSON.stringify([table.schema, table.name]);
}
