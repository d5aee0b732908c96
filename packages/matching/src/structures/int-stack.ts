const FIRST_CAPACITY = 64;

/** Growing list of int32: what every probe writes its hits to, so that no probe allocates. Reused by `clear()`. */
export class IntStack {
  #items = new Int32Array(FIRST_CAPACITY);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(value: number): void {
    if (this.#length === this.#items.length) this.#grow(this.#length + 1);
    this.#items[this.#length++] = value;
  }

  /** Appends `source[from..to)`. */
  pushRange(source: Int32Array, from: number, to: number): void {
    const length = this.#length + to - from;
    if (length > this.#items.length) this.#grow(length);
    const items = this.#items;
    for (let i = from, at = this.#length; i < to; i++, at++) items[at] = source[i] as number;
    this.#length = length;
  }

  /** The value at a place below `length`; beyond it, whatever was there before. */
  get(index: number): number {
    return this.#items[index] as number;
  }

  /** Forgets the values from `length` on; the memory stays. */
  truncate(length: number): void {
    this.#length = length;
  }

  clear(): void {
    this.#length = 0;
  }

  #grow(length: number): void {
    const larger = new Int32Array(Math.max(length, this.#items.length * 2));
    larger.set(this.#items);
    this.#items = larger;
  }
}
