import { InputError } from '../errors.ts';
import { compareNumeric, exactDecimal, numericToNumber, parseNumericLiteral } from './decimal.ts';
import { isDigit, narrow, trimBlanks } from './value.ts';

const RANGE = {
  int2: [-32768n, 32767n],
  int4: [-2147483648n, 2147483647n],
  int8: [-9223372036854775808n, 9223372036854775807n],
} as const;

export type IntegerName = keyof typeof RANGE;

/** Integer input: blanks, a sign, digits (Postgres 15; later versions also take hex and separators, which are refused). */
export function parseInteger(name: IntegerName, input: string): number | bigint {
  const text = trimBlanks(input);
  const start = text[0] === '-' || text[0] === '+' ? 1 : 0;
  if (start === text.length || text.length > 1000) throw new InputError('invalid syntax');
  for (let i = start; i < text.length; i++) if (!isDigit(text.charCodeAt(i))) throw new InputError('invalid syntax');
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
 * hexadecimal floats, which C libraries take, are refused.
 */
export function parseFloatLiteral(name: 'float4' | 'float8', input: string): number {
  const text = trimBlanks(input);
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
  }
  if (!isPlainNumber(text)) throw new InputError('invalid syntax');
  const value = name === 'float8' ? Number(text) : nearestFloat32(text);
  if (!Number.isFinite(value)) throw new InputError('out of range');
  if (value === 0 && hasNonZeroDigit(text)) throw new InputError('out of range');
  return value;
}

/** A float from the wire. */
export function decodeFloat(name: 'float4' | 'float8', text: string): number {
  const value = name === 'float8' ? Number(text) : nearestFloat32(text);
  if (text === '' || (Number.isNaN(value) && text !== 'NaN')) throw new InputError('invalid syntax');
  return value;
}

/** Shortest text that reads back as the same float. */
export function formatFloat(name: 'float4' | 'float8', value: number): string {
  if (Object.is(value, -0)) return '-0';
  if (name === 'float8' || !Number.isFinite(value)) return String(value);
  for (let precision = 1; precision < 10; precision++) {
    const text = String(Number(value.toPrecision(precision)));
    if (nearestFloat32(text) === value) return text;
  }
  return String(value);
}

/**
 * The float4 nearest to a decimal. Rounding to double first and to single after is wrong only where the double is exactly
 * between two singles, so only there the decimal itself decides.
 */
export function nearestFloat32(text: string): number {
  const double = Number(text);
  const single = Math.fround(double);
  if (single === double || Number.isNaN(double) || !Number.isFinite(double)) return single;
  const other = neighbour(single, double);
  if ((single + other) / 2 !== double) return single;
  const order = compareNumeric(parseNumericLiteral(text).value, exactDecimal(double));
  if (order === 0) return single;
  return order > 0 ? Math.max(single, other) : Math.min(single, other);
}

/** `numeric` to `float8` or `float4`; out of range is an error. */
export function numericTextToFloat(name: 'float4' | 'float8', text: string): number {
  const { value } = parseNumericLiteral(text);
  if (typeof value === 'number' && !Number.isFinite(value)) return value;
  const result = name === 'float8' ? numericToNumber(value) : nearestFloat32(text);
  if (!Number.isFinite(result)) throw new InputError('out of range');
  if (result === 0 && value !== 0) throw new InputError('out of range');
  return result;
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
  view.setInt32(0, away ? bits + 1 : bits - 1);
  const result = view.getFloat32(0);
  // Past the largest finite value rounding works as if the next power of two were one.
  return Number.isFinite(result) ? result : Math.sign(single) * 2 ** 128;
}

function isPlainNumber(text: string): boolean {
  if (text.length > 1000) return false;
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
    // Longer exponents only make zeros and infinities, and nearestFloat32 reads exponents up to 1,000.
    if (at === start || at - start > 3) return false;
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
