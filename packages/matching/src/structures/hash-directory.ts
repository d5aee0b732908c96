import type { HashOptions } from './keyed-hash.ts';
import { WordTable } from './word-table.ts';

/**
 * Maps typed keys to dense posting ids: int32 from 0, and a released id is handed out again. What a posting holds is
 * not known here. Calls take constant time, and no call stands out at any size: tables grow in parts.
 */
export interface Directory<Key> {
  /** Posting id of the key: the one it has, or a new one. */
  acquire(key: Key): number;
  /** Posting id of the key, -1 when it has none. */
  find(key: Key): number;
  /** Forgets the key of this id, which is given out again later. Throws when the id is not in use: that is a bug. */
  release(id: number): void;
  /** Keys held. */
  readonly size: number;
  /** The key of an id in use. */
  keyOf(id: number): Key;
  /** Memory held, approximately. */
  bytes(): number;
}

export type DirectoryOptions = HashOptions;

/** Directory of uuids in Postgres's output form, 36 lower-case characters: any other text is refused or not found. */
export class UuidDirectory implements Directory<string> {
  readonly #table: WordTable;
  readonly #words = new Int32Array(4);

  constructor(options: DirectoryOptions) {
    this.#table = new WordTable(4, options);
  }

  get size(): number {
    return this.#table.size;
  }

  /** Throws when the key is not a uuid in output form. */
  acquire(key: string): number {
    if (!parseUuid(key, this.#words)) throw new Error('not a uuid in output form');
    return this.#table.acquire(this.#words);
  }

  find(key: string): number {
    return parseUuid(key, this.#words) ? this.#table.find(this.#words) : -1;
  }

  release(id: number): void {
    this.#table.release(id, this.#words);
  }

  keyOf(id: number): string {
    this.#table.read(id, this.#words);
    const hex = Array.from(this.#words, (word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
  }

  bytes(): number {
    return this.#table.bytes();
  }
}

/** One of the many bit patterns of NaN: a typed array may write any of them. */
const NAN_WORDS = new Int32Array(new Float64Array([NaN]).buffer);

/** Directory of float64: NaN equals NaN and -0 equals 0, which it comes back as. */
export class NumberDirectory implements Directory<number> {
  readonly #table: WordTable;
  readonly #number = new Float64Array(1);
  readonly #words = new Int32Array(this.#number.buffer);

  constructor(options: DirectoryOptions) {
    this.#table = new WordTable(2, options);
  }

  get size(): number {
    return this.#table.size;
  }

  acquire(key: number): number {
    this.#write(key);
    return this.#table.acquire(this.#words);
  }

  find(key: number): number {
    this.#write(key);
    return this.#table.find(this.#words);
  }

  release(id: number): void {
    this.#table.release(id, this.#words);
  }

  keyOf(id: number): number {
    this.#table.read(id, this.#words);
    return this.#number[0] as number;
  }

  bytes(): number {
    return this.#table.bytes();
  }

  #write(key: number): void {
    if (Number.isNaN(key)) this.#words.set(NAN_WORDS);
    else this.#number[0] = key + 0; // -0 + 0 is 0
  }
}

/**
 * Directory of tuples of 2 to 4 int32, for composite keys: each part is the id that the directory of its own
 * expression gave. The parts are read during the call and no reference is kept, so one array can serve all calls.
 */
export class TupleDirectory implements Directory<ArrayLike<number>> {
  readonly #arity: number;
  readonly #table: WordTable;
  /** Three parts lie in four words, the last of them 0. */
  readonly #words = new Int32Array(4);

  constructor(arity: number, options: DirectoryOptions) {
    if (arity < 2 || arity > 4) throw new Error(`a tuple of ${arity} parts`);
    this.#arity = arity;
    this.#table = new WordTable(arity === 2 ? 2 : 4, options);
  }

  get size(): number {
    return this.#table.size;
  }

  acquire(key: ArrayLike<number>): number {
    this.#write(key);
    return this.#table.acquire(this.#words);
  }

  find(key: ArrayLike<number>): number {
    this.#write(key);
    return this.#table.find(this.#words);
  }

  release(id: number): void {
    this.#table.release(id, this.#words);
  }

  keyOf(id: number): number[] {
    this.#table.read(id, this.#words);
    return Array.from(this.#words.subarray(0, this.#arity));
  }

  bytes(): number {
    return this.#table.bytes();
  }

  #write(key: ArrayLike<number>): void {
    for (let i = 0; i < this.#arity; i++) this.#words[i] = key[i] as number;
  }
}

/** Marks what is no lower-case hexadecimal digit. */
const NO_DIGIT = 0x100;
const DIGITS = Int16Array.from({ length: 128 }, (_, code) => {
  const digit = '0123456789abcdef'.indexOf(String.fromCharCode(code));
  return digit < 0 ? NO_DIGIT : digit;
});
const DASH = 0x2d;

/** Writes the four words of a uuid; false when the text is not a uuid in output form. */
function parseUuid(text: string, words: Int32Array): boolean {
  if (text.length !== 36) return false;
  const dashes =
    (text.charCodeAt(8) ^ DASH) |
    (text.charCodeAt(13) ^ DASH) |
    (text.charCodeAt(18) ^ DASH) |
    (text.charCodeAt(23) ^ DASH);
  const a = fourDigits(text, 0);
  const b = fourDigits(text, 4);
  const c = fourDigits(text, 9);
  const d = fourDigits(text, 14);
  const e = fourDigits(text, 19);
  const f = fourDigits(text, 24);
  const g = fourDigits(text, 28);
  const h = fourDigits(text, 32);
  if (dashes !== 0 || (a | b | c | d | e | f | g | h) < 0) return false;
  words[0] = (a << 16) | b;
  words[1] = (c << 16) | d;
  words[2] = (e << 16) | f;
  words[3] = (g << 16) | h;
  return true;
}

/** Value of four digits, negative when one of them is none. */
function fourDigits(text: string, at: number): number {
  const a = text.charCodeAt(at);
  const b = text.charCodeAt(at + 1);
  const c = text.charCodeAt(at + 2);
  const d = text.charCodeAt(at + 3);
  const p = DIGITS[a & 127] as number;
  const q = DIGITS[b & 127] as number;
  const r = DIGITS[c & 127] as number;
  const s = DIGITS[d & 127] as number;
  if (((p | q | r | s) & NO_DIGIT) !== 0 || (a | b | c | d) > 127) return -1;
  return (p << 12) | (q << 8) | (r << 4) | s;
}
