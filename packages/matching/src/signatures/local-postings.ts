import type { PostingIds, Signature } from './signature.ts';

const NONE = -1;

/** The postings of one signature by the dense ids of its directory. */
export class LocalPostings {
  readonly #ids: PostingIds;
  #postings = new Int32Array(4).fill(NONE);
  #size = 0;

  constructor(ids: PostingIds) {
    this.#ids = ids;
  }

  get size(): number {
    return this.#size;
  }

  /** -1 when there is none. */
  get(local: number): number {
    return local < this.#postings.length ? (this.#postings[local] as number) : NONE;
  }

  create(signature: Signature, local: number): number {
    if (local >= this.#postings.length) {
      const larger = new Int32Array(Math.max(local + 1, this.#postings.length * 2)).fill(NONE, this.#postings.length);
      larger.set(this.#postings);
      this.#postings = larger;
    }
    const posting = this.#ids.create(signature, local);
    this.#postings[local] = posting;
    this.#size++;
    return posting;
  }

  delete(local: number): void {
    this.#postings[local] = NONE;
    this.#size--;
  }

  forEach(visit: (posting: number) => void): void {
    for (const posting of this.#postings) if (posting !== NONE) visit(posting);
  }
}
