import type { Value } from '@shapecast/where';
import type { RowImage } from '../change-images.ts';
import { NULL_KEY, type KeySpace } from './key-space.ts';
import { LocalPostings } from './local-postings.ts';
import type { PostingIds, ProbeSink, Signature } from './signature.ts';

/** `expression <> constant` and NOT IN: everything, except what excludes the row's value. */
export class ComplementSignature implements Signature {
  readonly key: string;
  readonly columns: readonly number[];
  // Its postings belong together; splitting one would not make the other smaller.
  readonly splittable = false;
  /** For IS DISTINCT FROM: NULL is a value like others, and not the excluded one. */
  readonly #nullHits: boolean;
  readonly #space: KeySpace;
  /** Place 0: all entries. The others are one more than the number of a key: the entries that exclude it. */
  readonly #postings: LocalPostings;

  constructor(key: string, space: KeySpace, nullHits: boolean, ids: PostingIds) {
    this.key = key;
    this.columns = space.reader.columns;
    this.#space = space;
    this.#nullHits = nullHits;
    this.#postings = new LocalPostings(ids);
  }

  get isEmpty(): boolean {
    return this.#postings.size === 0;
  }

  postingForAll(): number {
    const known = this.#postings.get(0);
    return known >= 0 ? known : this.#postings.create(this, 0);
  }

  /** Undefined for a constant that no row can equal. */
  postingExcluding(value: Value): number | undefined {
    const found = this.#space.peek(value);
    const known = found < 0 ? -1 : this.#postings.get(found + 1);
    if (known >= 0) return known;
    const id = this.#space.acquire(value);
    return id < 0 ? undefined : this.#postings.create(this, id + 1);
  }

  probe(image: RowImage, sink: ProbeSink): void {
    const all = this.#postings.get(0);
    if (all < 0) return;
    const id = this.#space.find(image);
    if (id === NULL_KEY) {
      if (this.#nullHits) sink.hit(all);
    } else sink.hitExcept(all, id < 0 ? -1 : this.#postings.get(id + 1));
  }

  same(a: RowImage, b: RowImage): boolean {
    return this.#space.find(a) === this.#space.find(b);
  }

  release(local: number): void {
    this.#postings.delete(local);
    if (local > 0) this.#space.release(local - 1);
  }

  forEachPosting(visit: (posting: number) => void): void {
    this.#postings.forEach(visit);
  }
}
