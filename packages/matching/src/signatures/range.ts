import type { Reader } from '../reader.ts';
import type { RowImage } from '../change-images.ts';
import { IntStack } from '../structures/int-stack.ts';
import { RangeDirectory } from '../structures/range-directory.ts';
import { TextRangeDirectory } from '../structures/text-range-directory.ts';
import { PostingSignature } from './posting-signature.ts';
import type { PostingIds, ProbeSink } from './signature.ts';

/** A side of an interval; undefined: none. */
export interface RangeBound<T> {
  readonly at: T;
  readonly open: boolean;
}

/** What the interval tables of numbers and of text have in common. */
export interface IntervalTable<T> {
  acquire(low: RangeBound<T> | undefined, high: RangeBound<T> | undefined): number;
  probe(point: T, out: IntStack): void;
  release(id: number): void;
}

export function numberIntervals(): IntervalTable<number> {
  const table = new RangeDirectory();
  return {
    acquire: (low, high) => {
      // Only NaN is above Infinity: an upper bound of Infinity has to keep it out.
      const top = high?.at === Infinity && !high.open ? { at: NaN, open: true } : high;
      return table.acquire(low?.at ?? -Infinity, low?.open ?? false, top?.at ?? Infinity, top?.open ?? false);
    },
    probe: (point, out) => {
      table.probe(point, out);
    },
    release: (id) => {
      table.release(id);
    },
  };
}

export function textIntervals(): IntervalTable<string> {
  const table = new TextRangeDirectory();
  return {
    acquire: (low, high) => table.acquire(low?.at, low?.open ?? false, high?.at, high?.open ?? false),
    probe: (point, out) => {
      table.probe(point, out);
    },
    release: (id) => {
      table.release(id);
    },
  };
}

/** `expression < constant` and its like, one-sided or between two. */
export class RangeSignature<T> extends PostingSignature {
  readonly #read: Reader<T>['read'];
  readonly #table: IntervalTable<T>;
  readonly #found = new IntStack();

  constructor(key: string, reader: Reader<T>, table: IntervalTable<T>, ids: PostingIds) {
    super(key, reader.columns, ids);
    this.#read = reader.read;
    this.#table = table;
  }

  postingFor(low: RangeBound<T> | undefined, high: RangeBound<T> | undefined): number {
    const local = this.#table.acquire(low, high);
    return this.postingAt(local);
  }

  override probe(image: RowImage, sink: ProbeSink): void {
    const point = this.#read(image.values);
    if (point === null) return;
    const found = this.#found;
    found.clear();
    this.#table.probe(point, found);
    for (let i = 0; i < found.length; i++) sink.hit(this.postings.get(found.get(i)));
  }

  override same(a: RowImage, b: RowImage): boolean {
    return this.#read(a.values) === this.#read(b.values);
  }

  override release(local: number): void {
    this.postings.delete(local);
    this.#table.release(local);
  }
}
