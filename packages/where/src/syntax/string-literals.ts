import { isHex } from '../types/text.ts';
import { isBlank, isNewline, skipLine } from './characters.ts';

/** A quoted text that was read: its content and where it ends, or why it cannot be. */
export interface Scanned {
  readonly text: string;
  readonly end: number;
  readonly problem?: string;
}

const UNTERMINATED: Scanned = { text: '', end: 0, problem: 'unterminated quoted string' };
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** `'...'` from the quote at `at`, with `''` for a quote except in bit strings, and continuation lines joined. */
export function scanPlainString(source: string, at: number, kind: 'text' | 'bits' = 'text'): Scanned {
  let text = '';
  let from = at + 1;
  for (;;) {
    const quote = source.indexOf("'", from);
    if (quote === -1) return UNTERMINATED;
    text += source.slice(from, quote);
    if (source[quote + 1] === "'" && kind === 'text') {
      text += "'";
      from = quote + 2;
      continue;
    }
    const next = continuation(source, quote + 1);
    if (next === undefined) return { text, end: quote + 1 };
    from = next;
  }
}

/** `"..."` from the quote at `at`, with `""` for a quote. */
export function scanQuotedIdentifier(source: string, at: number): Scanned {
  let text = '';
  let from = at + 1;
  for (;;) {
    const quote = source.indexOf('"', from);
    if (quote === -1) return { text: '', end: 0, problem: 'unterminated quoted identifier' };
    text += source.slice(from, quote);
    if (source[quote + 1] !== '"') return { text, end: quote + 1 };
    text += '"';
    from = quote + 2;
  }
}

/** `E'...'`, from its quote. Octal and hex escapes denote bytes, which must make up UTF-8 characters. */
export function scanEscapeString(source: string, at: number): Scanned {
  let text = '';
  let bytes: number[] = [];
  let i = at + 1;
  while (i < source.length) {
    const char = source[i] as string;
    if (char === "'" && source[i + 1] !== "'") {
      const next = continuation(source, i + 1);
      if (next === undefined) return bytes.length > 0 ? withBytes(text, bytes, i + 1) : { text, end: i + 1 };
      i = next;
      continue;
    }
    const piece = char === '\\' ? readEscape(source, i + 1) : { text: char, end: char === "'" ? i + 2 : i + 1 };
    if (piece.problem !== undefined) return piece;
    i = piece.end;
    if ('byte' in piece) {
      bytes.push(piece.byte);
      continue;
    }
    if (bytes.length > 0) {
      const joined = withBytes(text, bytes, i);
      if (joined.problem !== undefined) return joined;
      text = joined.text;
      bytes = [];
    }
    text += piece.text;
  }
  return UNTERMINATED;
}

/** `$tag$...$tag$`; `bodyStart` is just after the opening tag. */
export function scanDollarString(source: string, at: number, bodyStart: number): Scanned {
  const tag = source.slice(at, bodyStart);
  const close = source.indexOf(tag, bodyStart);
  if (close === -1) return { text: '', end: 0, problem: 'unterminated dollar-quoted string' };
  return { text: source.slice(bodyStart, close), end: close + tag.length };
}

/** Whether a UESCAPE clause may name this character. */
export function isUnicodeEscape(char: string): boolean {
  if (char.length !== 1 || char >= '\u0080') return false;
  return !isHex(char.charCodeAt(0)) && char !== '+' && char !== "'" && char !== '"' && !isBlank(char);
}

/** Resolves the escapes of `U&'...'` and `U&"..."`. `raw` is what stands between the quotes, `end` where they end. */
export function decodeUnicodeEscapes(raw: string, escape: string, end: number): Scanned {
  let text = '';
  for (let i = 0; i < raw.length;) {
    if (raw[i] !== escape) {
      text += raw[i++];
    } else if (raw[i + 1] === escape) {
      text += escape;
      i += 2;
    } else {
      const long = raw[i + 1] === '+';
      const start = long ? i + 2 : i + 1;
      const code = hexNumber(raw, start, long ? 6 : 4);
      if (code === undefined || !isCodePoint(code)) return { text, end, problem: 'invalid Unicode escape' };
      text += unicode(code);
      i = start + (long ? 6 : 4);
    }
  }
  // Surrogates written as two escapes have joined up; one left alone is no character.
  return text.isWellFormed() ? { text, end } : { text, end, problem: 'invalid Unicode surrogate pair' };
}

/** One escape of `E'...'` from the character after its backslash: a text, or a byte that is part of one. */
function readEscape(
  source: string,
  at: number,
): Scanned | { readonly byte: number; readonly end: number; readonly problem?: never } {
  const char = source[at];
  if (char === undefined) return UNTERMINATED;
  const simple = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }[char];
  if (simple !== undefined) return { text: simple, end: at + 1 };
  if (char === 'u' || char === 'U') return readUnicodeEscape(source, at);
  let end = at;
  let byte: number;
  if (char === 'x' && isHex(source.charCodeAt(at + 1))) {
    end = at + 1;
    while (end < at + 3 && isHex(source.charCodeAt(end))) end++;
    byte = parseInt(source.slice(at + 1, end), 16);
  } else if (char >= '0' && char <= '7') {
    while (end < at + 3 && (source[end] ?? '') >= '0' && (source[end] ?? '') <= '7') end++;
    byte = parseInt(source.slice(at, end), 8) & 0xff;
  } else {
    const whole = String.fromCodePoint(source.codePointAt(at) as number);
    return { text: whole, end: at + whole.length };
  }
  if (byte === 0) return { text: '', end, problem: 'invalid byte sequence' };
  return byte < 0x80 ? { text: String.fromCharCode(byte), end } : { byte, end };
}

/** `\uXXXX`, `\UXXXXXXXX`, and a high surrogate with the low one that must follow at once. */
function readUnicodeEscape(source: string, at: number): Scanned {
  const first = unicodeEscape(source, at);
  if (first === undefined) return { text: '', end: at, problem: 'invalid Unicode escape' };
  const text = unicode(first.code);
  if (text.isWellFormed()) return { text, end: first.end };
  const second = source[first.end] === '\\' ? unicodeEscape(source, first.end + 1) : undefined;
  const pair = second === undefined ? text : text + unicode(second.code);
  if (second === undefined || !pair.isWellFormed()) {
    return { text: '', end: first.end, problem: 'invalid Unicode surrogate pair' };
  }
  return { text: pair, end: second.end };
}

function unicodeEscape(source: string, at: number): { code: number; end: number } | undefined {
  const length = source[at] === 'u' ? 4 : source[at] === 'U' ? 8 : 0;
  const code = length === 0 ? undefined : hexNumber(source, at + 1, length);
  return code === undefined || !isCodePoint(code) ? undefined : { code, end: at + 1 + length };
}

function withBytes(text: string, bytes: readonly number[], end: number): Scanned {
  try {
    return { text: text + UTF8.decode(Uint8Array.from(bytes)), end };
  } catch {
    return { text: '', end, problem: 'invalid byte sequence' };
  }
}

function isCodePoint(code: number): boolean {
  return code > 0 && code <= 0x10ffff;
}

/** Surrogates come out as the lone units they are. */
function unicode(code: number): string {
  return code > 0xffff ? String.fromCodePoint(code) : String.fromCharCode(code);
}

function hexNumber(source: string, at: number, length: number): number | undefined {
  for (let i = at; i < at + length; i++) if (!isHex(source.charCodeAt(i))) return undefined;
  return parseInt(source.slice(at, at + length), 16);
}

/** Index just after the quote that continues a string constant on a later line. */
function continuation(source: string, from: number): number | undefined {
  let newline = false;
  let at = from;
  for (;;) {
    const char = source[at];
    if (isNewline(char)) newline = true;
    if (char === '-' && source[at + 1] === '-') at = skipLine(source, at);
    else if (isBlank(char)) at++;
    else return newline && char === "'" ? at + 1 : undefined;
  }
}
