import type { Value } from '@shapecast/where';
import type { RowImage } from '../change-images.ts';
import { TupleDirectory } from '../structures/hash-directory.ts';
import type { KeySpace } from './key-space.ts';
import { PostingSignature } from './posting-signature.ts';
import type { PostingIds, ProbeSink } from './signature.ts';

/** `expression = constant`: one hash probe. */
export class EqualitySignature extends PostingSignature {
  readonly #space: KeySpace;

  constructor(key: string, space: KeySpace, ids: PostingIds) {
    super(key, space.reader.columns, ids);
    this.#space = space;
  }

  /** Undefined for a constant that no row can equal. */
  postingFor(value: Value): number | undefined {
    const known = this.#space.peek(value);
    const posting = known < 0 ? -1 : this.postings.get(known);
    if (posting >= 0) return posting;
    const id = this.#space.acquire(value);
    return id < 0 ? undefined : this.postings.create(this, id);
  }

  override probe(image: RowImage, sink: ProbeSink): void {
    const id = this.#space.find(image);
    if (id < 0) return;
    const posting = this.postings.get(id);
    if (posting >= 0) sink.hit(posting);
  }

  override same(a: RowImage, b: RowImage): boolean {
    return this.#space.find(a) === this.#space.find(b);
  }

  override release(local: number): void {
    this.postings.delete(local);
    this.#space.release(local);
  }
}

/** Several equalities at once: each part's key has a number, and the numbers together are the key. */
export class CompositeSignature extends PostingSignature {
  readonly #spaces: readonly KeySpace[];
  readonly #tuples: TupleDirectory;
  readonly #parts: Int32Array;

  constructor(key: string, spaces: readonly KeySpace[], ids: PostingIds, seed: number) {
    super(key, [...new Set(spaces.flatMap((space) => space.reader.columns))], ids);
    this.#spaces = spaces;
    this.#tuples = new TupleDirectory(spaces.length, { seed });
    this.#parts = new Int32Array(spaces.length);
  }

  /** Undefined when one of the constants is such that no row can equal it. */
  postingFor(values: readonly Value[]): number | undefined {
    const parts = this.#spaces.map((space, i) => space.acquire(values[i] as Value));
    if (parts.some((id) => id < 0)) {
      for (const [i, id] of parts.entries()) if (id >= 0) this.#spaces[i]?.release(id);
      return undefined;
    }
    const local = this.#tuples.acquire(parts);
    const posting = this.postings.get(local);
    if (posting < 0) return this.postings.create(this, local);
    for (const [i, space] of this.#spaces.entries()) space.release(parts[i] as number);
    return posting;
  }

  override probe(image: RowImage, sink: ProbeSink): void {
    const parts = this.#parts;
    for (let i = 0; i < this.#spaces.length; i++) {
      const id = (this.#spaces[i] as KeySpace).find(image);
      if (id < 0) return;
      parts[i] = id;
    }
    const local = this.#tuples.find(parts);
    const posting = local < 0 ? -1 : this.postings.get(local);
    if (posting >= 0) sink.hit(posting);
  }

  override same(a: RowImage, b: RowImage): boolean {
    return this.#spaces.every((space) => space.find(a) === space.find(b));
  }

  override release(local: number): void {
    const parts = this.#tuples.keyOf(local);
    this.postings.delete(local);
    this.#tuples.release(local);
    for (const [i, space] of this.#spaces.entries()) space.release(parts[i] as number);
  }
}
