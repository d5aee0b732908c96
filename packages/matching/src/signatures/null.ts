import type { Reader } from '../reader.ts';
import type { RowImage } from '../change-images.ts';
import { PostingSignature } from './posting-signature.ts';
import type { PostingIds, ProbeSink } from './signature.ts';

const NULL = 0;
const NOT_NULL = 1;

/** `expression IS NULL` and `IS NOT NULL`: one posting each. */
export class NullSignature extends PostingSignature {
  readonly #isNull: Reader<boolean>['read'];

  constructor(key: string, reader: Reader<boolean>, ids: PostingIds) {
    super(key, reader.columns, ids);
    this.#isNull = reader.read;
  }

  postingFor(negated: boolean): number {
    return this.postingAt(negated ? NOT_NULL : NULL);
  }

  override probe(image: RowImage, sink: ProbeSink): void {
    const posting = this.postings.get(this.#isNull(image.values) === true ? NULL : NOT_NULL);
    if (posting >= 0) sink.hit(posting);
  }

  override same(a: RowImage, b: RowImage): boolean {
    return this.#isNull(a.values) === this.#isNull(b.values);
  }

  override release(local: number): void {
    this.postings.delete(local);
  }
}
