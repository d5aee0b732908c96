const SEGMENT_BITS = 13;
const SEGMENT_LENGTH = 1 << SEGMENT_BITS;
const OFFSET_MASK = SEGMENT_LENGTH - 1;

/** Growing array in parts, so that no growth copies more than a part however long it has become. */
export class Segments<T> {
  readonly #segments: (T | undefined)[][] = [[]];

  /** Undefined where nothing was set. */
  get(index: number): T | undefined {
    return this.#segments[index >>> SEGMENT_BITS]?.[index & OFFSET_MASK];
  }

  set(index: number, value: T | undefined): void {
    const at = index >>> SEGMENT_BITS;
    while (this.#segments.length <= at) this.#segments.push([]);
    (this.#segments[at] as (T | undefined)[])[index & OFFSET_MASK] = value;
  }
}

const FIRST_LENGTH = 4;

/** The same for float64; 0 where nothing was set. */
export class Float64Segments {
  readonly #segments = [new Float64Array(FIRST_LENGTH)];

  /** The index must have been set, or one above it. */
  get(index: number): number {
    return (this.#segments[index >>> SEGMENT_BITS] as Float64Array)[index & OFFSET_MASK] as number;
  }

  set(index: number, value: number): void {
    this.#reserve(index + 1);
    (this.#segments[index >>> SEGMENT_BITS] as Float64Array)[index & OFFSET_MASK] = value;
  }

  #reserve(length: number): void {
    const segments = this.#segments;
    const first = segments[0] as Float64Array;
    if (length <= first.length) return;
    if (first.length < SEGMENT_LENGTH) {
      const larger = new Float64Array(Math.min(SEGMENT_LENGTH, Math.max(length, first.length * 2)));
      larger.set(first);
      segments[0] = larger;
    }
    while (segments.length << SEGMENT_BITS < length) segments.push(new Float64Array(SEGMENT_LENGTH));
  }
}
