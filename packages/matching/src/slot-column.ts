import { analyseLike, prepareList, preparePattern, type ConstNode, type Value } from '@shapecast/where';
import type { Constant } from './lift.ts';
import { Float64Segments, Segments } from './segments.ts';
import { Int32Column } from './structures/int32-column.ts';
import type { KeyedHash } from './structures/keyed-hash.ts';

/**
 * The values of one slot of a template, by row: a row is an instance of the template. Typed arrays where the values allow
 * it, because a million instances are a million values.
 */
export interface SlotColumn {
  /** What a compiled test reads: a value, a prepared list, or a prepared pattern. */
  get(row: number): unknown;
  set(row: number, constant: Constant): void;
  clear(row: number): void;
  equals(row: number, constant: Constant): boolean;
  /** Adds a constant to a hash; equal ones add the same. */
  absorb(hash: KeyedHash, constant: Constant): void;
  /** The same for the constant of a row. */
  absorbRow(hash: KeyedHash, row: number): void;
  /** The constant itself, to index it again. */
  constant(row: number): Constant;
}

/** A column for constants like this one: all instances of a template have constants of the same sort (`Lifted.key`). */
export function createSlotColumn(sample: Constant, intern: (text: string) => string): SlotColumn {
  if (sample.role === 'list') return new ListColumn(sample);
  if (sample.role === 'pattern') return new PatternColumn(sample);
  const { type, value } = sample;
  if (typeof value === 'number' && type.name !== 'numeric') return new NumberColumn(sample);
  if (type.name === 'uuid') return new UuidColumn(sample);
  return new ValueColumn(sample, intern);
}

type ValueConstant = Extract<Constant, { role: 'value' }>;
type ListConstant = Extract<Constant, { role: 'list' }>;
type PatternConstant = Extract<Constant, { role: 'pattern' }>;

class NumberColumn implements SlotColumn {
  readonly #type: ValueConstant['type'];
  readonly #values = new Float64Segments();

  constructor({ type }: ValueConstant) {
    this.#type = type;
  }

  get(row: number): number {
    return this.#values.get(row);
  }

  set(row: number, constant: Constant): void {
    this.#values.set(row, (constant as ValueConstant).value as number);
  }

  clear(): void {
    // The next owner of the row overwrites it.
  }

  equals(row: number, constant: Constant): boolean {
    return Object.is(this.#values.get(row), (constant as ValueConstant).value);
  }

  absorb(hash: KeyedHash, constant: Constant): void {
    absorbNumber(hash, (constant as ValueConstant).value as number);
  }

  absorbRow(hash: KeyedHash, row: number): void {
    absorbNumber(hash, this.get(row));
  }

  constant(row: number): Constant {
    const value = this.get(row);
    return { role: 'value', type: this.#type, value, text: this.#type.format(value) };
  }
}

const WORDS = 4;

/** 16 bytes instead of a string of 36 characters. */
class UuidColumn implements SlotColumn {
  readonly #type: ValueConstant['type'];
  readonly #words = new Int32Column();
  #read: Constant | undefined;
  readonly #readWords = new Int32Array(WORDS);

  constructor({ type }: ValueConstant) {
    this.#type = type;
  }

  get(row: number): string {
    const at = row * WORDS;
    let hex = '';
    for (let i = 0; i < WORDS; i++) hex += (this.#words.get(at + i) >>> 0).toString(16).padStart(8, '0');
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  }

  set(row: number, constant: Constant): void {
    const at = row * WORDS;
    const words = this.#wordsOf(constant);
    this.#words.reserve(at + WORDS);
    for (let i = 0; i < WORDS; i++) this.#words.set(at + i, words[i] as number);
  }

  clear(): void {
    // The next owner of the row overwrites it.
  }

  equals(row: number, constant: Constant): boolean {
    const words = this.#wordsOf(constant);
    const at = row * WORDS;
    for (let i = 0; i < WORDS; i++) if (this.#words.get(at + i) !== words[i]) return false;
    return true;
  }

  absorb(hash: KeyedHash, constant: Constant): void {
    const words = this.#wordsOf(constant);
    for (let i = 0; i < WORDS; i++) hash.absorb(words[i] as number);
  }

  absorbRow(hash: KeyedHash, row: number): void {
    for (let i = 0; i < WORDS; i++) hash.absorb(this.#words.get(row * WORDS + i));
  }

  constant(row: number): Constant {
    const value = this.get(row);
    return { role: 'value', type: this.#type, value, text: value };
  }

  /** A constant is hashed, compared and stored, one after the other. */
  #wordsOf(constant: Constant): Int32Array {
    if (this.#read === constant) return this.#readWords;
    for (let i = 0; i < WORDS; i++) this.#readWords[i] = uuidWord(constant, i);
    this.#read = constant;
    return this.#readWords;
  }
}

/** Where the 8 hex digits of each word stand in `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`. */
const DIGITS = [
  [0, 1, 2, 3, 4, 5, 6, 7],
  [9, 10, 11, 12, 14, 15, 16, 17],
  [19, 20, 21, 22, 24, 25, 26, 27],
  [28, 29, 30, 31, 32, 33, 34, 35],
] as const;

function uuidWord(constant: Constant, word: number): number {
  const text = (constant as ValueConstant).value as string;
  let bits = 0;
  for (const at of DIGITS[word] as readonly number[]) {
    const code = text.charCodeAt(at);
    bits = (bits << 4) | (code <= 57 ? code - 48 : code - 87);
  }
  return bits;
}

class ValueColumn implements SlotColumn {
  readonly #type: ValueConstant['type'];
  readonly #intern: (text: string) => string;
  /** Strings are their own text; of other values both are kept. */
  readonly #values = new Segments<ValueConstant['value']>();
  readonly #texts: Segments<string> | undefined;

  constructor({ type, value }: ValueConstant, intern: (text: string) => string) {
    this.#type = type;
    this.#intern = intern;
    this.#texts = typeof value === 'string' ? undefined : new Segments();
  }

  get(row: number): unknown {
    return this.#values.get(row);
  }

  set(row: number, constant: Constant): void {
    const { value, text } = constant as ValueConstant;
    this.#values.set(row, typeof value === 'string' ? this.#intern(value) : value);
    this.#texts?.set(row, this.#intern(text));
  }

  clear(row: number): void {
    this.#values.set(row, undefined);
    this.#texts?.set(row, undefined);
  }

  equals(row: number, constant: Constant): boolean {
    const { value, text } = constant as ValueConstant;
    return this.#texts === undefined ? this.#values.get(row) === value : this.#texts.get(row) === text;
  }

  absorb(hash: KeyedHash, constant: Constant): void {
    absorbText(hash, (constant as ValueConstant).text);
  }

  absorbRow(hash: KeyedHash, row: number): void {
    absorbText(hash, this.#texts?.get(row) ?? (this.#values.get(row) as string));
  }

  constant(row: number): Constant {
    const value = this.#values.get(row) as ValueConstant['value'];
    return { role: 'value', type: this.#type, value, text: this.#texts?.get(row) ?? (value as string) };
  }
}

/** Of a list only the values are kept; the nodes around them are made again when they are needed. */
class ListColumn implements SlotColumn {
  readonly #sample: ListConstant;
  readonly #type: ListConstant['type'];
  readonly #values = new Segments<Float64Array | readonly Value[]>();
  /** Prepared when a test first asks: most lists are found by their items and never tested. */
  readonly #prepared = new Segments<unknown>();

  constructor(sample: ListConstant) {
    this.#sample = sample;
    this.#type = sample.type;
  }

  get(row: number): unknown {
    const known = this.#prepared.get(row);
    if (known !== undefined) return known;
    const prepared = prepareList((this.constant(row) as ListConstant).node);
    this.#prepared.set(row, prepared);
    return prepared;
  }

  set(row: number, constant: Constant): void {
    const values = (constant as ListConstant).items.map((item) => item.value as Value);
    const plain = this.#type.name !== 'numeric' && values.every((value) => typeof value === 'number');
    this.#values.set(row, plain ? Float64Array.from(values) : values);
    if (this.#prepared.get(row) !== undefined) this.#prepared.set(row, undefined);
  }

  clear(row: number): void {
    this.#values.set(row, undefined);
    if (this.#prepared.get(row) !== undefined) this.#prepared.set(row, undefined);
  }

  equals(row: number, constant: Constant): boolean {
    const values = this.#values.get(row) as readonly Value[];
    const { items } = constant as ListConstant;
    if (values.length !== items.length) return false;
    for (let i = 0; i < items.length; i++) {
      const value = values[i] as Value;
      const { value: other, text } = items[i] as ConstNode;
      if (!Object.is(value, other) && (typeof value === 'number' || this.#text(value) !== text)) return false;
    }
    return true;
  }

  absorb(hash: KeyedHash, constant: Constant): void {
    const { items } = constant as ListConstant;
    for (const { value } of items) this.#absorbValue(hash, value as Value);
  }

  absorbRow(hash: KeyedHash, row: number): void {
    const values = this.#values.get(row) as readonly Value[];
    for (const value of values) this.#absorbValue(hash, value);
  }

  constant(row: number): Constant {
    const values = this.#values.get(row) as readonly Value[];
    const items = Array.from(values, (value): ConstNode => {
      return { kind: 'const', type: this.#type, value, text: this.#text(value) };
    });
    const { node, hasNull } = this.#sample;
    const all = hasNull ? [...items, { kind: 'const' as const, type: this.#type, value: null, text: '' }] : items;
    return { role: 'list', type: this.#type, node: { ...node, items: all }, items, hasNull };
  }

  #absorbValue(hash: KeyedHash, value: Value): void {
    if (typeof value === 'number') absorbNumber(hash, value);
    else absorbText(hash, this.#text(value));
  }

  #text(value: Value): string {
    return typeof value === 'string' ? value : this.#type.format(value);
  }
}

class PatternColumn implements SlotColumn {
  readonly #sample: PatternConstant;
  readonly #texts = new Segments<string>();
  readonly #prepared = new Segments<unknown>();

  constructor(sample: PatternConstant) {
    this.#sample = sample;
  }

  get(row: number): unknown {
    const known = this.#prepared.get(row);
    if (known !== undefined) return known;
    const prepared = preparePattern((this.constant(row) as PatternConstant).node);
    this.#prepared.set(row, prepared);
    return prepared;
  }

  set(row: number, constant: Constant): void {
    this.#texts.set(row, (constant as PatternConstant).text);
    if (this.#prepared.get(row) !== undefined) this.#prepared.set(row, undefined);
  }

  clear(row: number): void {
    this.#texts.set(row, undefined);
    if (this.#prepared.get(row) !== undefined) this.#prepared.set(row, undefined);
  }

  equals(row: number, constant: Constant): boolean {
    return this.#texts.get(row) === (constant as PatternConstant).text;
  }

  absorb(hash: KeyedHash, constant: Constant): void {
    absorbText(hash, (constant as PatternConstant).text);
  }

  absorbRow(hash: KeyedHash, row: number): void {
    absorbText(hash, this.#texts.get(row) as string);
  }

  constant(row: number): Constant {
    const text = this.#texts.get(row) as string;
    const { node } = this.#sample;
    const pattern = { ...(node.pattern as ConstNode), value: text, text };
    return { role: 'pattern', node: { ...node, pattern }, text, shape: analyseLike(text, node.escape, node.fold) };
  }
}

const NUMBER = new Float64Array(1);
const NUMBER_WORDS = new Int32Array(NUMBER.buffer);

function absorbNumber(hash: KeyedHash, value: number): void {
  NUMBER[0] = value;
  hash.absorb(NUMBER_WORDS[0] as number);
  hash.absorb(NUMBER_WORDS[1] as number);
}

function absorbText(hash: KeyedHash, text: string): void {
  let i = 0;
  for (; i + 1 < text.length; i += 2) hash.absorb(text.charCodeAt(i) | (text.charCodeAt(i + 1) << 16));
  if (i < text.length) hash.absorb(text.charCodeAt(i));
  hash.absorb(text.length);
}
