import { InputError } from '../errors.ts';
import { isDigit, narrow, trimBlanks, type Value } from './value.ts';

/** `coefficient` x 10^-`scale`, `scale` being the display scale: 1.10 keeps its zero. Never a safe integer of scale 0. */
export class Decimal {
  readonly coefficient: bigint;
  readonly scale: number;

  constructor(coefficient: bigint, scale: number) {
    this.coefficient = coefficient;
    this.scale = scale;
  }
}

/** A numeric in memory: a number when it is a safe integer of display scale 0, NaN or infinite. Never -0. */
export type Numeric = number | Decimal;

/** More digits than this in a literal are refused (spec W 9.12). */
const MAX_LITERAL_DIGITS = 1000;

/** The powers of ten that a double holds exactly. */
const EXACT_POWERS = Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`));

/** Powers of ten up to this one are kept. */
const COMMON_POWERS = 64;

interface NumericText {
  readonly negative: boolean;
  /** Digits before and after the point, exponent applied, without leading zeros. */
  readonly whole: string;
  readonly fraction: string;
}

/**
 * `numeric` input without what only Postgres 16 and later take, hex and separators. Throws InputError for anything else
 * and for literals above 1,000 digits.
 */
export function parseNumericLiteral(input: string): { readonly value: Numeric; readonly text: string } {
  const text = trimBlanks(input);
  const special = specialNumber(text);
  if (special !== undefined) return { value: special, text: String(special) };
  const parts = splitNumeric(text);
  if (parts.whole.length + parts.fraction.length > MAX_LITERAL_DIGITS) throw new InputError('too many digits', true);
  const magnitude = BigInt(parts.whole + parts.fraction);
  const value = createNumeric(parts.negative ? -magnitude : magnitude, parts.fraction.length);
  return { value, text: formatNumeric(value) };
}

/** NaN and the infinities as number input functions spell them; undefined for other text. */
export function specialNumber(text: string): number | undefined {
  switch (text.toLowerCase()) {
    case 'nan':
      return NaN;
    case 'inf':
    case '+inf':
    case 'infinity':
    case '+infinity':
      return Infinity;
    case '-inf':
    case '-infinity':
      return -Infinity;
    default:
      return undefined;
  }
}

/** A numeric from the wire: what `numeric_out` writes. */
export function decodeNumeric(text: string): Numeric {
  const point = text.indexOf('.');
  if (point === -1 && text.length <= 15) {
    const value = Number(text);
    if (Number.isInteger(value) && text !== '') return value === 0 ? 0 : value;
  }
  if (text === 'NaN') return NaN;
  if (text === 'Infinity') return Infinity;
  if (text === '-Infinity') return -Infinity;
  const negative = text.charCodeAt(0) === 45;
  const start = negative ? 1 : 0;
  const digits = point === -1 ? text.slice(start) : text.slice(start, point) + text.slice(point + 1);
  if (digits === '' || !allDigits(digits)) throw new InputError('invalid syntax');
  const magnitude = BigInt(digits);
  return createNumeric(negative ? -magnitude : magnitude, point === -1 ? 0 : text.length - point - 1);
}

/** `coefficient` x 10^-`scale` with display scale `scale`. */
export function createNumeric(coefficient: bigint, scale: number): Numeric {
  if (scale > 0) return new Decimal(coefficient, scale);
  const value = narrow(coefficient);
  return typeof value === 'number' ? value : new Decimal(value, 0);
}

export function decimalFromInteger(value: number | bigint): Numeric {
  return typeof value === 'number' ? value : new Decimal(value, 0);
}

/** A finite numeric as coefficient and display scale. */
export function asDecimal(value: Numeric): Decimal {
  return typeof value === 'number' ? new Decimal(BigInt(value), 0) : value;
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

/** `numericKey` of the text of a value. */
export function numericKeyOf(value: Numeric): string {
  return numericKey(formatNumeric(value));
}

/** `numeric_out`: as many digits after the point as the display scale says. */
export function formatNumeric(value: Numeric): string {
  if (typeof value === 'number') return String(value);
  const { coefficient, scale } = value;
  if (scale === 0) return coefficient.toString();
  const negative = coefficient < 0n;
  const digits = (negative ? -coefficient : coefficient).toString().padStart(scale + 1, '0');
  return `${negative ? '-' : ''}${digits.slice(0, digits.length - scale)}.${digits.slice(digits.length - scale)}`;
}

/** Total order of `numeric`, whatever the display scales: NaN equals NaN and is above everything. */
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
  if (typeof a === 'object' && typeof b === 'object' && a.scale === b.scale) {
    return compareIntegers(a.coefficient, b.coefficient);
  }
  const left = asDecimal(a);
  const right = asDecimal(b);
  // Rounding keeps the order, so doubles that differ decide; most pairs never become bigints of one scale.
  const far = Math.abs(left.scale - right.scale) > COMMON_POWERS;
  const x = far ? numericToNumber(a) : quickNumber(left);
  const y = far ? numericToNumber(b) : quickNumber(right);
  if (x !== undefined && y !== undefined && x !== y) return x < y ? -1 : 1;
  const scale = Math.max(left.scale, right.scale);
  return compareIntegers(rescale(left, scale), rescale(right, scale));
}

function compareIntegers(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The coefficient that `value` has at `scale`, which is not below its own. */
export function rescale(value: Decimal, scale: number): bigint {
  return scale === value.scale ? value.coefficient : value.coefficient * powerOfTen(scale - value.scale);
}

const POWERS: readonly bigint[] = Array.from({ length: COMMON_POWERS + 1 }, (_, exponent) => 10n ** BigInt(exponent));

/** 10^`exponent`. */
export function powerOfTen(exponent: number): bigint {
  return POWERS[exponent] ?? 10n ** BigInt(exponent);
}

/** Nearest double, ties to even: what `numeric` to `float8` does. Out of range gives an infinity or zero. */
export function numericToNumber(value: Numeric): number {
  if (typeof value === 'number') return value;
  return quickNumber(value) ?? Number(`${value.coefficient}e-${value.scale}`);
}

/** Nearest double without going through text; undefined for values with many digits. */
function quickNumber({ coefficient, scale }: Decimal): number | undefined {
  const unit = EXACT_POWERS[scale];
  const number = Number(coefficient);
  // Both are exact, so the division rounds once.
  return unit !== undefined && Number.isSafeInteger(number) ? number / unit : undefined;
}

/** The exact value of a finite double, with as few digits as it has. */
export function exactDecimal(value: number): Numeric {
  if (Number.isSafeInteger(value)) return value === 0 ? 0 : value;
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, value);
  const high = bits.getUint32(0);
  const exponentBits = (high >>> 20) & 0x7ff;
  const mantissa = (BigInt(high & 0xfffff) << 32n) | BigInt(bits.getUint32(4));
  let significand = exponentBits === 0 ? mantissa : mantissa | (1n << 52n);
  let exponent = (exponentBits === 0 ? 1 : exponentBits) - 1075;
  for (; exponent < 0 && (significand & 1n) === 0n; exponent++) significand >>= 1n;
  const signed = value < 0 ? -significand : significand;
  if (exponent >= 0) return createNumeric(signed << BigInt(exponent), 0);
  return createNumeric(signed * 5n ** BigInt(-exponent), -exponent);
}

function splitNumeric(text: string): NumericText {
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
  if (whole === '' && fraction === '') throw new InputError('invalid syntax');
  let exponent = 0;
  if (text[at] === 'e' || text[at] === 'E') {
    const exponentStart = ++at;
    if (text[at] === '-' || text[at] === '+') at++;
    const digitsStart = at;
    while (isDigit(text.charCodeAt(at))) at++;
    if (at > digitsStart) exponent = Number(text.slice(exponentStart, at));
    else at = exponentStart - 1;
  }
  if (at !== text.length) throw new InputError('invalid syntax', isOtherSyntax(text));
  if (Math.abs(exponent) > MAX_LITERAL_DIGITS) throw new InputError('too many digits', true);
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

/** Whether text may be a number to other versions: separated digits, hex, octal, binary since 16; a blank in the exponent before. */
export function isOtherSyntax(text: string): boolean {
  if (text.includes('_')) return /^[-+]?(?:0[xob][\da-f_]+|\.?\d[\d_.]*(?:e[-+]?[\d_]+)?)$/i.test(text);
  return /^[-+]?(?:0[xob][\da-f]+$|[\d.]+e\s)/i.test(text);
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
