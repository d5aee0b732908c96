import type { RowImage } from '../change-images.ts';

/** Where a signature tells what a row hits. */
export interface ProbeSink {
  /** Everything in the posting. */
  hit(posting: number): void;
  /** Everything in one posting that is not in the other; -1 stands for an empty posting. */
  hitExcept(posting: number, excluded: number): void;
}

/**
 * One way to look rows up: the hash table, interval table or pattern table of one expression (spec W 9.5, 9.6). It finds
 * postings; what is in them is kept elsewhere.
 */
export interface Signature {
  readonly key: string;
  /** Ordinals of the columns that decide what is hit. */
  readonly columns: readonly number[];
  /** Whether the entries of its postings may be indexed further. */
  readonly splittable: boolean;
  readonly isEmpty: boolean;
  /** Throws ClauseEvaluationError or InputError when the row does not tell; part of the hits may have been told. */
  probe(image: RowImage, sink: ProbeSink): void;
  /** True when both images are known to hit the same. */
  same(a: RowImage, b: RowImage): boolean;
  /** A posting of it that has become empty is given up. `local` is what it was made under. */
  release(local: number): void;
  forEachPosting(visit: (posting: number) => void): void;
}

/** Makes posting ids, which are unique among all signatures of an index. */
export interface PostingIds {
  create(signature: Signature, local: number): number;
}
