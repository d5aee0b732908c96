import type { RowImage } from '../change-images.ts';
import { LocalPostings } from './local-postings.ts';
import type { PostingIds, ProbeSink, Signature } from './signature.ts';

/** What all signatures have in common: postings by the numbers of their table. */
export abstract class PostingSignature implements Signature {
  readonly key: string;
  readonly columns: readonly number[];
  readonly splittable: boolean = true;
  protected readonly postings: LocalPostings;

  constructor(key: string, columns: readonly number[], ids: PostingIds) {
    this.key = key;
    this.columns = columns;
    this.postings = new LocalPostings(ids);
  }

  get isEmpty(): boolean {
    return this.postings.size === 0;
  }

  forEachPosting(visit: (posting: number) => void): void {
    this.postings.forEach(visit);
  }

  abstract probe(image: RowImage, sink: ProbeSink): void;
  abstract same(a: RowImage, b: RowImage): boolean;
  abstract release(local: number): void;

  /** The posting under a number, made when there is none. */
  protected postingAt(local: number): number {
    const known = this.postings.get(local);
    return known >= 0 ? known : this.postings.create(this, local);
  }
}
