import type { Value } from '@shapecast/where';
import type { RowImage } from '../change-images.ts';
import { NULL_KEY, type KeySpace } from './key-space.ts';
import { PostingSignature } from './posting-signature.ts';
import type { PostingIds, ProbeSink } from './signature.ts';

/**
 * `expression <> constant` and NOT IN: everything, except what excludes the row's value. Postings by place: at 0 all entries,
 * at one more than the number of a key the entries that exclude it.
 */
export class ComplementSignature extends PostingSignature {
  // Its postings belong together; splitting one would not make the other smaller.
  override readonly splittable = false;
  /** For IS DISTINCT FROM: NULL is a value like others, and not the excluded one. */
  readonly #nullHits: boolean;
  readonly #space: KeySpace;

  constructor(key: string, space: KeySpace, nullHits: boolean, ids: PostingIds) {
    super(key, space.reader.columns, ids);
    this.#space = space;
    this.#nullHits = nullHits;
  }

  postingForAll(): number {
    return this.postingAt(0);
  }

  /** Undefined for a constant that no row can equal. */
  postingExcluding(value: Value): number | undefined {
    const found = this.#space.peek(value);
    const known = found < 0 ? -1 : this.postings.get(found + 1);
    if (known >= 0) return known;
    const id = this.#space.acquire(value);
    return id < 0 ? undefined : this.postings.create(this, id + 1);
  }

  override probe(image: RowImage, sink: ProbeSink): void {
    const all = this.postings.get(0);
    if (all < 0) return;
    const id = this.#space.find(image);
    if (id === NULL_KEY) {
      if (this.#nullHits) sink.hit(all);
    } else sink.hitExcept(all, id < 0 ? -1 : this.postings.get(id + 1));
  }

  override same(a: RowImage, b: RowImage): boolean {
    return this.#space.find(a) === this.#space.find(b);
  }

  override release(local: number): void {
    this.postings.delete(local);
    if (local > 0) this.#space.release(local - 1);
  }
}
