import { ClauseRefusal } from '../errors.ts';
import {
  scanDollarString,
  scanEscapeString,
  scanPlainString,
  scanUnicodeText,
  type Scanned,
} from './string-literals.ts';
import { truncateBytes } from '../types/text.ts';

/**
 * One token. `at` and `end` are UTF-16 indices into the clause.
 *
 * `word` is an unquoted identifier or keyword (`text` folded to lower case), `quoted` a quoted identifier, `op` an
 * operator, `punct` one of `( ) [ ] , . ; : ::`.
 */
export interface Token {
  readonly kind: 'word' | 'quoted' | 'string' | 'bits' | 'integer' | 'decimal' | 'param' | 'op' | 'punct' | 'end';
  readonly text: string;
  readonly at: number;
  readonly end: number;
}

const OPERATOR_CHARS = '+-*/<>=~!@#%^&|`?';
/** An operator may end in + or - only if it has one of these (Postgres manual 4.1.3). */
const SPECIAL_OPERATOR_CHARS = '~!@#%^&|`?';

/** Splits a clause into tokens by the lexical rules of Postgres (spec W 1.2). Throws ClauseRefusal. */
export function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  let at = skipBlanks(source, 0);
  while (at < source.length) {
    const token = nextToken(source, at);
    tokens.push(token);
    at = skipBlanks(source, token.end);
  }
  tokens.push({ kind: 'end', text: '', at: source.length, end: source.length });
  return tokens;
}

/** The refusal that Postgres's scanner and grammar give: the text of the token, located in the whole statement. */
export function syntaxError(source: string, token: Pick<Token, 'at' | 'end'>, reason = 'syntax error'): ClauseRefusal {
  const text = source.slice(token.at, token.end);
  return new ClauseRefusal(
    text === '' ? `${reason} at end of input` : `${reason} at or near "${text}"`,
    token.at,
    'syntax',
  );
}

function nextToken(source: string, at: number): Token {
  const char = source[at] as string;
  const next = source[at + 1];
  switch (char) {
    case "'":
      return stringToken('string', source, at, scanPlainString(source, at));
    case '"':
      return quotedIdentifier(source, at);
    case '$':
      return dollar(source, at);
    case '(':
    case ')':
    case '[':
    case ']':
    case ',':
    case ';':
      return { kind: 'punct', text: char, at, end: at + 1 };
    case ':':
      if (next === ':') return { kind: 'punct', text: '::', at, end: at + 2 };
      return { kind: 'punct', text: ':', at, end: at + 1 };
    case '.':
      if (isDigit(next)) return number(source, at);
      return { kind: 'punct', text: '.', at, end: at + 1 };
  }
  if (isDigit(char)) return number(source, at);
  if (next === "'") {
    if (char === 'e' || char === 'E') return stringToken('string', source, at, scanEscapeString(source, at + 1));
    if (char === 'b' || char === 'B' || char === 'x' || char === 'X') {
      return stringToken('bits', source, at, scanPlainString(source, at + 1));
    }
  }
  if ((char === 'u' || char === 'U') && next === '&') {
    if (source[at + 2] === "'") return stringToken('string', source, at, scanUnicodeText(source, at + 2, "'"));
    if (source[at + 2] === '"') return identifier('quoted', source, at, scanUnicodeText(source, at + 2, '"'));
  }
  if (isIdentifierStart(char)) return word(source, at);
  if (OPERATOR_CHARS.includes(char)) return operator(source, at);
  throw syntaxError(source, { at, end: at + String.fromCodePoint(source.codePointAt(at) as number).length });
}

function stringToken(kind: 'string' | 'bits', source: string, at: number, scanned: Scanned): Token {
  if (scanned.problem !== undefined) throw syntaxError(source, { at, end: source.length }, scanned.problem);
  if (scanned.text.includes('\0')) throw syntaxError(source, { at, end: scanned.end }, 'invalid byte sequence');
  return { kind, text: scanned.text, at, end: scanned.end };
}

function quotedIdentifier(source: string, at: number): Token {
  let text = '';
  let from = at + 1;
  for (;;) {
    const quote = source.indexOf('"', from);
    if (quote === -1) throw syntaxError(source, { at, end: source.length }, 'unterminated quoted identifier');
    text += source.slice(from, quote);
    if (source[quote + 1] !== '"') return identifier('quoted', source, at, { text, end: quote + 1 });
    text += '"';
    from = quote + 2;
  }
}

function identifier(kind: 'word' | 'quoted', source: string, at: number, scanned: Scanned): Token {
  if (scanned.problem !== undefined) throw syntaxError(source, { at, end: source.length }, scanned.problem);
  if (scanned.text === '') throw syntaxError(source, { at, end: scanned.end }, 'zero-length delimited identifier');
  return { kind, text: truncateBytes(scanned.text, 63), at, end: scanned.end };
}

function word(source: string, at: number): Token {
  const end = skipIdentifier(source, at);
  return identifier('word', source, at, { text: foldCase(source.slice(at, end)), end });
}

/** `$1`, or a dollar-quoted string. */
function dollar(source: string, at: number): Token {
  if (isDigit(source[at + 1])) {
    let end = at + 1;
    while (isDigit(source[end])) end++;
    if (isIdentifierStart(source[end])) {
      throw syntaxError(source, { at, end: skipIdentifier(source, end) }, 'trailing junk after parameter');
    }
    return { kind: 'param', text: source.slice(at + 1, end), at, end };
  }
  let tagEnd = at + 1;
  while (tagEnd < source.length && source[tagEnd] !== '$' && isIdentifierPart(source[tagEnd])) tagEnd++;
  if (source[tagEnd] !== '$') throw syntaxError(source, { at, end: at + 1 });
  return stringToken('string', source, at, scanDollarString(source, at, tagEnd + 1));
}

/** Digits, an optional fraction, an optional exponent. */
function number(source: string, at: number): Token {
  let end = at;
  let kind: 'integer' | 'decimal' = 'integer';
  while (isDigit(source[end])) end++;
  if (source[end] === '.' && !(source[end + 1] === '.' && end > at)) {
    kind = 'decimal';
    end++;
    while (isDigit(source[end])) end++;
  }
  if (source[end] === 'e' || source[end] === 'E') {
    const sign = source[end + 1] === '-' || source[end + 1] === '+' ? 1 : 0;
    if (isDigit(source[end + 1 + sign])) {
      kind = 'decimal';
      end += 1 + sign;
      while (isDigit(source[end])) end++;
    }
  }
  if (isIdentifierStart(source[end])) {
    // Postgres 14 and 15 differ here, later versions take 0x and separators: refused in all of them.
    throw syntaxError(source, { at, end: skipIdentifier(source, end) }, 'trailing junk after numeric literal');
  }
  return { kind, text: source.slice(at, end), at, end };
}

function operator(source: string, at: number): Token {
  let end = at;
  while (end < source.length && OPERATOR_CHARS.includes(source[end] as string)) {
    const pair = source.slice(end, end + 2);
    if (end > at && (pair === '--' || pair === '/*')) break;
    end++;
  }
  while (end - at > 1 && (source[end - 1] === '+' || source[end - 1] === '-')) {
    let special = false;
    for (let i = at; i < end - 1; i++) special ||= SPECIAL_OPERATOR_CHARS.includes(source[i] as string);
    if (special) break;
    end--;
  }
  const text = source.slice(at, end);
  return { kind: 'op', text: text === '!=' ? '<>' : text, at, end };
}

/** Skips white space and comments. */
function skipBlanks(source: string, from: number): number {
  let at = from;
  for (;;) {
    const char = source[at];
    if (char === ' ' || char === '\t' || char === '\n' || char === '\r' || char === '\f') at++;
    else if (char === '-' && source[at + 1] === '-') at = skipLine(source, at);
    else if (char === '/' && source[at + 1] === '*') at = skipBlockComment(source, at);
    else return at;
  }
}

function skipLine(source: string, from: number): number {
  let at = from;
  while (at < source.length && source[at] !== '\n' && source[at] !== '\r') at++;
  return at;
}

function skipBlockComment(source: string, from: number): number {
  let depth = 0;
  for (let at = from; at < source.length;) {
    const pair = source.slice(at, at + 2);
    if (pair === '/*') depth++;
    if (pair === '*/') depth--;
    at += pair === '/*' || pair === '*/' ? 2 : 1;
    if (depth === 0) return at;
  }
  throw syntaxError(source, { at: from, end: source.length }, 'unterminated /* comment');
}

function skipIdentifier(source: string, from: number): number {
  let at = from;
  while (at < source.length && isIdentifierPart(source[at])) at++;
  return at;
}

/** Lower-cases ASCII letters only, as a UTF-8 server does. */
function foldCase(text: string): string {
  let folded = '';
  for (const char of text) folded += char >= 'A' && char <= 'Z' ? char.toLowerCase() : char;
  return folded;
}

function isDigit(char: string | undefined): boolean {
  return char !== undefined && char >= '0' && char <= '9';
}

function isIdentifierStart(char: string | undefined): boolean {
  if (char === undefined) return false;
  return (char >= 'a' && char <= 'z') || (char >= 'A' && char <= 'Z') || char === '_' || char >= '\u0080';
}

function isIdentifierPart(char: string | undefined): boolean {
  return isIdentifierStart(char) || isDigit(char) || char === '$';
}
