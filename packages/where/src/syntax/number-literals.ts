import { isDigit, isIdentifierPart, isIdentifierStart, skipIdentifier } from './characters.ts';

/** A number constant: its value in decimal and where it ends, or why it is none. */
export interface ScannedNumber {
  readonly kind: 'integer' | 'decimal';
  /** Without separators; integers of other bases in base 10. */
  readonly text: string;
  readonly end: number;
  readonly problem?: 'trailing junk after numeric literal' | 'number literal is too long';
}

/** `0x1F`, `0o17`, `0b11`: the letter after the zero, and how long one may be before converting it takes too long. */
const BASES: ReadonlyMap<string, { readonly radix: number; readonly prefix: string }> = new Map([
  ['x', { radix: 16, prefix: '0x' }],
  ['o', { radix: 8, prefix: '0o' }],
  ['b', { radix: 2, prefix: '0b' }],
]);
const MAX_BASED_DIGITS = 1000;

/**
 * Reads the number at `at`, which starts with a digit, or with a dot and a digit. Bases and the separator `_` are those of
 * Postgres 16; earlier servers have no valid clause with either, so nothing changes its meaning.
 */
export function scanNumber(source: string, at: number): ScannedNumber {
  const base = source[at] === '0' ? BASES.get((source[at + 1] ?? '').toLowerCase()) : undefined;
  if (base !== undefined) return scanBased(source, at, base);
  let end = skipDigits(source, at, 10);
  let kind: ScannedNumber['kind'] = 'integer';
  if (source[end] === '.' && !(end > at && source[end + 1] === '.')) {
    kind = 'decimal';
    end = skipDigits(source, end + 1, 10);
  }
  if (source[end] === 'e' || source[end] === 'E') {
    const sign = source[end + 1] === '-' || source[end + 1] === '+' ? 1 : 0;
    if (isDigit(source[end + 1 + sign])) {
      kind = 'decimal';
      end = skipDigits(source, end + 1 + sign, 10);
    } else if (sign === 1) {
      return junk(end + 2);
    }
  }
  if (isIdentifierStart(source[end])) return junk(skipIdentifier(source, end));
  return { kind, text: source.slice(at, end).replaceAll('_', ''), end };
}

function scanBased(source: string, at: number, base: { radix: number; prefix: string }): ScannedNumber {
  const start = source[at + 2] === '_' ? at + 3 : at + 2;
  const end = skipDigits(source, start, base.radix);
  if (end === start || isIdentifierPart(source[end])) return junk(skipIdentifier(source, end));
  const digits = source.slice(start, end).replaceAll('_', '');
  if (digits.length > MAX_BASED_DIGITS)
    return { kind: 'integer', text: '', end, problem: 'number literal is too long' };
  return { kind: 'integer', text: String(BigInt(base.prefix + digits)), end };
}

/** Digits with single underscores between them. */
function skipDigits(source: string, from: number, radix: number): number {
  let at = from;
  for (;;) {
    const next = at > from && source[at] === '_' ? at + 1 : at;
    if (!isDigitOf(source[next], radix)) return at;
    at = next + 1;
  }
}

function isDigitOf(char: string | undefined, radix: number): boolean {
  if (radix <= 10) return isDigit(char) && Number(char) < radix;
  return isDigit(char) || (char !== undefined && ((char >= 'a' && char <= 'f') || (char >= 'A' && char <= 'F')));
}

function junk(end: number): ScannedNumber {
  return { kind: 'integer', text: '', end, problem: 'trailing junk after numeric literal' };
}
