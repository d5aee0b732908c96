import { InputError } from '../errors.ts';
import { trimBlanks } from './value.ts';

/** Order by code points, which is the order of UTF-8 bytes and of the C collations; UTF-16 order differs above U+FFFF. */
export function compareCodePoints(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return codePointRank(x) - codePointRank(y);
  }
  return a.length - b.length;
}

/** Puts surrogates, which stand for code points above U+FFFF, after the units U+E000 to U+FFFF. */
function codePointRank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit >= 0xe000 ? unit - 0x2000 : unit + 0x2000;
}

/** `char(n)` compares without the blanks at its end. */
export function stripTrailingBlanks(text: string): string {
  let end = text.length;
  while (end > 0 && text.charCodeAt(end - 1) === 32) end--;
  return end === text.length ? text : text.slice(0, end);
}

/** `name` input: at most 63 bytes, cut between characters. */
export function truncateName(text: string): string {
  return truncateBytes(text, 63);
}

export function truncateBytes(text: string, maxBytes: number): string {
  if (text.length * 3 <= maxBytes) return text;
  let bytes = 0;
  let end = 0;
  for (const char of text) {
    bytes += utf8Length(char.codePointAt(0) as number);
    if (bytes > maxBytes) break;
    end += char.length;
  }
  return text.slice(0, end);
}

function utf8Length(code: number): number {
  if (code < 0x80) return 1;
  if (code < 0x800) return 2;
  return code < 0x10000 ? 3 : 4;
}

/** Bytes of a string in UTF-8; lone surrogates count as three. */
export function utf8Bytes(text: string): number {
  let bytes = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) bytes += 1;
    else if (unit < 0x800) bytes += 2;
    else if (unit >= 0xd800 && unit < 0xe000) bytes += 2;
    else bytes += 3;
  }
  return bytes;
}

/** Without one of these every UTF-16 unit is a character. */
const SURROGATE = /[\uD800-\uDFFF]/;

/** Length in characters, that is code points. */
export function characterCount(text: string): number {
  if (!SURROGATE.test(text)) return text.length;
  let count = 0;
  for (let at = 0; at < text.length; at += widthAt(text, at)) count++;
  return count;
}

/** UTF-16 index of the end of the first `count` characters; of the whole text when it has fewer. */
export function characterIndex(text: string, count: number): number {
  if (count <= 0) return 0;
  if (count >= text.length) return text.length;
  if (!SURROGATE.test(text)) return count;
  let at = 0;
  for (let left = count; left > 0 && at < text.length; left--) at += widthAt(text, at);
  return at;
}

/** UTF-16 index of the end of `count` characters from `at` on; -1 when there are fewer. */
export function characterEnd(text: string, at: number, count: number): number {
  let end = at;
  for (let left = count; left > 0; left--) {
    if (end >= text.length) return -1;
    end += widthAt(text, end);
  }
  return end;
}

/** UTF-16 index of the start of the last `count` characters before `end`; -1 when there are fewer. */
export function characterStart(text: string, end: number, count: number): number {
  let at = end;
  for (let left = count; left > 0; left--) {
    if (at <= 0) return -1;
    at -= at > 1 && isLowSurrogate(text.charCodeAt(at - 1)) && isHighSurrogate(text.charCodeAt(at - 2)) ? 2 : 1;
  }
  return at;
}

function widthAt(text: string, at: number): 1 | 2 {
  return isHighSurrogate(text.charCodeAt(at)) && isLowSurrogate(text.charCodeAt(at + 1)) ? 2 : 1;
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xdc00;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit < 0xe000;
}

/** Explicit cast to `varchar(n)`: the first n characters. */
export function truncateCharacters(text: string, length: number): string {
  const end = characterIndex(text, length);
  return end === text.length ? text : text.slice(0, end);
}

/** Explicit cast to `char(n)`: cut or padded with blanks to n characters. */
export function padCharacters(text: string, length: number): string {
  const cut = truncateCharacters(text, length);
  return cut + ' '.repeat(length - characterCount(cut));
}

/** Boolean input: an unambiguous prefix of true, false, yes, no, on, off in any case, or 1 or 0. */
export function parseBool(input: string): boolean {
  const text = trimBlanks(input);
  if (text !== '' && text.length <= 5) {
    const word = text.toLowerCase();
    if ('true'.startsWith(word) || 'yes'.startsWith(word) || word === 'on' || word === '1') return true;
    if ('false'.startsWith(word) || 'no'.startsWith(word) || word === 'of' || word === 'off' || word === '0') {
      return false;
    }
  }
  throw new InputError('invalid syntax');
}

/** Boolean from the wire (`t`, `f`) or from SQL text (`true`, `false`). */
export function decodeBool(text: string): boolean {
  if (text === 't' || text === 'true') return true;
  if (text === 'f' || text === 'false') return false;
  throw new InputError('invalid syntax');
}

/** uuid input: 32 hex digits, hyphens allowed after every fourth, optional braces. Result as on the wire. */
export function parseUuid(text: string): string {
  let at = text[0] === '{' ? 1 : 0;
  let digits = '';
  for (let byte = 0; byte < 16; byte++) {
    const pair = text.slice(at, at + 2);
    if (!isHexPair(pair)) throw new InputError('invalid syntax');
    digits += pair;
    at += 2;
    if (text[at] === '-' && byte % 2 === 1 && byte < 15) at++;
  }
  if (text[0] === '{') {
    if (text[at] !== '}') throw new InputError('invalid syntax');
    at++;
  }
  if (at !== text.length) throw new InputError('invalid syntax');
  const hex = digits.toLowerCase();
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/**
 * bytea input: the hex form, with blanks between bytes, and the escape form, in which characters stand for their bytes
 * in UTF-8. Result as on the wire, lower case.
 */
export function parseBytea(text: string): string {
  if (WIRE_BYTEA.test(text)) return text;
  return `\\x${text.startsWith('\\x') ? hexForm(text) : escapeForm(text)}`;
}

const WIRE_BYTEA = /^\\x(?:[0-9a-f]{2})*$/;

function hexForm(text: string): string {
  let hex = '';
  for (let at = 2; at < text.length;) {
    if (isHexBlank(text.charCodeAt(at))) {
      at++;
      continue;
    }
    const pair = text.slice(at, at + 2);
    if (!isHexPair(pair)) throw new InputError('invalid syntax');
    hex += pair;
    at += 2;
  }
  return hex.toLowerCase();
}

function isHexBlank(code: number): boolean {
  return code === 32 || code === 9 || code === 10 || code === 13;
}

function escapeForm(text: string): string {
  let hex = '';
  let at = 0;
  for (;;) {
    const backslash = text.indexOf('\\', at);
    hex += utf8Hex(backslash === -1 ? text.slice(at) : text.slice(at, backslash));
    if (backslash === -1) return hex;
    if (text[backslash + 1] === '\\') {
      hex += '5c';
      at = backslash + 2;
      continue;
    }
    const octal = octalByte(text, backslash + 1);
    if (octal === undefined) throw new InputError('invalid syntax');
    hex += hexByte(octal);
    at = backslash + 4;
  }
}

/** The byte that three octal digits denote, the first of them 0 to 3. */
function octalByte(text: string, at: number): number | undefined {
  const [high, middle, low] = [0, 1, 2].map((i) => text.charCodeAt(at + i) - 48) as [number, number, number];
  const isOctal = high >= 0 && high <= 3 && middle >= 0 && middle <= 7 && low >= 0 && low <= 7;
  return isOctal ? high * 64 + middle * 8 + low : undefined;
}

const ENCODER = new TextEncoder();

function utf8Hex(text: string): string {
  let hex = '';
  for (const byte of ENCODER.encode(text)) hex += hexByte(byte);
  return hex;
}

function hexByte(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}

function isHexPair(pair: string): boolean {
  return pair.length === 2 && isHex(pair.charCodeAt(0)) && isHex(pair.charCodeAt(1));
}

export function isHex(code: number): boolean {
  return (code >= 48 && code <= 57) || (code >= 97 && code <= 102) || (code >= 65 && code <= 70);
}
