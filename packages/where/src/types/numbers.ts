import { InputError } from '../errors.ts';
import {
  compareNumeric,
  createNumeric,
  exactDecimal,
  formatNumeric,
  isOtherSyntax,
  numericToNumber,
  powerOfTen,
  specialNumber,
  type Numeric,
} from './decimal.ts';
import { shortestDigits, type FloatName } from './float-digits.ts';
import { isDigit, narrow, trimBlanks } from './value.ts';

const RANGE = {
  int2: [-32768n, 32767n],
  int4: [-2147483648n, 2147483647n],
  int8: [-9223372036854775808n, 9223372036854775807n],
} as const;

export type IntegerName = keyof typeof RANGE;

/** Longer text may be a number to Postgres; we do not look. */
const MAX_TEXT = 1000;

/** Where float text turns to an exponent: at 10^6 and 10^15, the digits the types keep for sure. */
const FIXED_DIGITS = { float4: 6, float8: 15 } as const;

/** Past the largest finite float4, rounding works as if the next power of two were one. */
const FLOAT4_LIMIT = 2 ** 128;
const LARGEST_FLOAT4 = 2 ** 128 - 2 ** 104;

/** Integer input: blanks, a sign, digits (Postgres 15; later versions also take hex and separators, which are refused). */
export function parseInteger(name: IntegerName, input: string): number | bigint {
  const text = trimBlanks(input);
  if (text.length > MAX_TEXT) throw new InputError('too long', true);
  const start = text[0] === '-' || text[0] === '+' ? 1 : 0;
  if (start === text.length) throw new InputError('invalid syntax');
  for (let i = start; i < text.length; i++) {
    if (!isDigit(text.charCodeAt(i))) throw new InputError('invalid syntax', isOtherSyntax(text));
  }
  const value = BigInt(text[0] === '+' ? text.slice(1) : text);
  if (!fitsInteger(name, value)) throw new InputError('out of range');
  return narrow(value);
}

export function fitsInteger(name: IntegerName, value: number | bigint): boolean {
  const [min, max] = RANGE[name];
  return value >= min && value <= max;
}

/** An integer from the wire. */
export function decodeInteger(text: string): number | bigint {
  if (text.length <= 15) {
    const value = Number(text);
    if (Number.isInteger(value) && text !== '') return value;
  }
  return parseInteger('int8', text);
}

/**
 * `float8` and `float4` input. A value too large, or a non-zero one too small for the type, is an error as in Postgres;
 * what only some C libraries take, hexadecimal floats and NaNs with a sign or a payload, is refused.
 */
export function parseFloatLiteral(name: FloatName, input: string): number {
  const text = trimBlanks(input);
  if (text.length > MAX_TEXT) throw new InputError('too long', true);
  const special = specialNumber(text);
  if (special !== undefined) return special;
  if (!isPlainNumber(text)) throw new InputError('invalid syntax', /^[-+]?(?:0x|nan)/i.test(text));
  const value = name === 'float8' ? Number(text) : nearestFloat32(text);
  if (!Number.isFinite(value)) throw new InputError('out of range');
  if (value === 0 && hasNonZeroDigit(text)) throw new InputError('out of range');
  return value;
}

/** A float from the wire. */
export function decodeFloat(name: FloatName, text: string): number {
  const value = name === 'float8' ? Number(text) : nearestFloat32(text);
  if (text === '' || (Number.isNaN(value) && text !== 'NaN')) throw new InputError('invalid syntax');
  return value;
}

/** Float output with `extra_float_digits` above zero: the shortest digits strictly nearer to `value` than to any other float. */
export function formatFloat(name: FloatName, value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  if (value === 0) return `${sign}0`;
  const { digits, exponent } = shortestDigits(name, Math.abs(value));
  if (exponent < -4 || exponent >= FIXED_DIGITS[name]) {
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : '';
    const power = String(Math.abs(exponent)).padStart(2, '0');
    return `${sign}${digits[0]}${fraction}e${exponent < 0 ? '-' : '+'}${power}`;
  }
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0');
  const fraction = digits.slice(exponent + 1);
  return `${sign}${whole}${fraction === '' ? '' : `.${fraction}`}`;
}

/**
 * The float4 nearest to a decimal. Rounding to double first and to single after is wrong only where the double is exactly
 * between two singles, so only there the decimal itself decides.
 */
export function nearestFloat32(text: string): number {
  const double = Number(text);
  const single = Math.fround(double);
  if (single === double || Number.isNaN(double) || !Number.isFinite(double)) return single;
  const finite = Number.isFinite(single) ? single : Math.sign(double) * FLOAT4_LIMIT;
  const other = neighbour(finite, double);
  if ((finite + other) / 2 !== double) return single;
  const order = compareNumeric(decimalOf(text), exactDecimal(double));
  if (order === 0) return single;
  return Math.fround(order > 0 ? Math.max(finite, other) : Math.min(finite, other));
}

/** `numeric` to `float8` or `float4`; out of range is an error. */
export function numericToFloat(name: FloatName, value: Numeric): number {
  if (typeof value === 'number' && !Number.isFinite(value)) return value;
  const result = name === 'float8' ? numericToNumber(value) : nearestFloat32(formatNumeric(value));
  if (!Number.isFinite(result)) throw new InputError('out of range');
  if (result === 0 && (typeof value === 'number' ? value !== 0 : value.coefficient !== 0n)) {
    throw new InputError('out of range');
  }
  return result;
}

/** The exact value of number text in plain or exponent form. Only for text near a float4, which bounds the exponent. */
function decimalOf(text: string): Numeric {
  const at = text.search(/e/i);
  const mantissa = at === -1 ? text : text.slice(0, at);
  const point = mantissa.indexOf('.');
  const digits = BigInt(`${mantissa.replace('.', '').replace(/^[-+]/, '')}`);
  const coefficient = text[0] === '-' ? -digits : digits;
  const scale = (point === -1 ? 0 : mantissa.length - point - 1) - (at === -1 ? 0 : Number(text.slice(at + 1)));
  return scale < 0 ? createNumeric(coefficient * powerOfTen(-scale), 0) : createNumeric(coefficient, scale);
}

/** The float4 next to `single` on the side of `toward`. */
function neighbour(single: number, toward: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, single);
  const bits = view.getInt32(0);
  if (single === 0) {
    view.setInt32(0, 1);
    return toward > 0 ? view.getFloat32(0) : -view.getFloat32(0);
  }
  const away = single > 0 === toward > single;
  if (Math.abs(single) === FLOAT4_LIMIT) return Math.sign(single) * LARGEST_FLOAT4;
  view.setInt32(0, away ? bits + 1 : bits - 1);
  const result = view.getFloat32(0);
  return Number.isFinite(result) ? result : Math.sign(single) * FLOAT4_LIMIT;
}

function isPlainNumber(text: string): boolean {
  let at = text[0] === '-' || text[0] === '+' ? 1 : 0;
  let digits = 0;
  for (; isDigit(text.charCodeAt(at)); at++) digits++;
  if (text[at] === '.') for (at++; isDigit(text.charCodeAt(at)); at++) digits++;
  if (digits === 0) return false;
  if (text[at] === 'e' || text[at] === 'E') {
    at++;
    if (text[at] === '-' || text[at] === '+') at++;
    const start = at;
    while (isDigit(text.charCodeAt(at))) at++;
    if (at === start) return false;
  }
  return at === text.length;
}

function hasNonZeroDigit(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 101 || code === 69) return false;
    if (code >= 49 && code <= 57) return true;
  }
  return false;
}
