export interface HashOptions {
  /**
   * Secret of the hash, an integer from 0 to 2^53 - 1, best drawn at random: whoever knows it can choose keys that
   * collide and so make lookups slow.
   */
  readonly seed: number;
  /** Keeps only so many bits of the hash, 32 by default; for tests that need collisions. */
  readonly hashBits?: number;
}

/**
 * A keyed hash of 32-bit words to an int32, for tables whose keys strangers choose: the rounds of HalfSipHash-1-3. The
 * words of a value are absorbed one by one, and `finish` may be called in between, which gives the hash of a beginning.
 */
export class KeyedHash {
  readonly #key0: number;
  readonly #key1: number;
  readonly #mask: number;
  #v0 = 0;
  #v1 = 0;
  #v2 = 0;
  #v3 = 0;

  constructor({ seed, hashBits = 32 }: HashOptions) {
    this.#key0 = seed | 0;
    this.#key1 = Math.floor(seed / 0x1_0000_0000) | 0;
    this.#mask = hashBits === 32 ? -1 : (1 << hashBits) - 1;
  }

  /** Hash of `words[0..count)`. */
  ofWords(words: Int32Array, count: number): number {
    this.start();
    for (let i = 0; i < count; i++) this.absorb(words[i] as number);
    return this.finish(0, count);
  }

  /** Hash of the UTF-16 units `text[from..to)`. */
  ofText(text: string, from: number, to: number): number {
    this.start();
    let i = from;
    for (; i + 1 < to; i += 2) this.absorb(text.charCodeAt(i) | (text.charCodeAt(i + 1) << 16));
    return this.finish(i < to ? text.charCodeAt(i) : 0, to - from);
  }

  start(): void {
    this.#v0 = this.#key0;
    this.#v1 = this.#key1;
    this.#v2 = 0x6c796765 ^ this.#key0;
    this.#v3 = 0x74656462 ^ this.#key1;
  }

  absorb(word: number): void {
    let v0 = this.#v0;
    let v1 = this.#v1;
    let v2 = this.#v2;
    let v3 = this.#v3 ^ word;
    v0 = (v0 + v1) | 0;
    v1 = v0 ^ ((v1 << 5) | (v1 >>> 27));
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = v2 ^ ((v3 << 8) | (v3 >>> 24));
    v0 = (v0 + v3) | 0;
    v3 = v0 ^ ((v3 << 7) | (v3 >>> 25));
    v2 = (v2 + v1) | 0;
    v1 = v2 ^ ((v1 << 13) | (v1 >>> 19));
    v2 = (v2 << 16) | (v2 >>> 16);
    this.#v0 = v0 ^ word;
    this.#v1 = v1;
    this.#v2 = v2;
    this.#v3 = v3;
  }

  /**
   * Hash of what was absorbed and 16 bits more, which `length`, in the caller's units, tells from the same words with
   * zeros at the end. Absorbing may go on where it was.
   */
  finish(last: number, length: number): number {
    const v0 = this.#v0;
    const v1 = this.#v1;
    const v2 = this.#v2;
    const v3 = this.#v3;
    this.absorb((length << 16) | last);
    this.#v2 ^= 0xff;
    this.absorb(0);
    this.absorb(0);
    this.absorb(0);
    const hash = (this.#v1 ^ this.#v3) & this.#mask;
    this.#v0 = v0;
    this.#v1 = v1;
    this.#v2 = v2;
    this.#v3 = v3;
    return hash;
  }
}
