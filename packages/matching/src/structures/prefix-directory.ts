import type { DirectoryOptions } from './hash-directory.ts';
import type { IntStack } from './int-stack.ts';
import { KeyedHash } from './keyed-hash.ts';
import { TextTable } from './text-table.ts';

/** Lengths that always have a place of their own. A longer prefix finds one of these to be cut to at the latest. */
const FIXED_LENGTHS = [0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64];
/** Other lengths that may have one at a time: together at most 32, which bounds the cost of a probe. */
const MAX_OTHER_LENGTHS = 20;

/** Tags: whether the stored text is the whole prefix or its beginning. */
const WHOLE = 0;
const SHORTENED = 1;

interface PrefixOptions extends DirectoryOptions {
  /** Look at the end of the text instead of its start: a directory of suffixes. */
  readonly reversed?: boolean;
}

/**
 * Finds which of many prefixes (or suffixes) a text has: one hash probe per distinct length of a prefix, the hashes of
 * all beginnings being computed in one pass over the text. Lengths are in UTF-16 units. When there are too many distinct
 * lengths, further prefixes are shortened to a length at hand, and their hits are for the caller to check.
 */
export class PrefixDirectory {
  readonly #reversed: boolean;
  readonly #hash: KeyedHash;
  readonly #texts = new TextTable();
  /** Distinct lengths of stored texts, ascending, and how many texts have each. */
  readonly #lengths: number[] = [];
  readonly #counts = new Map<number, number>();
  #otherLengths = 0;
  #shortened = 0;

  constructor(options: PrefixOptions) {
    this.#reversed = options.reversed ?? false;
    this.#hash = new KeyedHash(options);
  }

  get size(): number {
    return this.#texts.size;
  }

  /** Posting id of the prefix, existing or new. Shortened prefixes share one with those that begin alike. */
  acquire(prefix: string): number {
    const length = this.#storedLength(prefix.length);
    const tag = length === prefix.length ? WHOLE : SHORTENED;
    const from = this.#reversed ? prefix.length - length : 0;
    const hash = this.#hashOf(prefix, length);
    const found = this.#texts.find(hash, prefix, from, from + length, tag);
    if (found >= 0) return found;
    this.#countLength(length);
    this.#shortened += tag;
    return this.#texts.add(hash, prefix, from, from + length, tag);
  }

  /** Pushes the ids of all prefixes of the text, each once; of the shortened ones, those whose stored part fits. */
  probe(text: string, out: IntStack): void {
    const hash = this.#hash;
    const lengths = this.#lengths;
    hash.start();
    let absorbed = 0;
    for (let i = 0; i < lengths.length; i++) {
      const length = lengths[i] as number;
      if (length > text.length) return;
      absorbed = this.#absorb(text, absorbed, length);
      const last = absorbed < length ? this.#unitAt(text, absorbed) : 0;
      const from = this.#reversed ? text.length - length : 0;
      const value = hash.finish(last, length);
      const whole = this.#texts.find(value, text, from, from + length, WHOLE);
      if (whole >= 0) out.push(whole);
      if (this.#shortened === 0) continue;
      const shortened = this.#texts.find(value, text, from, from + length, SHORTENED);
      if (shortened >= 0) out.push(shortened);
    }
  }

  /** Whether a hit of this id means that the text has the whole prefix; if not, the caller checks. */
  isExact(id: number): boolean {
    return this.#texts.tagOf(id) === WHOLE;
  }

  /** Forgets the prefix of this id, which is given out again later. Throws when the id is not in use. */
  release(id: number): void {
    const text = this.#texts.textOf(id);
    this.#shortened -= this.#texts.tagOf(id);
    this.#texts.remove(this.#hashOf(text, text.length), id);
    this.#uncountLength(text.length);
  }

  bytes(): number {
    return this.#texts.bytes();
  }

  #hashOf(text: string, length: number): number {
    this.#hash.start();
    const absorbed = this.#absorb(text, 0, length);
    return this.#hash.finish(absorbed < length ? this.#unitAt(text, absorbed) : 0, length);
  }

  /** Absorbs units in pairs, from `from` to at most `to`; returns how far it came. */
  #absorb(text: string, from: number, to: number): number {
    let at = from;
    for (; at + 1 < to; at += 2) this.#hash.absorb(this.#unitAt(text, at) | (this.#unitAt(text, at + 1) << 16));
    return at;
  }

  #unitAt(text: string, index: number): number {
    return text.charCodeAt(this.#reversed ? text.length - 1 - index : index);
  }

  #storedLength(length: number): number {
    if (this.#counts.has(length) || FIXED_LENGTHS.includes(length)) return length;
    if (this.#otherLengths < MAX_OTHER_LENGTHS) return length;
    let longest = 0;
    for (const one of [...FIXED_LENGTHS, ...this.#lengths]) if (one < length && one > longest) longest = one;
    return longest;
  }

  #countLength(length: number): void {
    const count = this.#counts.get(length) ?? 0;
    this.#counts.set(length, count + 1);
    if (count > 0) return;
    this.#lengths.push(length);
    this.#lengths.sort((a, b) => a - b);
    if (!FIXED_LENGTHS.includes(length)) this.#otherLengths++;
  }

  #uncountLength(length: number): void {
    const count = this.#counts.get(length) as number;
    if (count > 1) {
      this.#counts.set(length, count - 1);
      return;
    }
    this.#counts.delete(length);
    this.#lengths.splice(this.#lengths.indexOf(length), 1);
    if (!FIXED_LENGTHS.includes(length)) this.#otherLengths--;
  }
}
