import { Segments } from './segments.ts';
import { HashTable } from './structures/hash-table.ts';
import { IdPool } from './structures/id-pool.ts';
import { KeyedHash } from './structures/keyed-hash.ts';

/**
 * The keys callers know their shapes by, and a ticket for each: a small number. Strings and numbers are found again through
 * a hash table that grows in parts; a Map of a million would stop everything for as long as it takes to rehash it. Other
 * keys do go into a Map: callers with many of those keep the ticket instead (`byTicket`).
 */
export class ShapeKeys<K> {
  readonly #byTicket: boolean;
  readonly #keys = new Segments<K>();
  readonly #tickets = new IdPool();
  readonly #hash: KeyedHash;
  readonly #number = new Float64Array(1);
  readonly #words = new Int32Array(this.#number.buffer);
  readonly #table = new HashTable();
  readonly #objects = new Map<K, number>();

  constructor(options: { readonly seed: number; readonly byTicket: boolean }) {
    this.#hash = new KeyedHash(options);
    this.#byTicket = options.byTicket;
  }

  get size(): number {
    return this.#tickets.size;
  }

  add(key: K): number {
    const ticket = this.#tickets.take();
    this.#keys.set(ticket, key);
    if (this.#byTicket) return ticket;
    const hash = this.#hashOf(key);
    if (hash === undefined) this.#objects.set(key, ticket);
    else this.#table.add(hash, ticket);
    return ticket;
  }

  /** -1 when there is no such shape. */
  find(key: K): number {
    if (this.#byTicket) return -1;
    const hash = this.#hashOf(key);
    if (hash === undefined) return this.#objects.get(key) ?? -1;
    for (let ticket = this.#table.first(hash); ticket >= 0; ticket = this.#table.next()) {
      if (Object.is(this.#keys.get(ticket), key)) return ticket;
    }
    return -1;
  }

  keyOf(ticket: number): K {
    return this.#keys.get(ticket) as K;
  }

  has(ticket: number): boolean {
    return this.#keys.get(ticket) !== undefined;
  }

  remove(ticket: number): void {
    const key = this.keyOf(ticket);
    this.#keys.set(ticket, undefined);
    this.#tickets.give(ticket);
    if (this.#byTicket) return;
    const hash = this.#hashOf(key);
    if (hash === undefined) this.#objects.delete(key);
    else this.#table.remove(hash, ticket);
  }

  #hashOf(key: K): number | undefined {
    if (typeof key === 'string') return this.#hash.ofText(key, 0, key.length);
    if (typeof key !== 'number') return undefined;
    this.#number[0] = key;
    return this.#hash.ofWords(this.#words, 2);
  }
}
