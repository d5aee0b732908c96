import type { IntStack } from './int-stack.ts';
import { Int32Column } from './int32-column.ts';
import { MIN_CLASS, SlicePool } from './slice-pool.ts';

/** Entries of a block of a large posting: a slice without a header. */
const BLOCK_CLASS = 9;
const BLOCK_LENGTH = 1 << BLOCK_CLASS;
/** A posting of at most so many entries lies in one slice, behind its header. */
const MAX_SMALL = BLOCK_LENGTH - 1;
/** A large posting that has shrunk to this becomes small again. */
const SHRINK_TO_SMALL = BLOCK_LENGTH / 2;
/** Header of a slice: its class, above the number of entries; negative for the block list of a large posting. */
const COUNT_BITS = 26;
const COUNT_MASK = (1 << COUNT_BITS) - 1;
const LARGE = 1 << 31;

/**
 * Sets of entries by posting id. An entry is a registration id, an int32 from 0, best dense, and is in at most one
 * posting of a pool at a time. Posting ids need no introduction: one never used, or emptied, is an empty posting.
 *
 * Most postings have one entry, which stands in the posting's own int32. Others are a slice of a pool, and above 511
 * entries a list of blocks, so that no call moves much. The place of each entry is kept, which makes removal O(1).
 */
export class PostingPool {
  /** By posting: 0 when empty, the complement of a single entry, or a slice. */
  readonly #heads = new Int32Column();
  #headCount = 0;
  /** By entry: its place in its posting. */
  readonly #places = new Int32Column();
  readonly #slices = new SlicePool();

  /** Adds an entry that is in no posting of this pool. */
  add(posting: number, entry: number): void {
    if (posting >= this.#headCount) {
      this.#heads.reserve(posting + 1);
      this.#headCount = posting + 1;
    }
    this.#places.reserve(entry + 1);
    const head = this.#heads.get(posting);
    if (head === 0) {
      this.#heads.set(posting, ~entry);
      this.#places.set(entry, 0);
      return;
    }
    let slice = head;
    if (head < 0) {
      slice = this.#slices.allocate(MIN_CLASS);
      this.#slices.set(slice, 0, headerOf(MIN_CLASS, 1));
      this.#slices.set(slice, 1, ~head);
      this.#heads.set(posting, slice);
    }
    this.#append(posting, slice, entry);
  }

  /** Takes an entry out of its posting. Throws when it is not there. */
  remove(posting: number, entry: number): void {
    const head = this.#headOf(posting);
    if (head === ~entry) {
      this.#heads.set(posting, 0);
      return;
    }
    const place = head > 0 && entry >= 0 ? this.#places.get(entry) : -1;
    const count = head > 0 ? countOf(this.#slices.get(head, 0)) : 0;
    if (!(place >= 0 && place < count) || this.#entryAt(head, place) !== entry) {
      throw new Error(`entry ${entry} is not in posting ${posting}`);
    }
    const last = this.#entryAt(head, count - 1);
    this.#setEntryAt(head, place, last);
    this.#places.set(last, place);
    this.#drop(posting, head, count - 1);
  }

  /** Entries of the posting. */
  size(posting: number): number {
    const head = this.#headOf(posting);
    if (head <= 0) return head === 0 ? 0 : 1;
    return countOf(this.#slices.get(head, 0));
  }

  /** Appends the entries to `out`, in no particular order. */
  copyTo(posting: number, out: IntStack): void {
    const head = this.#headOf(posting);
    if (head === 0) return;
    if (head < 0) {
      out.push(~head);
      return;
    }
    const header = this.#slices.get(head, 0);
    const count = countOf(header);
    if (header > 0) {
      const from = this.#slices.offsetOf(head) + 1;
      out.pushRange(this.#slices.segmentOf(head), from, from + count);
      return;
    }
    for (let at = 0; at < count; at += BLOCK_LENGTH) {
      const block = this.#slices.get(head, 1 + (at >> BLOCK_CLASS));
      const from = this.#slices.offsetOf(block);
      out.pushRange(this.#slices.segmentOf(block), from, from + Math.min(BLOCK_LENGTH, count - at));
    }
  }

  /** Calls for each entry; the posting must not change meanwhile. */
  forEach(posting: number, visit: (entry: number) => void): void {
    const head = this.#headOf(posting);
    if (head < 0) visit(~head);
    if (head <= 0) return;
    const count = countOf(this.#slices.get(head, 0));
    for (let i = 0; i < count; i++) visit(this.#entryAt(head, i));
  }

  bytes(): number {
    return this.#heads.bytes() + this.#places.bytes() + this.#slices.bytes();
  }

  #headOf(posting: number): number {
    return posting >= 0 && posting < this.#headCount ? this.#heads.get(posting) : 0;
  }

  #entryAt(slice: number, place: number): number {
    if (this.#slices.get(slice, 0) > 0) return this.#slices.get(slice, 1 + place);
    return this.#slices.get(this.#slices.get(slice, 1 + (place >> BLOCK_CLASS)), place & (BLOCK_LENGTH - 1));
  }

  #setEntryAt(slice: number, place: number, entry: number): void {
    if (this.#slices.get(slice, 0) > 0) this.#slices.set(slice, 1 + place, entry);
    else {
      const block = this.#slices.get(slice, 1 + (place >> BLOCK_CLASS));
      this.#slices.set(block, place & (BLOCK_LENGTH - 1), entry);
    }
  }

  #append(posting: number, slice: number, entry: number): void {
    const count = countOf(this.#slices.get(slice, 0));
    const roomy = this.#withRoom(slice, count);
    if (roomy !== slice) this.#heads.set(posting, roomy);
    this.#slices.set(roomy, 0, this.#slices.get(roomy, 0) + 1);
    this.#setEntryAt(roomy, count, entry);
    this.#places.set(entry, count);
  }

  /** The slice, or the one that replaces it, with a place for one entry more. */
  #withRoom(slice: number, count: number): number {
    const header = this.#slices.get(slice, 0);
    const sizeClass = classOf(header);
    if (header > 0) {
      if (count + 1 < 1 << sizeClass) return slice;
      if (count < MAX_SMALL) return this.#moved(slice, headerOf(sizeClass + 1, count), count);
      const block = this.#slices.allocate(BLOCK_CLASS);
      this.#slices.copy(slice, 1, block, 0, count);
      this.#slices.free(slice, sizeClass);
      const list = this.#slices.allocate(MIN_CLASS);
      this.#slices.set(list, 0, LARGE | headerOf(MIN_CLASS, count));
      this.#slices.set(list, 1, block);
      return this.#withRoom(list, count);
    }
    if ((count & (BLOCK_LENGTH - 1)) !== 0) return slice;
    const blocks = count >> BLOCK_CLASS;
    const list =
      blocks + 1 < 1 << sizeClass ? slice : this.#moved(slice, LARGE | headerOf(sizeClass + 1, count), blocks);
    this.#slices.set(list, 1 + blocks, this.#slices.allocate(BLOCK_CLASS));
    return list;
  }

  /** Gives back what `count` entries do not need; the last entry has been taken out. */
  #drop(posting: number, slice: number, count: number): void {
    const header = this.#slices.get(slice, 0) - 1;
    const sizeClass = classOf(header);
    this.#slices.set(slice, 0, header);
    if (header > 0) {
      if (count === 1) {
        this.#heads.set(posting, ~this.#slices.get(slice, 1));
        this.#slices.free(slice, sizeClass);
      } else if (sizeClass > MIN_CLASS && count < 1 << (sizeClass - 2)) {
        this.#heads.set(posting, this.#moved(slice, headerOf(sizeClass - 1, count), count));
      }
      return;
    }
    const blocks = (count + BLOCK_LENGTH - 1) >> BLOCK_CLASS;
    if ((count & (BLOCK_LENGTH - 1)) === 0) this.#slices.free(this.#slices.get(slice, 1 + blocks), BLOCK_CLASS);
    if (count === SHRINK_TO_SMALL) {
      const block = this.#slices.get(slice, 1);
      const small = this.#slices.allocate(BLOCK_CLASS);
      this.#slices.set(small, 0, headerOf(BLOCK_CLASS, count));
      this.#slices.copy(block, 0, small, 1, count);
      this.#slices.free(block, BLOCK_CLASS);
      this.#slices.free(slice, sizeClass);
      this.#heads.set(posting, small);
    } else if (sizeClass > MIN_CLASS && blocks < 1 << (sizeClass - 2)) {
      this.#heads.set(posting, this.#moved(slice, LARGE | headerOf(sizeClass - 1, count), blocks));
    }
  }

  /** A slice with this header and the first `items` of `old`, which is freed. */
  #moved(old: number, header: number, items: number): number {
    const slice = this.#slices.allocate(classOf(header));
    const oldClass = classOf(this.#slices.get(old, 0));
    this.#slices.copy(old, 1, slice, 1, items);
    this.#slices.set(slice, 0, header);
    this.#slices.free(old, oldClass);
    return slice;
  }
}

function headerOf(sizeClass: number, count: number): number {
  return (sizeClass << COUNT_BITS) | count;
}

function countOf(header: number): number {
  return header & COUNT_MASK;
}

function classOf(header: number): number {
  return (header >>> COUNT_BITS) & 31;
}
