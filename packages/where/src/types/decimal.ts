import { InputError } from '../errors.ts';
import { isDigit, narrow, trimBlanks, type Value } from './value.ts';

/** `coefficient` x 10^-`scale`, with no trailing zero in the coefficient when `scale` > 0. Never a safe integer. */
export class Decimal {
  readonly coefficient: bigint;
  readonly scale: number;

  constructor(coefficient: bigint, scale: number) {
    this.coefficient = coefficient;
    this.scale = scale;
  }
}

/** A finite or special numeric in memory. */
export type Numeric = number | Decimal;

/** More digits than this in a literal are refused (spec W 9.12). */
const MAX_LITERAL_DIGITS = 1000;

interface NumericText {
  readonly negative: boolean;
  /** Digits before and after the point, exponent applied, without leading zeros. */
  readonly whole: string;
  readonly fraction: string;
}

/**
 * `numeric` input as Postgres 14 and 15 take it: no hex, no separators. Throws InputError for anything else and for
 * literals above 1,000 digits.
 */
export function parseNumericLiteral(input: string): { readonly value: Numeric; readonly text: string } {
  const text = trimBlanks(input);
  switch (text.toLowerCase()) {
    case 'nan':
      return { value: NaN, text: 'NaN' };
    case 'inf':
    case '+inf':
    case 'infinity':
    case '+infinity':
      return { value: Infinity, text: 'Infinity' };
    case '-inf':
    case '-infinity':
      return { value: -Infinity, text: '-Infinity' };
  }
  const parts = splitNumeric(text);
  if (parts === undefined || parts.whole.length + parts.fraction.length > MAX_LITERAL_DIGITS) {
    throw new InputError('invalid syntax');
  }
  const value = fromDigits(parts.negative, parts.whole + parts.fraction, parts.fraction.length);
  const digits = `${parts.whole === '' ? '0' : parts.whole}${parts.fraction === '' ? '' : `.${parts.fraction}`}`;
  return { value, text: parts.negative && value !== 0 ? `-${digits}` : digits };
}

/** A numeric from the wire: what `numeric_out` writes. */
export function decodeNumeric(text: string): Numeric {
  if (text.length <= 15) {
    const value = Number(text);
    if (Number.isInteger(value)) return value === 0 ? 0 : value;
  }
  if (text === 'NaN') return NaN;
  if (text === 'Infinity') return Infinity;
  if (text === '-Infinity') return -Infinity;
  const negative = text.charCodeAt(0) === 45;
  const start = negative ? 1 : 0;
  const point = text.indexOf('.');
  const digits = point === -1 ? text.slice(start) : text.slice(start, point) + text.slice(point + 1);
  if (digits === '' || !allDigits(digits)) throw new InputError('invalid syntax');
  return fromDigits(negative, digits, point === -1 ? 0 : text.length - point - 1);
}

export function decimalFromInteger(value: number | bigint): Numeric {
  return typeof value === 'number' ? value : new Decimal(value, 0);
}

/**
 * Text under which two equal numerics meet: no trailing zeros in the fraction. Takes wire text and does not parse it, so
 * that a row value can be looked up cheaply.
 */
export function numericKey(text: string): string {
  if (!text.includes('.')) return text;
  let end = text.length;
  while (text.charCodeAt(end - 1) === 48) end--;
  if (text.charCodeAt(end - 1) === 46) end--;
  const key = text.slice(0, end);
  return key === '-0' ? '0' : key;
}

/** `numeric_out` of a value, with the fewest fraction digits. */
export function formatNumeric(value: Numeric): string {
  if (typeof value === 'number') return Object.is(value, -0) ? '0' : String(value);
  const negative = value.coefficient < 0n;
  const digits = (negative ? -value.coefficient : value.coefficient).toString().padStart(value.scale + 1, '0');
  const whole = digits.slice(0, digits.length - value.scale);
  return `${negative ? '-' : ''}${whole}${value.scale === 0 ? '' : `.${digits.slice(digits.length - value.scale)}`}`;
}

/** Total order of `numeric`: NaN equals NaN and is above everything. */
export function compareNumeric(a: Value, b: Value): number {
  if (typeof a === 'number' && typeof b === 'number') return compareNumbers(a, b);
  return compareMixed(a as Numeric, b as Numeric);
}

/** Order of doubles as Postgres sees it: NaN equals NaN and is above everything, -0 equals 0. */
export function compareNumbers(a: number, b: number): number {
  if (a < b) return -1;
  if (a > b) return 1;
  if (a === b) return 0;
  if (Number.isNaN(a)) return Number.isNaN(b) ? 0 : 1;
  return -1;
}

function compareMixed(a: Numeric, b: Numeric): number {
  if (typeof a === 'number' && !Number.isFinite(a)) return a === -Infinity ? -1 : 1;
  if (typeof b === 'number' && !Number.isFinite(b)) return b === -Infinity ? 1 : -1;
  const left = asDecimal(a);
  const right = asDecimal(b);
  const leftSign = signOf(left.coefficient);
  const rightSign = signOf(right.coefficient);
  if (leftSign !== rightSign) return leftSign - rightSign;
  // Magnitudes first, so that 1e130000 against 1e-16000 does not build either in full.
  const byMagnitude = magnitude(left) - magnitude(right);
  if (byMagnitude !== 0) return byMagnitude > 0 ? leftSign : -leftSign;
  const scale = Math.max(left.scale, right.scale);
  const x = left.coefficient * 10n ** BigInt(scale - left.scale);
  const y = right.coefficient * 10n ** BigInt(scale - right.scale);
  return x === y ? 0 : x < y ? -1 : 1;
}

/** Nearest double, ties to even: what `numeric` to `float8` does. Out of range gives an infinity. */
export function numericToNumber(value: Numeric): number {
  if (typeof value === 'number') return value;
  return Number(`${value.coefficient}e-${value.scale}`);
}

/** The exact value of a finite double. */
export function exactDecimal(value: number): Numeric {
  if (Number.isSafeInteger(value)) return value;
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, value);
  const high = bits.getUint32(0);
  const exponentBits = (high >>> 20) & 0x7ff;
  const mantissa = (BigInt(high & 0xfffff) << 32n) | BigInt(bits.getUint32(4));
  const significand = exponentBits === 0 ? mantissa : mantissa | (1n << 52n);
  const exponent = (exponentBits === 0 ? 1 : exponentBits) - 1075;
  const signed = value < 0 ? -significand : significand;
  if (exponent >= 0) return fromCoefficient(signed << BigInt(exponent), 0);
  return fromCoefficient(signed * 5n ** BigInt(-exponent), -exponent);
}

function splitNumeric(text: string): NumericText | undefined {
  let at = 0;
  const negative = text[0] === '-';
  if (negative || text[0] === '+') at++;
  const wholeStart = at;
  while (isDigit(text.charCodeAt(at))) at++;
  let whole = text.slice(wholeStart, at);
  let fraction = '';
  if (text[at] === '.') {
    const fractionStart = ++at;
    while (isDigit(text.charCodeAt(at))) at++;
    fraction = text.slice(fractionStart, at);
  }
  if (whole === '' && fraction === '') return undefined;
  let exponent = 0;
  if (text[at] === 'e' || text[at] === 'E') {
    const exponentStart = ++at;
    if (text[at] === '-' || text[at] === '+') at++;
    const digitsStart = at;
    while (isDigit(text.charCodeAt(at))) at++;
    if (at === digitsStart || at - digitsStart > 5) return undefined;
    exponent = Number(text.slice(exponentStart, at));
  }
  if (at !== text.length) return undefined;
  if (Math.abs(exponent) > MAX_LITERAL_DIGITS) return undefined;
  if (exponent > 0) {
    const moved = fraction.slice(0, exponent).padEnd(exponent, '0');
    whole += moved;
    fraction = fraction.slice(exponent);
  } else if (exponent < 0) {
    const padded = whole.padStart(-exponent, '0');
    fraction = padded.slice(padded.length + exponent) + fraction;
    whole = padded.slice(0, padded.length + exponent);
  }
  return { negative, whole: stripLeadingZeros(whole), fraction };
}

function stripLeadingZeros(digits: string): string {
  let at = 0;
  while (digits.charCodeAt(at) === 48) at++;
  return digits.slice(at);
}

function allDigits(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (!isDigit(text.charCodeAt(i))) return false;
  return true;
}

function fromDigits(negative: boolean, digits: string, scale: number): Numeric {
  let end = digits.length;
  let kept = scale;
  while (kept > 0 && digits.charCodeAt(end - 1) === 48) {
    end--;
    kept--;
  }
  const magnitudeValue = BigInt(digits.slice(0, end) || '0');
  return fromNormal(negative ? -magnitudeValue : magnitudeValue, kept);
}

function fromCoefficient(coefficient: bigint, scale: number): Numeric {
  let value = coefficient;
  let kept = scale;
  while (kept > 0 && value % 10n === 0n) {
    value /= 10n;
    kept--;
  }
  return fromNormal(value, kept);
}

function fromNormal(coefficient: bigint, scale: number): Numeric {
  if (scale > 0) return new Decimal(coefficient, scale);
  const value = narrow(coefficient);
  return typeof value === 'number' ? value : new Decimal(value, 0);
}

function asDecimal(value: Numeric): Decimal {
  return typeof value === 'number' ? new Decimal(BigInt(value), 0) : value;
}

function signOf(value: bigint): number {
  return value === 0n ? 0 : value < 0n ? -1 : 1;
}

/** Number of digits before the point; negative when the first digits after it are zeros. */
function magnitude(value: Decimal): number {
  if (value.coefficient === 0n) return -Infinity;
  const digits = value.coefficient < 0n ? -value.coefficient : value.coefficient;
  return digits.toString().length - value.scale;
}
