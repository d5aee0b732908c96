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

/** Explicit cast to `varchar(n)`: the first n characters. */
export function truncateCharacters(text: string, length: number): string {
  if (text.length <= length) return text;
  let end = 0;
  let count = 0;
  for (const char of text) {
    if (count++ === length) break;
    end += char.length;
  }
  return text.slice(0, end);
}

/** Explicit cast to `char(n)`: cut or padded with blanks to n characters. */
export function padCharacters(text: string, length: number): string {
  const cut = truncateCharacters(text, length);
  let count = 0;
  for (const _ of cut) count++;
  return cut + ' '.repeat(length - count);
}

/** Boolean input: an unambiguous prefix of true, false, yes, no, on, off in any case, or 1 or 0. */
export function parseBool(input: string): boolean {
  const text = trimBlanks(input).toLowerCase();
  if (text !== '' && text.length <= 5) {
    if ('true'.startsWith(text) || 'yes'.startsWith(text) || text === 'on' || text === '1') return true;
    if ('false'.startsWith(text) || 'no'.startsWith(text) || text === 'of' || text === 'off' || text === '0')
      return false;
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

/** bytea input, hex form only: the escape form of old clients is refused. Result as on the wire, lower case. */
export function parseBytea(text: string): string {
  if (!text.startsWith('\\x')) {
    if (text === '') return '\\x';
    throw new InputError('invalid syntax');
  }
  let hex = '';
  for (let at = 2; at < text.length; at += 2) {
    const pair = text.slice(at, at + 2);
    if (!isHexPair(pair)) throw new InputError('invalid syntax');
    hex += pair;
  }
  return `\\x${hex.toLowerCase()}`;
}

function isHexPair(pair: string): boolean {
  return pair.length === 2 && isHex(pair.charCodeAt(0)) && isHex(pair.charCodeAt(1));
}

export function isHex(code: number): boolean {
  return (code >= 48 && code <= 57) || (code >= 97 && code <= 102) || (code >= 65 && code <= 70);
}
