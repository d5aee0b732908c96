import { InputError } from '../errors.ts';
import { MAX_DIMENSIONS, type ArrayShape } from './array-value.ts';
import { isBlank, isDigit } from './value.ts';

/** Text of the elements of an array, before their type's input function or after its output function. */
export type ArrayText = ArrayShape<string | null>;

const MAX_INT4 = 2147483647;
const MIN_INT4 = -2147483648;

const BACKSLASH = 92;
const CLOSE = 125;
const COMMA = 44;
const OPEN = 123;
const QUOTE = 34;

/**
 * What `array_in` makes of a text before the elements are read (spec W 5.7). Throws InputError for what it refuses, and
 * for brackets around nothing but brackets, which only Postgres 17 and later take.
 */
export function readArrayText(text: string): ArrayText {
  return readPlain(text) ?? new ArrayReader(text).read();
}

/** Most arrays of most types: one dimension, no quotes, escapes or blanks. Undefined for all others. */
function readPlain(text: string): ArrayText | undefined {
  if (!text.startsWith('{') || text.indexOf('}') !== text.length - 1) return undefined;
  if (text.includes('{', 1) || /["\\ \t\n\v\f\r]/.test(text)) return undefined;
  const elements: (string | null)[] = text.slice(1, -1).split(',');
  for (let i = 0; i < elements.length; i++) {
    const element = elements[i] as string;
    if (element === '') return undefined;
    if (isNull(element)) elements[i] = null;
  }
  return { elements, dims: [elements.length], lowerBounds: [1] };
}

/** What `array_out` writes. */
export function writeArrayText(array: ArrayText): string {
  const { elements, dims, lowerBounds } = array;
  if (elements.length === 0) return '{}';
  let prefix = '';
  if (lowerBounds.some((bound) => bound !== 1)) {
    for (const [i, length] of dims.entries()) {
      const lower = lowerBounds[i] as number;
      prefix += `[${lower}:${lower + length - 1}]`;
    }
    prefix += '=';
  }
  let items = elements.map((element) => (element === null ? 'NULL' : quoteElement(element)));
  for (let level = dims.length - 1; level >= 0; level--) {
    const length = dims[level] as number;
    const groups: string[] = [];
    for (let at = 0; at < items.length; at += length) groups.push(`{${items.slice(at, at + length).join(',')}}`);
    items = groups;
  }
  return prefix + (items[0] as string);
}

function quoteElement(text: string): string {
  if (!needsQuotes(text)) return text;
  let out = '"';
  let from = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code !== QUOTE && code !== BACKSLASH) continue;
    out += `${text.slice(from, at)}\\`;
    from = at;
  }
  return `${out}${text.slice(from)}"`;
}

function needsQuotes(text: string): boolean {
  if (text === '' || isNull(text)) return true;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (isBlank(code) || isSpecial(code) || code === QUOTE || code === BACKSLASH) return true;
  }
  return false;
}

function isNull(text: string): boolean {
  return text.length === 4 && text.toLowerCase() === 'null';
}

/** Ends an element that is not quoted. All our types separate elements by a comma. */
function isSpecial(code: number): boolean {
  return code === COMMA || code === OPEN || code === CLOSE;
}

class ArrayReader {
  readonly #text: string;
  #at = 0;
  readonly #elements: (string | null)[] = [];
  /** Announced in front, or learned from the first sub-array of each level; -1 while unknown. */
  readonly #dims: number[] = [];
  readonly #lowerBounds: number[] = [];
  /** Elements or sub-arrays so far on each level that is open. */
  readonly #counts: number[] = [];
  /** The number of dimensions can no longer grow. */
  #frozen = false;

  constructor(text: string) {
    this.#text = text;
  }

  read(): ArrayText {
    this.#readBounds();
    if (this.#text[this.#at] !== '{') throw malformed();
    this.#readBody();
    this.#skipBlanks();
    if (this.#at !== this.#text.length) throw malformed();
    if (this.#elements.length === 0) {
      if (this.#dims.length > 1) throw new InputError('malformed array literal', true);
      return { elements: [], dims: [], lowerBounds: [] };
    }
    return { elements: this.#elements, dims: this.#dims, lowerBounds: this.#lowerBounds };
  }

  /** `[2:3][1:2]=` in front of the braces; `[2]` stands for `[1:2]`. */
  #readBounds(): void {
    this.#skipBlanks();
    while (this.#text[this.#at] === '[') {
      this.#at++;
      if (this.#dims.length === MAX_DIMENSIONS) throw new InputError('too many array dimensions');
      const first = this.#readBound();
      const ranged = this.#text[this.#at] === ':';
      if (ranged) this.#at++;
      const lower = ranged ? first : 1;
      const upper = ranged ? this.#readBound() : first;
      if (this.#text[this.#at++] !== ']') throw malformed();
      if (upper < lower || upper === MAX_INT4 || upper - lower >= MAX_INT4)
        throw new InputError('array bound out of range');
      this.#dims.push(upper - lower + 1);
      this.#lowerBounds.push(lower);
      this.#skipBlanks();
    }
    if (this.#dims.length === 0) return;
    this.#frozen = true;
    if (this.#text[this.#at++] !== '=') throw malformed();
    this.#skipBlanks();
  }

  #readBound(): number {
    const start = this.#at;
    if (this.#text[this.#at] === '-' || this.#text[this.#at] === '+') this.#at++;
    const digits = this.#at;
    while (isDigit(this.#text.charCodeAt(this.#at))) this.#at++;
    if (this.#at === digits) throw malformed();
    const bound = Number(this.#text.slice(start, this.#at));
    if (bound < MIN_INT4 || bound > MAX_INT4) throw new InputError('array bound out of range');
    return bound;
  }

  #readBody(): void {
    // After an element or a closed sub-array: a comma or a closing brace has to follow.
    let complete = false;
    do {
      this.#skipBlanks();
      const code = this.#text.charCodeAt(this.#at);
      if (code === OPEN) {
        if (complete) throw malformed();
        this.#at++;
        this.#open();
      } else if (code === CLOSE) {
        if (!complete && (this.#counts.at(-1) as number) > 0) throw malformed();
        this.#at++;
        this.#close();
        complete = true;
      } else if (code === COMMA) {
        if (!complete) throw malformed();
        this.#at++;
        complete = false;
      } else {
        if (complete) throw malformed();
        this.#elements.push(code === QUOTE ? this.#readQuoted() : this.#readUnquoted());
        this.#frozen = true;
        if (this.#counts.length !== this.#dims.length) throw malformed();
        this.#count();
        complete = true;
      }
    } while (this.#counts.length > 0);
  }

  #open(): void {
    if (this.#counts.length === MAX_DIMENSIONS) throw new InputError('too many array dimensions');
    this.#counts.push(0);
    if (this.#counts.length <= this.#dims.length) return;
    if (this.#frozen) throw malformed();
    this.#dims.push(-1);
    this.#lowerBounds.push(1);
  }

  #close(): void {
    const length = this.#counts.pop() as number;
    const level = this.#counts.length;
    if (level > 0) this.#count();
    if (this.#dims[level] === -1) this.#dims[level] = length;
    else if (this.#dims[level] !== length) throw malformed();
  }

  #count(): void {
    this.#counts[this.#counts.length - 1] = (this.#counts.at(-1) as number) + 1;
  }

  #readQuoted(): string {
    const text = this.#text;
    let out = '';
    let from = ++this.#at;
    for (;;) {
      const code = text.charCodeAt(this.#at);
      if (Number.isNaN(code)) throw malformed();
      if (code === QUOTE) break;
      if (code === BACKSLASH) {
        out += text.slice(from, this.#at);
        from = ++this.#at;
        if (from >= text.length) throw malformed();
      }
      this.#at++;
    }
    out += text.slice(from, this.#at++);
    this.#skipBlanks();
    if (!isSpecial(text.charCodeAt(this.#at))) throw malformed();
    return out;
  }

  #readUnquoted(): string | null {
    const text = this.#text;
    const start = this.#at;
    let out = '';
    let from = start;
    // End of what is not trailing blanks; an escaped blank is not one.
    let end = start;
    let escaped = false;
    for (;;) {
      const code = text.charCodeAt(this.#at);
      if (Number.isNaN(code) || code === QUOTE) throw malformed();
      if (isSpecial(code)) break;
      if (code === BACKSLASH) {
        escaped = true;
        out += text.slice(from, this.#at);
        from = ++this.#at;
        if (from >= text.length) throw malformed();
        end = from + 1;
      } else if (!isBlank(code)) {
        end = this.#at + 1;
      }
      this.#at++;
    }
    out += text.slice(from, Math.max(from, end));
    return !escaped && isNull(out) ? null : out;
  }

  #skipBlanks(): void {
    while (isBlank(this.#text.charCodeAt(this.#at))) this.#at++;
  }
}

function malformed(): InputError {
  return new InputError('malformed array literal');
}
