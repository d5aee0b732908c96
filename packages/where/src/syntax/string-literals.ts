import { isHex } from '../types/text.ts';

/** A string constant that was read: its value and where it ends, or why it cannot be. */
export interface Scanned {
  readonly text: string;
  readonly end: number;
  readonly problem?: string;
}

const UNTERMINATED: Scanned = { text: '', end: 0, problem: 'unterminated quoted string' };

/** `'...'` from the quote at `at`, with `''` for a quote, and continuation lines joined. */
export function scanPlainString(source: string, at: number): Scanned {
  let text = '';
  let from = at + 1;
  for (;;) {
    const quote = source.indexOf("'", from);
    if (quote === -1) return UNTERMINATED;
    text += source.slice(from, quote);
    if (source[quote + 1] === "'") {
      text += "'";
      from = quote + 2;
      continue;
    }
    const next = continuation(source, quote + 1);
    if (next === undefined) return { text, end: quote + 1 };
    from = next;
  }
}

/** `E'...'`, from its quote. Octal and hex escapes above 7F, which denote single bytes, are refused. */
export function scanEscapeString(source: string, at: number): Scanned {
  let text = '';
  let i = at + 1;
  while (i < source.length) {
    const char = source[i] as string;
    if (char === "'") {
      if (source[i + 1] === "'") {
        text += "'";
        i += 2;
        continue;
      }
      const next = continuation(source, i + 1);
      if (next === undefined) return wellFormed(text, i + 1);
      i = next;
    } else if (char === '\\') {
      const escape = readEscape(source, i + 1);
      if (escape.problem !== undefined) return escape;
      text += escape.text;
      i = escape.end;
    } else {
      text += char;
      i++;
    }
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

/** `U&'...'` or `U&"..."` from its quote, with an optional UESCAPE clause. */
export function scanUnicodeText(source: string, at: number, quote: '"' | "'"): Scanned {
  let raw = '';
  let from = at + 1;
  let end: number;
  for (;;) {
    const close = source.indexOf(quote, from);
    if (close === -1) return UNTERMINATED;
    raw += source.slice(from, close);
    if (source[close + 1] !== quote) {
      end = close + 1;
      break;
    }
    raw += quote;
    from = close + 2;
  }
  let escape = '\\';
  const uescape = /^[ \t\r\n\f]{0,1000}uescape[ \t\r\n\f]{0,1000}'([^'])'/i.exec(source.slice(end, end + 2020));
  if (uescape !== null) {
    escape = uescape[1] as string;
    end += uescape[0].length;
    if (isHex(escape.charCodeAt(0)) || '+"\' \t\n\r\f'.includes(escape)) {
      return { text: '', end, problem: 'invalid Unicode escape character' };
    }
  }
  return decodeUnicodeEscapes(raw, escape, end);
}

function decodeUnicodeEscapes(raw: string, escape: string, end: number): Scanned {
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
      if (code === undefined || code > 0x10ffff || code === 0) return { text, end, problem: 'invalid Unicode escape' };
      text += code > 0xffff ? String.fromCodePoint(code) : String.fromCharCode(code);
      i = start + (long ? 6 : 4);
    }
  }
  return wellFormed(text, end);
}

function readEscape(source: string, at: number): Scanned {
  const char = source[at];
  if (char === undefined) return UNTERMINATED;
  const simple = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }[char];
  if (simple !== undefined) return { text: simple, end: at + 1 };
  if (char === 'u' || char === 'U') {
    const length = char === 'u' ? 4 : 8;
    const code = hexNumber(source, at + 1, length);
    if (code === undefined || code > 0x10ffff || code === 0)
      return { text: '', end: at, problem: 'invalid Unicode escape' };
    return { text: code > 0xffff ? String.fromCodePoint(code) : String.fromCharCode(code), end: at + 1 + length };
  }
  let end = at;
  let code: number;
  if (char === 'x' && isHex(source.charCodeAt(at + 1))) {
    end = at + 1;
    while (end < at + 3 && isHex(source.charCodeAt(end))) end++;
    code = parseInt(source.slice(at + 1, end), 16);
  } else if (char >= '0' && char <= '7') {
    while (end < at + 3 && (source[end] ?? '') >= '0' && (source[end] ?? '') <= '7') end++;
    code = parseInt(source.slice(at, end), 8) & 0xff;
  } else {
    return { text: char, end: at + 1 };
  }
  if (code === 0 || code > 0x7f) return { text: '', end, problem: 'invalid byte sequence' };
  return { text: String.fromCharCode(code), end };
}

/** Surrogates written as two escapes join up; one left alone is no character. */
function wellFormed(text: string, end: number): Scanned {
  return text.isWellFormed() ? { text, end } : { text, end, problem: 'invalid Unicode surrogate pair' };
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
    if (char === '\n' || char === '\r') newline = true;
    else if (char === '-' && source[at + 1] === '-') {
      while (at < source.length && source[at] !== '\n' && source[at] !== '\r') at++;
      continue;
    } else if (char !== ' ' && char !== '\t' && char !== '\f') {
      return newline && char === "'" ? at + 1 : undefined;
    }
    at++;
  }
}
