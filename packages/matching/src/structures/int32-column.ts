const SEGMENT_BITS = 14;
const SEGMENT_LENGTH = 1 << SEGMENT_BITS;
const OFFSET_MASK = SEGMENT_LENGTH - 1;
const FIRST_LENGTH = 16;

/** Growing array of int32 in segments of 64 KiB, so that growth copies no more than that; new items are 0. */
export class Int32Column {
  readonly #segments = [new Int32Array(FIRST_LENGTH)];

  get(index: number): number {
    return (this.#segments[index >>> SEGMENT_BITS] as Int32Array)[index & OFFSET_MASK] as number;
  }

  /** The item must exist: see `reserve`. */
  set(index: number, value: number): void {
    (this.#segments[index >>> SEGMENT_BITS] as Int32Array)[index & OFFSET_MASK] = value;
  }

  /** Segment that holds an item; a record whose length and place are the same power of two lies in one segment. */
  segmentOf(index: number): Int32Array {
    return this.#segments[index >>> SEGMENT_BITS] as Int32Array;
  }

  offsetOf(index: number): number {
    return index & OFFSET_MASK;
  }

  /** Makes items 0 to `length - 1` exist. */
  reserve(length: number): void {
    const segments = this.#segments;
    const first = segments[0] as Int32Array;
    if (length <= first.length) return;
    if (first.length < SEGMENT_LENGTH) {
      let grown = first.length * 2;
      while (grown < length && grown < SEGMENT_LENGTH) grown *= 2;
      const larger = new Int32Array(grown);
      larger.set(first);
      segments[0] = larger;
    }
    while (segments.length << SEGMENT_BITS < length) segments.push(new Int32Array(SEGMENT_LENGTH));
  }

  bytes(): number {
    let bytes = 0;
    for (const segment of this.#segments) bytes += segment.byteLength;
    return bytes;
  }
}
