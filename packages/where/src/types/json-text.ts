import { InputError } from '../errors.ts';
import { decodeNumeric, formatNumeric, parseNumericLiteral, type Numeric } from './decimal.ts';
import { isArray, isObject, type JsonNode, type JsonObject } from './json-value.ts';
import { compareCodePoints, isHex, utf8Bytes } from './text.ts';
import { isDigit } from './value.ts';

/** Postgres goes as deep as its stack, some thousand levels; we stop before ours. */
export const MAX_DEPTH = 500;

const BACKSLASH = 92;
const QUOTE = 34;

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

/**
 * What `jsonb_in` reads: of members with the same key the last one counts, numbers are exact. Throws InputError for what
 * it refuses, `\u0000` among it, and for nesting deeper than 500 levels and numbers above 1,000 digits, which it takes.
 */
export function parseJson(text: string): JsonNode {
  return new JsonReader(text, (digits) => parseNumericLiteral(digits).value).read();
}

/** A jsonb from the wire. As parseJson, for numbers of any length. */
export function decodeJson(text: string): JsonNode {
  return new JsonReader(text, decodeNumeric).read();
}

/** What `jsonb_out` writes. */
export function formatJson(node: JsonNode, formatNumber: (value: Numeric) => string = formatNumeric): string {
  if (node === null) return 'null';
  if (typeof node === 'string') return quoteJson(node);
  if (typeof node === 'boolean') return String(node);
  if (isArray(node)) return `[${node.map((one) => formatJson(one, formatNumber)).join(', ')}]`;
  if (!isObject(node)) return formatNumber(node);
  const members: string[] = [];
  for (const [key, value] of node) members.push(`${quoteJson(key)}: ${formatJson(value, formatNumber)}`);
  return `{${members.join(', ')}}`;
}

/** The members in the order of jsonb; of several with one key the last. */
export function createObject(members: Map<string, JsonNode>): JsonObject {
  let last: string | undefined;
  for (const key of members.keys()) {
    if (last !== undefined && compareKeys(last, key) > 0) {
      return new Map([...members].sort(([a], [b]) => compareKeys(a, b)));
    }
    last = key;
  }
  return members;
}

function compareKeys(a: string, b: string): number {
  return utf8Bytes(a) - utf8Bytes(b) || compareCodePoints(a, b);
}

function quoteJson(text: string): string {
  let out = '"';
  let from = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code >= 32 && code !== QUOTE && code !== BACKSLASH) continue;
    out += text.slice(from, at) + escapeOf(code);
    from = at + 1;
  }
  return `${out}${text.slice(from)}"`;
}

function escapeOf(code: number): string {
  switch (code) {
    case QUOTE:
      return '\\"';
    case BACKSLASH:
      return '\\\\';
    case 8:
      return '\\b';
    case 9:
      return '\\t';
    case 10:
      return '\\n';
    case 12:
      return '\\f';
    case 13:
      return '\\r';
    default:
      return `\\u${code.toString(16).padStart(4, '0')}`;
  }
}

class JsonReader {
  readonly #text: string;
  readonly #readNumber: (digits: string) => Numeric;
  #at = 0;
  #depth = 0;

  constructor(text: string, readNumber: (digits: string) => Numeric) {
    this.#text = text;
    this.#readNumber = readNumber;
  }

  read(): JsonNode {
    const node = this.#value();
    this.#skipBlanks();
    if (this.#at !== this.#text.length) throw invalid();
    return node;
  }

  #value(): JsonNode {
    this.#skipBlanks();
    switch (this.#text[this.#at]) {
      case '{':
        return this.#object();
      case '[':
        return this.#array();
      case '"':
        return this.#string();
      case 't':
        return this.#word('true', true);
      case 'f':
        return this.#word('false', false);
      case 'n':
        return this.#word('null', null);
      default:
        return this.#number();
    }
  }

  #object(): JsonNode {
    this.#enter();
    const members = new Map<string, JsonNode>();
    if (!this.#takes('}')) {
      do {
        this.#skipBlanks();
        if (this.#text.charCodeAt(this.#at) !== QUOTE) throw invalid();
        const key = this.#string();
        if (!this.#takes(':')) throw invalid();
        members.set(key, this.#value());
      } while (this.#takes(','));
      if (!this.#takes('}')) throw invalid();
    }
    this.#depth--;
    return createObject(members);
  }

  #array(): JsonNode {
    this.#enter();
    const elements: JsonNode[] = [];
    if (!this.#takes(']')) {
      do elements.push(this.#value());
      while (this.#takes(','));
      if (!this.#takes(']')) throw invalid();
    }
    this.#depth--;
    return elements;
  }

  #enter(): void {
    this.#at++;
    if (++this.#depth > MAX_DEPTH) throw new InputError('nested too deep', true);
  }

  /** Skips blanks and the character after them, if it is `wanted`. */
  #takes(wanted: string): boolean {
    this.#skipBlanks();
    if (this.#text[this.#at] !== wanted) return false;
    this.#at++;
    return true;
  }

  #word<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) throw invalid();
    this.#at += word.length;
    return value;
  }

  #number(): Numeric {
    const text = this.#text;
    const start = this.#at;
    if (text[this.#at] === '-') this.#at++;
    if (text[this.#at] === '0') this.#at++;
    else this.#digits();
    if (text[this.#at] === '.') {
      this.#at++;
      this.#digits();
    }
    if (text[this.#at] === 'e' || text[this.#at] === 'E') {
      this.#at++;
      if (text[this.#at] === '-' || text[this.#at] === '+') this.#at++;
      this.#digits();
    }
    return this.#readNumber(text.slice(start, this.#at));
  }

  /** At least one digit. */
  #digits(): void {
    const start = this.#at;
    while (isDigit(this.#text.charCodeAt(this.#at))) this.#at++;
    if (this.#at === start) throw invalid();
  }

  #string(): string {
    const { value, end } = readJsonString(this.#text, this.#at);
    this.#at = end;
    return value;
  }

  #skipBlanks(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 32 && code !== 9 && code !== 10 && code !== 13) return;
      this.#at++;
    }
  }
}

/** The string whose opening quote is at `start`, and where it ends. Throws InputError for what jsonb does not take. */
export function readJsonString(text: string, start: number): { readonly value: string; readonly end: number } {
  let value = '';
  let from = start + 1;
  let at = from;
  for (;;) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) break;
    if (!(code >= 32)) throw invalid();
    if (code === BACKSLASH) {
      const escape = readEscape(text, at);
      value += text.slice(from, at) + escape.value;
      from = at = escape.end;
    } else {
      at++;
    }
  }
  return { value: value + text.slice(from, at), end: at + 1 };
}

function readEscape(text: string, start: number): { readonly value: string; readonly end: number } {
  const letter = text[start + 1] ?? '';
  if (letter !== 'u') {
    const value = Object.hasOwn(ESCAPES, letter) ? ESCAPES[letter] : undefined;
    if (value === undefined) throw invalid();
    return { value, end: start + 2 };
  }
  const unit = readCodeUnit(text, start);
  if (unit === 0 || isLow(unit)) throw invalid();
  if (!isHigh(unit)) return { value: String.fromCharCode(unit), end: start + 6 };
  const low = readCodeUnit(text, start + 6);
  if (!isLow(low)) throw invalid();
  return { value: String.fromCharCode(unit, low), end: start + 12 };
}

/** `\uXXXX` at `start`. */
function readCodeUnit(text: string, start: number): number {
  if (text.charCodeAt(start) !== BACKSLASH || text[start + 1] !== 'u') throw invalid();
  for (let at = start + 2; at < start + 6; at++) if (!isHex(text.charCodeAt(at))) throw invalid();
  return Number.parseInt(text.slice(start + 2, start + 6), 16);
}

function isHigh(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xdc00;
}

function isLow(unit: number): boolean {
  return unit >= 0xdc00 && unit < 0xe000;
}

function invalid(): InputError {
  return new InputError('invalid syntax');
}
