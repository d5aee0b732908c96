import type { Test } from '@shapecast/where';
import type { AccessKey } from '@shapecast/where';
import type { Entry } from './entry.ts';

/**
 * A shape filed under one key of one column. The postings of a key are a linked list through the registrations
 * themselves: most keys have one shape, and an array per key would double the memory.
 */
export interface Registration<K> {
  readonly entry: Entry<K>;
  readonly column: ColumnPostings<K>;
  readonly key: AccessKey | null;
  /** What a hit leaves to check; undefined when the hit decides. */
  readonly residual: Test | undefined;
  /** Columns that `residual` reads. */
  readonly reads: readonly number[];
  previous: Registration<K> | undefined;
  next: Registration<K> | undefined;
}

/** Hash table over the cells of one column: wire text, or its key, to the shapes that wait for it. */
export class ColumnPostings<K> {
  readonly ordinal: number;
  /** Turns wire text into a key; undefined when it is one. */
  readonly #keyOf: ((text: string) => AccessKey) | undefined;
  readonly #heads = new Map<AccessKey | null, Registration<K>>();

  constructor(ordinal: number, keyOf: ((text: string) => AccessKey) | undefined) {
    this.ordinal = ordinal;
    this.#keyOf = keyOf;
  }

  get isEmpty(): boolean {
    return this.#heads.size === 0;
  }

  /** First of the shapes that wait for a cell. Throws InputError when the cell cannot be read. */
  find(cell: string | null): Registration<K> | undefined {
    return this.#heads.get(cell === null || this.#keyOf === undefined ? cell : this.#keyOf(cell));
  }

  /** All of them, for a cell that cannot be read: an index may never miss (spec W 0.4). */
  *everything(): Iterable<Registration<K>> {
    for (const head of this.#heads.values()) {
      for (let one: Registration<K> | undefined = head; one !== undefined; one = one.next) yield one;
    }
  }

  add(registration: Registration<K>): void {
    const head = this.#heads.get(registration.key);
    registration.next = head;
    if (head !== undefined) head.previous = registration;
    this.#heads.set(registration.key, registration);
  }

  remove(registration: Registration<K>): void {
    const { previous, next, key } = registration;
    if (next !== undefined) next.previous = previous;
    if (previous !== undefined) previous.next = next;
    else if (next !== undefined) this.#heads.set(key, next);
    else this.#heads.delete(key);
  }

  /** Shapes waiting for a key, counted up to `limit`. */
  count(key: AccessKey | null, limit: number): number {
    let count = 0;
    for (let one = this.#heads.get(key); one !== undefined && count < limit; one = one.next) count++;
    return count;
  }
}
