const SEGMENT_BITS = 16;
const SEGMENT_LENGTH = 1 << SEGMENT_BITS;
const OFFSET_MASK = SEGMENT_LENGTH - 1;
const FIRST_LENGTH = 64;

/** Slices have 4 (class 2) to 65,536 (class 16) items. */
export const MIN_CLASS = 2;
const MAX_CLASS = 16;

/**
 * Slices of int32 in powers of two, cut from segments of 256 KiB: lists without an object each. A slice is named by a
 * positive int32, and a freed one serves the next of its class.
 */
export class SlicePool {
  readonly #segments = [new Int32Array(FIRST_LENGTH)];
  /** First free slice of each class, 0 when there is none; the next one stands in the slice's first item. */
  readonly #free = new Int32Array(MAX_CLASS + 1);
  /** Items used of the last segment; no slice is named 0. */
  #used = 1 << MIN_CLASS;

  /** Items of a new slice are whatever was there before. */
  allocate(sizeClass: number): number {
    if (sizeClass > MAX_CLASS) throw new Error('a posting is full');
    const free = this.#free[sizeClass] as number;
    if (free === 0) return this.#cut(1 << sizeClass);
    this.#free[sizeClass] = this.get(free, 0);
    return free;
  }

  free(slice: number, sizeClass: number): void {
    this.set(slice, 0, this.#free[sizeClass] as number);
    this.#free[sizeClass] = slice;
  }

  get(slice: number, index: number): number {
    return this.segmentOf(slice)[(slice & OFFSET_MASK) + index] as number;
  }

  set(slice: number, index: number, value: number): void {
    this.segmentOf(slice)[(slice & OFFSET_MASK) + index] = value;
  }

  segmentOf(slice: number): Int32Array {
    return this.#segments[slice >>> SEGMENT_BITS] as Int32Array;
  }

  offsetOf(slice: number): number {
    return slice & OFFSET_MASK;
  }

  copy(from: number, fromIndex: number, to: number, toIndex: number, length: number): void {
    for (let i = 0; i < length; i++) this.set(to, toIndex + i, this.get(from, fromIndex + i));
  }

  bytes(): number {
    let bytes = 0;
    for (const segment of this.#segments) bytes += segment.byteLength;
    return bytes;
  }

  #cut(length: number): number {
    let last = this.#segments.length - 1;
    const segment = this.#segments[last] as Int32Array;
    let room = segment.length;
    while (this.#used + length > room && room < SEGMENT_LENGTH) room *= 2;
    if (this.#used + length > room) {
      this.#freeRest(last);
      last = this.#segments.push(new Int32Array(SEGMENT_LENGTH)) - 1;
      this.#used = 0;
    } else if (room > segment.length) {
      const larger = new Int32Array(room);
      larger.set(segment);
      this.#segments[last] = larger;
    }
    const slice = (last << SEGMENT_BITS) + this.#used;
    this.#used += length;
    return slice;
  }

  /** What is left of a segment becomes free slices. All slices start at multiples of 4, so nothing remains. */
  #freeRest(last: number): void {
    while (this.#used < SEGMENT_LENGTH) {
      const sizeClass = 31 - Math.clz32(SEGMENT_LENGTH - this.#used);
      this.free((last << SEGMENT_BITS) + this.#used, sizeClass);
      this.#used += 1 << sizeClass;
    }
  }
}
