import type { Reader } from '../reader.ts';
import type { RowImage } from '../change-images.ts';
import { LocalPostings } from './local-postings.ts';
import type { PostingIds, ProbeSink, Signature } from './signature.ts';

const NULL = 0;
const NOT_NULL = 1;

/** `expression IS NULL` and `IS NOT NULL`: one posting each. */
export class NullSignature implements Signature {
  readonly key: string;
  readonly columns: readonly number[];
  readonly splittable = true;
  readonly #isNull: Reader<boolean>['read'];
  readonly #postings: LocalPostings;

  constructor(key: string, reader: Reader<boolean>, ids: PostingIds) {
    this.key = key;
    this.columns = reader.columns;
    this.#isNull = reader.read;
    this.#postings = new LocalPostings(ids);
  }

  get isEmpty(): boolean {
    return this.#postings.size === 0;
  }

  postingFor(negated: boolean): number {
    const local = negated ? NOT_NULL : NULL;
    const known = this.#postings.get(local);
    return known >= 0 ? known : this.#postings.create(this, local);
  }

  probe(image: RowImage, sink: ProbeSink): void {
    const posting = this.#postings.get(this.#isNull(image.values) === true ? NULL : NOT_NULL);
    if (posting >= 0) sink.hit(posting);
  }

  same(a: RowImage, b: RowImage): boolean {
    return this.#isNull(a.values) === this.#isNull(b.values);
  }

  release(local: number): void {
    this.#postings.delete(local);
  }

  forEachPosting(visit: (posting: number) => void): void {
    this.#postings.forEach(visit);
  }
}
