import { ClauseRefusal } from '../errors.ts';
import { truncateBytes } from '../types/text.ts';
import {
  isBlank,
  isDigit,
  isIdentifierPart,
  isIdentifierStart,
  skipBlockComment,
  skipIdentifier,
  skipLine,
} from './characters.ts';
import { scanNumber } from './number-literals.ts';
import {
  decodeUnicodeEscapes,
  isUnicodeEscape,
  scanDollarString,
  scanEscapeString,
  scanPlainString,
  scanQuotedIdentifier,
  type Scanned,
} from './string-literals.ts';

/**
 * One token. `at` and `end` are UTF-16 indices into the clause.
 *
 * `word` is an unquoted identifier or keyword (`text` folded to lower case), `quoted` a quoted identifier, `op` an
 * operator, `punct` one of `( ) [ ] , . .. ; : :: := =>`. Integers are in decimal, whatever base they were written in.
 */
export interface Token {
  readonly kind: 'word' | 'quoted' | 'string' | 'bits' | 'integer' | 'decimal' | 'param' | 'op' | 'punct' | 'end';
  readonly text: string;
  readonly at: number;
  readonly end: number;
}

const OPERATOR_CHARS: ReadonlySet<string> = new Set('+-*/<>=~!@#%^&|`?');
/** An operator may end in + or - only if it has one of these (Postgres manual 4.1.3). */
const SPECIAL_OPERATOR_CHARS: ReadonlySet<string> = new Set('~!@#%^&|`?');
/** Names and operators are shorter than 64 bytes in Postgres: the one is cut, the other refused. */
const MAX_NAME_BYTES = 63;

/**
 * Splits a clause into tokens by the lexical rules of Postgres (spec W 1.2), one at a time: what is wrong behind the place
 * where the parser gives up is not reported, as in Postgres.
 */
export class Lexer {
  readonly #source: string;
  #at = 0;
  /** The run of operator characters that was met last: its end, its last special one, and the signs at its end. */
  #runEnd = 0;
  #runSpecial = -1;
  #runSigns = 0;

  constructor(source: string) {
    this.#source = source;
  }

  /** The next token; `end` again and again after the last one. Throws ClauseRefusal. */
  next(): Token {
    const at = this.#skipBlanks();
    if (at >= this.#source.length) return { kind: 'end', text: '', at, end: at };
    const token = this.#token(at);
    this.#at = token.end;
    return token;
  }

  #token(at: number): Token {
    const source = this.#source;
    const char = source[at] as string;
    const next = source[at + 1];
    if (isIdentifierStart(char))
      return (next === "'" || next === '&' ? this.#prefixed(at) : undefined) ?? this.#word(at);
    if (isDigit(char)) return this.#number(at);
    if (OPERATOR_CHARS.has(char)) return this.#operator(at);
    switch (char) {
      case "'":
        return this.#text('string', at, scanPlainString(source, at));
      case '"':
        return this.#identifier('quoted', at, scanQuotedIdentifier(source, at));
      case '$':
        return this.#dollar(at);
      case '(':
      case ')':
      case '[':
      case ']':
      case ',':
      case ';':
        return { kind: 'punct', text: char, at, end: at + 1 };
      case ':':
        return next === ':' || next === '=' ? punct(`:${next}`, at) : punct(':', at);
      case '.':
        if (isDigit(next)) return this.#number(at);
        return next === '.' ? punct('..', at) : punct('.', at);
    }
    throw this.#error(at, at + String.fromCodePoint(source.codePointAt(at) as number).length);
  }

  /** `E'...'`, `B'...'`, `X'...'`, `N'...'`, `U&'...'` and `U&"..."`; undefined for a word. */
  #prefixed(at: number): Token | undefined {
    const source = this.#source;
    const quote = source[at + 1] === '&' ? source[at + 2] : "'";
    switch (`${(source[at] as string).toLowerCase()}${source[at + 1]}`) {
      case "e'":
        return this.#text('string', at, scanEscapeString(source, at + 1));
      case "b'":
      case "x'":
        return this.#text('bits', at, scanPlainString(source, at + 1, 'bits'));
      case "n'":
        // Postgres reads it as the word NCHAR and a string.
        return { kind: 'word', text: 'nchar', at, end: at + 1 };
      case 'u&':
        if (quote === "'") return this.#unicode('string', at, scanPlainString(source, at + 2));
        return quote === '"' ? this.#unicode('quoted', at, scanQuotedIdentifier(source, at + 2)) : undefined;
      default:
        return undefined;
    }
  }

  #text(kind: 'string' | 'bits', at: number, scanned: Scanned): Token {
    if (scanned.problem !== undefined) throw this.#error(at, this.#source.length, scanned.problem);
    return { kind, text: scanned.text, at, end: scanned.end };
  }

  /** Text with Unicode escapes; a UESCAPE clause behind it belongs to it. */
  #unicode(kind: 'string' | 'quoted', at: number, raw: Scanned): Token {
    if (raw.problem !== undefined) throw this.#error(at, this.#source.length, raw.problem);
    let escape = '\\';
    let { end } = raw;
    this.#at = end;
    const clause = this.#skipBlanks();
    if (this.#source.slice(clause, skipIdentifier(this.#source, clause)).toLowerCase() === 'uescape') {
      this.#at = clause + 'uescape'.length;
      const given = this.#uescape();
      if (!isUnicodeEscape(given.text)) throw this.#error(given.at, given.end, 'invalid Unicode escape character');
      escape = given.text;
      end = given.end;
    }
    const scanned = decodeUnicodeEscapes(raw.text, escape, end);
    return kind === 'string' ? this.#text('string', at, scanned) : this.#identifier('quoted', at, scanned);
  }

  #uescape(): Token {
    const at = this.#skipBlanks();
    // Asked before reading on: a text that has an escape of its own is not a simple one.
    const given = this.#source[at + 1] === '&' ? { kind: 'word', at, end: at + 1 } : this.next();
    if (given.kind === 'string') return given as Token;
    throw this.#error(given.at, given.end, 'UESCAPE must be followed by a simple string literal');
  }

  #identifier(kind: 'word' | 'quoted', at: number, scanned: Scanned): Token {
    if (scanned.problem !== undefined) throw this.#error(at, this.#source.length, scanned.problem);
    if (scanned.text === '') throw this.#error(at, scanned.end, 'zero-length delimited identifier');
    return { kind, text: truncateBytes(scanned.text, MAX_NAME_BYTES), at, end: scanned.end };
  }

  #word(at: number): Token {
    const end = skipIdentifier(this.#source, at);
    return this.#identifier('word', at, { text: foldCase(this.#source.slice(at, end)), end });
  }

  /** `$1`, or a dollar-quoted string. */
  #dollar(at: number): Token {
    const source = this.#source;
    let end = at + 1;
    if (isDigit(source[end])) {
      while (isDigit(source[end])) end++;
      if (isIdentifierStart(source[end])) {
        throw this.#error(at, skipIdentifier(source, end), 'trailing junk after parameter');
      }
      return { kind: 'param', text: source.slice(at + 1, end), at, end };
    }
    while (end < source.length && source[end] !== '$' && isIdentifierPart(source[end])) end++;
    if (source[end] !== '$') throw this.#error(at, at + 1);
    return this.#text('string', at, scanDollarString(source, at, end + 1));
  }

  #number(at: number): Token {
    const { kind, text, end, problem } = scanNumber(this.#source, at);
    if (problem === 'number literal is too long') throw new ClauseRefusal(problem, at);
    if (problem !== undefined) throw this.#error(at, end, problem);
    return { kind, text, at, end };
  }

  #operator(at: number): Token {
    if (at >= this.#runEnd) this.#measureRun(at);
    const end = this.#runSpecial >= at ? this.#runEnd : Math.max(at + 1, this.#runSigns);
    const text = this.#source.slice(at, end);
    if (text.length > MAX_NAME_BYTES) throw this.#error(at, end, 'operator too long');
    if (text === '=>') return punct(text, at);
    return { kind: 'op', text: text === '!=' ? '<>' : text, at, end };
  }

  /** Finds the end of a run of operator characters once, however many operators it is cut into. */
  #measureRun(from: number): void {
    const source = this.#source;
    let at = from;
    this.#runSpecial = -1;
    while (at < source.length && OPERATOR_CHARS.has(source[at] as string)) {
      const next = source[at + 1];
      if (at > from && ((source[at] === '-' && next === '-') || (source[at] === '/' && next === '*'))) break;
      if (SPECIAL_OPERATOR_CHARS.has(source[at] as string)) this.#runSpecial = at;
      at++;
    }
    this.#runEnd = at;
    while (at > from && (source[at - 1] === '+' || source[at - 1] === '-')) at--;
    this.#runSigns = at;
  }

  /** Skips white space and comments; the index of what comes next. */
  #skipBlanks(): number {
    const source = this.#source;
    let at = this.#at;
    for (;;) {
      const char = source[at];
      const next = source[at + 1];
      if (isBlank(char)) at++;
      else if (char === '-' && next === '-') at = skipLine(source, at);
      else if (char === '/' && next === '*') {
        const end = skipBlockComment(source, at);
        if (end === undefined) throw this.#error(at, source.length, 'unterminated /* comment');
        at = end;
      } else return at;
    }
  }

  #error(at: number, end: number, reason?: string): ClauseRefusal {
    return syntaxError(this.#source, { at, end }, reason);
  }
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

function punct(text: string, at: number): Token {
  return { kind: 'punct', text, at, end: at + text.length };
}

/** Lower-cases ASCII letters only, as a UTF-8 server does. */
function foldCase(text: string): string {
  if (!/[A-Z]/.test(text)) return text;
  let folded = '';
  for (const char of text) folded += char >= 'A' && char <= 'Z' ? char.toLowerCase() : char;
  return folded;
}
