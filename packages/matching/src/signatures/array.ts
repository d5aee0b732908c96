import type { ArrayValue, Value } from '@shapecast/where';
import type { Key, Reader } from '../reader.ts';
import type { RowImage } from '../change-images.ts';
import { NumberDirectory, type Directory } from '../structures/hash-directory.ts';
import { StringDirectory } from '../structures/string-directory.ts';
import { LocalPostings } from './local-postings.ts';
import type { PostingIds, ProbeSink, Signature } from './signature.ts';

/** Keys of the distinct non-NULL elements of an array. */
export function elementKeys({ elements }: ArrayValue, keyOf: (value: Value) => Key): Set<Key> {
  const keys = new Set<Key>();
  for (const element of elements) if (element !== null) keys.add(keyOf(element));
  return keys;
}

/** `array @> constant`, `array && constant` and `constant = ANY (array)`: entries wait for an element. */
export class ElementSignature implements Signature {
  readonly key: string;
  readonly columns: readonly number[];
  readonly splittable = true;
  readonly #read: Reader<Value>['read'];
  readonly #keyOf: (value: Value) => Key;
  readonly #seed: number;
  readonly #postings: LocalPostings;
  #directory: Directory<Key> | undefined;

  constructor(key: string, reader: Reader<Value>, keyOf: (value: Value) => Key, ids: PostingIds, seed: number) {
    this.key = key;
    this.columns = reader.columns;
    this.#read = reader.read;
    this.#keyOf = keyOf;
    this.#seed = seed;
    this.#postings = new LocalPostings(ids);
  }

  get isEmpty(): boolean {
    return this.#postings.size === 0;
  }

  /** Posting of an element, -1 when nobody waits for it yet. */
  find(key: Key): number {
    const local = this.#directory?.find(key) ?? -1;
    return local < 0 ? -1 : this.#postings.get(local);
  }

  postingFor(key: Key): number {
    const known = this.find(key);
    if (known >= 0) return known;
    this.#directory ??= directoryFor(key, this.#seed);
    return this.#postings.create(this, this.#directory.acquire(key));
  }

  probe(image: RowImage, sink: ProbeSink): void {
    const value = this.#read(image.values) as ArrayValue | null;
    if (value === null) return;
    for (const key of elementKeys(value, this.#keyOf)) {
      const posting = this.find(key);
      if (posting >= 0) sink.hit(posting);
    }
  }

  same(): boolean {
    return false;
  }

  release(local: number): void {
    this.#postings.delete(local);
    this.#directory?.release(local);
  }

  forEachPosting(visit: (posting: number) => void): void {
    this.#postings.forEach(visit);
  }
}

/**
 * `array <@ constant`: an entry waits for each element of its constant and for the empty array. A row looks up one of its
 * elements only, because all of them have to be in the constant.
 */
export class ContainedBySignature implements Signature {
  readonly key: string;
  readonly columns: readonly number[];
  readonly splittable = true;
  readonly #read: Reader<Value>['read'];
  readonly #keyOf: (value: Value) => Key;
  readonly #seed: number;
  /** Place 0: for the empty array. The others are one more than the number of an element. */
  readonly #postings: LocalPostings;
  #directory: Directory<Key> | undefined;

  constructor(key: string, reader: Reader<Value>, keyOf: (value: Value) => Key, ids: PostingIds, seed: number) {
    this.key = key;
    this.columns = reader.columns;
    this.#read = reader.read;
    this.#keyOf = keyOf;
    this.#seed = seed;
    this.#postings = new LocalPostings(ids);
  }

  get isEmpty(): boolean {
    return this.#postings.size === 0;
  }

  postingForEmpty(): number {
    const known = this.#postings.get(0);
    return known >= 0 ? known : this.#postings.create(this, 0);
  }

  postingFor(key: Key): number {
    this.#directory ??= directoryFor(key, this.#seed);
    const found = this.#directory.find(key);
    const known = found < 0 ? -1 : this.#postings.get(found + 1);
    return known >= 0 ? known : this.#postings.create(this, this.#directory.acquire(key) + 1);
  }

  probe(image: RowImage, sink: ProbeSink): void {
    const value = this.#read(image.values) as ArrayValue | null;
    if (value === null) return;
    const [first] = value.elements;
    // NULL is contained in nothing.
    if (first === null) return;
    const local = first === undefined ? 0 : (this.#directory?.find(this.#keyOf(first)) ?? -1) + 1;
    const posting = first !== undefined && local === 0 ? -1 : this.#postings.get(local);
    if (posting >= 0) sink.hit(posting);
  }

  same(): boolean {
    return false;
  }

  release(local: number): void {
    this.#postings.delete(local);
    if (local > 0) this.#directory?.release(local - 1);
  }

  forEachPosting(visit: (posting: number) => void): void {
    this.#postings.forEach(visit);
  }
}

function directoryFor(key: Key, seed: number): Directory<Key> {
  const options = { seed };
  const directory = typeof key === 'number' ? new NumberDirectory(options) : new StringDirectory(options);
  return directory as Directory<unknown> as Directory<Key>;
}
