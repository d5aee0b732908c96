import type { ArrayValue, Value } from '@shapecast/where';
import type { Key, Reader } from '../reader.ts';
import type { RowImage } from '../change-images.ts';
import { NumberDirectory, type Directory } from '../structures/hash-directory.ts';
import { StringDirectory } from '../structures/string-directory.ts';
import { PostingSignature } from './posting-signature.ts';
import type { PostingIds, ProbeSink } from './signature.ts';

/** Keys of the distinct non-NULL elements of an array. */
export function elementKeys({ elements }: ArrayValue, keyOf: (value: Value) => Key): Set<Key> {
  const keys = new Set<Key>();
  for (const element of elements) if (element !== null) keys.add(keyOf(element));
  return keys;
}

/** Entries that wait for an element of an array. */
abstract class ArraySignature extends PostingSignature {
  readonly #read: Reader<Value>['read'];
  readonly #seed: number;
  protected readonly keyOf: (value: Value) => Key;
  #directory: Directory<Key> | undefined;

  constructor(key: string, reader: Reader<Value>, keyOf: (value: Value) => Key, ids: PostingIds, seed: number) {
    super(key, reader.columns, ids);
    this.#read = reader.read;
    this.keyOf = keyOf;
    this.#seed = seed;
  }

  /** Number of an element's key, -1 when nobody waits for it. */
  protected numberOf(key: Key): number {
    return this.#directory?.find(key) ?? -1;
  }

  protected acquire(key: Key): number {
    this.#directory ??= directoryFor(key, this.#seed);
    return this.#directory.acquire(key);
  }

  protected forget(number: number): void {
    this.#directory?.release(number);
  }

  protected arrayIn(image: RowImage): ArrayValue | null {
    return this.#read(image.values) as ArrayValue | null;
  }

  // To tell would take as long as looking both up.
  override same(): boolean {
    return false;
  }
}

/** `array @> constant`, `array && constant` and `constant = ANY (array)`. */
export class ElementSignature extends ArraySignature {
  /** Posting of an element, -1 when nobody waits for it yet. */
  find(key: Key): number {
    const local = this.numberOf(key);
    return local < 0 ? -1 : this.postings.get(local);
  }

  postingFor(key: Key): number {
    const known = this.numberOf(key);
    return this.postingAt(known >= 0 ? known : this.acquire(key));
  }

  override probe(image: RowImage, sink: ProbeSink): void {
    const value = this.arrayIn(image);
    if (value === null) return;
    for (const key of elementKeys(value, this.keyOf)) {
      const posting = this.find(key);
      if (posting >= 0) sink.hit(posting);
    }
  }

  override release(local: number): void {
    this.postings.delete(local);
    this.forget(local);
  }
}

/**
 * `array <@ constant`: an entry waits for each element of its constant and for the empty array. A row looks up one of its
 * elements only, because all of them have to be in the constant. Postings by place: at 0 those that wait for the empty array,
 * at one more than the number of an element those that wait for it.
 */
export class ContainedBySignature extends ArraySignature {
  postingForEmpty(): number {
    return this.postingAt(0);
  }

  postingFor(key: Key): number {
    const known = this.numberOf(key);
    return this.postingAt((known >= 0 ? known : this.acquire(key)) + 1);
  }

  override probe(image: RowImage, sink: ProbeSink): void {
    const value = this.arrayIn(image);
    if (value === null) return;
    const [first] = value.elements;
    // NULL is contained in nothing.
    if (first === null) return;
    const local = first === undefined ? 0 : this.numberOf(this.keyOf(first)) + 1;
    const posting = first !== undefined && local === 0 ? -1 : this.postings.get(local);
    if (posting >= 0) sink.hit(posting);
  }

  override release(local: number): void {
    this.postings.delete(local);
    if (local > 0) this.forget(local - 1);
  }
}

function directoryFor(key: Key, seed: number): Directory<Key> {
  const options = { seed };
  const directory = typeof key === 'number' ? new NumberDirectory(options) : new StringDirectory(options);
  return directory as Directory<unknown> as Directory<Key>;
}
