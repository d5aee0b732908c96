import { describe, expect, test } from 'vitest';
import { ClauseEvaluationError } from '../errors.ts';
import { formatNumeric, parseNumericLiteral, type Numeric } from '../types/decimal.ts';
import type { Value } from '../types/value.ts';
import { NUMERIC_FUNCTIONS } from './numeric.ts';

function call(signature: string, ...args: readonly Value[]): Value | null {
  return (NUMERIC_FUNCTIONS[signature] as (...values: readonly Value[]) => Value | null)(...args);
}

/** A call with the arguments as numeric text. */
function numeric(signature: string, ...args: readonly string[]): string {
  return formatNumeric(call(signature, ...args.map((text) => parseNumericLiteral(text).value)) as Numeric);
}

/** `postgres: message` or `undecided: message`. */
function failure(signature: string, ...args: readonly Value[]): string | undefined {
  try {
    call(signature, ...args);
    return undefined;
  } catch (error) {
    if (!(error instanceof ClauseEvaluationError)) throw error;
    return `${error.reason}: ${error.message}`;
  }
}

const decimal = (text: string): Value => parseNumericLiteral(text).value;

describe('integers', () => {
  test.each([
    ['int2mul(int2,int2)', [200, 200], 'smallint out of range'],
    ['int4pl(int4,int4)', [2147483647, 1], 'integer out of range'],
    ['int24mi(int2,int4)', [-2, 2147483647], 'integer out of range'],
    ['int8pl(int8,int8)', [9223372036854775807n, 1], 'bigint out of range'],
    ['int8mul(int8,int8)', [2 ** 40, 2 ** 40], 'bigint out of range'],
    ['int4abs(int4)', [-2147483648], 'integer out of range'],
    ['int2um(int2)', [-32768], 'smallint out of range'],
    ['int4div(int4,int4)', [-2147483648, -1], 'integer out of range'],
    ['int4div(int4,int4)', [7, 0], 'division by zero'],
    ['mod(int8,int8)', [7, 0], 'division by zero'],
    ['gcd(int4,int4)', [-2147483648, 0], 'integer out of range'],
  ] as [string, Value[], string][])('%s of %o raises %s', (signature, args, message) => {
    expect(failure(signature, ...args)).toBe(`postgres: ${message}`);
  });

  test.each([
    ['int4div(int4,int4)', [-7, 2], -3],
    ['int4mod(int4,int4)', [-7, 3], -1],
    ['int4mod(int4,int4)', [-6, 3], 0],
    ['int4mul(int4,int4)', [0, -5], 0],
    ['int8pl(int8,int8)', [9007199254740991, 2], 9007199254740993n],
    ['int8mi(int8,int8)', [9007199254740993n, 2], 9007199254740991],
    ['int8and(int8,int8)', [2 ** 40 + 5, -1], 2 ** 40 + 5],
    ['int8not(int8)', [9223372036854775807n], -9223372036854775808n],
    ['int2shl(int2,int4)', [1, 15], -32768],
    ['int8shl(int8,int4)', [3, 62], -4611686018427387904n],
    ['int8shr(int8,int4)', [-1, 63], -1],
    ['lcm(int8,int8)', [-4, 6], 12],
  ] as [string, Value[], Value][])('%s of %o is %s', (signature, args, expected) => {
    expect(call(signature, ...args)).toBe(expected);
  });

  test.each([
    ['int4shl(int4,int4)', 32],
    ['int2shr(int2,int4)', -1],
    ['int8shl(int8,int4)', 64],
  ])('%s by %s is left to the hardware, so undecided', (signature, count) => {
    expect(failure(signature, 1, count)).toMatch(/^undecided/);
  });
});

describe('floats', () => {
  test.each([
    ['float8mul(float8,float8)', [1e308, 10], 'value out of range: overflow'],
    ['float8mul(float8,float8)', [1e-200, 1e-200], 'value out of range: underflow'],
    ['float4mul(float4,float4)', [Math.fround(1e38), 10], 'value out of range: overflow'],
    ['float8div(float8,float8)', [1, 0], 'division by zero'],
    ['dsqrt(float8)', [-1], 'cannot take square root of a negative number'],
    ['dpow(float8,float8)', [0, -1], 'zero raised to a negative power is undefined'],
    ['dpow(float8,float8)', [-8, 0.5], 'a negative number raised to a non-integer power yields a complex result'],
    ['dpow(float8,float8)', [10, 400], 'value out of range: overflow'],
    ['dpow(float8,float8)', [10, -400], 'value out of range: underflow'],
  ] as [string, Value[], string][])('%s of %o raises %s', (signature, args, message) => {
    expect(failure(signature, ...args)).toBe(`postgres: ${message}`);
  });

  test.each([
    ['float8div(float8,float8)', [NaN, 0], NaN],
    ['float8div(float8,float8)', [1, Infinity], 0],
    ['float4pl(float4,float4)', [16777216, 1], 16777216],
    ['float48pl(float4,float8)', [16777216, 1], 16777217],
    ['round(float8)', [2.5], 2],
    ['round(float8)', [-0.5], -0],
    ['sign(float8)', [NaN], 0],
    ['dpow(float8,float8)', [2, 10], 1024],
    ['dpow(float8,float8)', [9, 0.5], 3],
    ['dpow(float8,float8)', [-2, -3], -0.125],
    ['dpow(float8,float8)', [NaN, 0], 1],
    ['dpow(float8,float8)', [-1, Infinity], 1],
    ['dpow(float8,float8)', [-Infinity, -3], -0],
    ['dpow(float8,float8)', [-0, 3], -0],
  ] as [string, Value[], Value][])('%s of %o is %s', (signature, args, expected) => {
    expect(call(signature, ...args)).toBe(expected);
  });

  test('a power next to the middle of two doubles is undecided, and so is a cube root', () => {
    // An odd square of 54 bits.
    expect(failure('dpow(float8,float8)', 94_906_267, 2)).toMatch(/^undecided/);
    expect(failure('dcbrt(float8)', 27)).toMatch(/^undecided/);
  });
});

describe('numeric', () => {
  test.each([
    ['numeric_add(numeric,numeric)', ['1.10', '2'], '3.10'],
    ['numeric_sub(numeric,numeric)', ['1.10', '1.1'], '0.00'],
    ['numeric_mul(numeric,numeric)', ['1.10', '2.0'], '2.200'],
    ['numeric_mul(numeric,numeric)', ['0', 'Infinity'], 'NaN'],
    ['numeric_add(numeric,numeric)', ['Infinity', '-Infinity'], 'NaN'],
    ['numeric_div(numeric,numeric)', ['1', '3'], '0.33333333333333333333'],
    ['numeric_div(numeric,numeric)', ['10000', '3'], '3333.3333333333333333'],
    ['numeric_div(numeric,numeric)', ['2', '3.00'], '0.66666666666666666667'],
    ['numeric_div(numeric,numeric)', ['1', 'Infinity'], '0'],
    ['numeric_mod(numeric,numeric)', ['-7.5', '2'], '-1.5'],
    ['numeric_mod(numeric,numeric)', ['7.50', '-Infinity'], '7.50'],
    ['div(numeric,numeric)', ['-7.5', '2'], '-3'],
    ['numeric_uminus(numeric)', ['0.00'], '0.00'],
    ['gcd(numeric,numeric)', ['1.5', '0.60'], '0.30'],
    ['round(numeric)', ['-2.5'], '-3'],
    ['round(numeric,int4)', ['1.25', '1'], '1.3'],
    ['round(numeric,int4)', ['15', '-1'], '20'],
    ['trunc(numeric,int4)', ['-1.29', '1'], '-1.2'],
    ['ceil(numeric)', ['-1.5'], '-1'],
    ['floor(numeric)', ['-1.5'], '-2'],
    ['sqrt(numeric)', ['2'], '1.414213562373095'],
    ['sqrt(numeric)', ['0.00'], '0.000000000000000'],
    ['numeric_power(numeric,numeric)', ['2', '3'], '8.0000000000000000'],
    ['numeric_power(numeric,numeric)', ['1.5', '2'], '2.2500000000000000'],
    ['trim_scale(numeric)', ['1.500'], '1.5'],
  ])('%s of %o is %s', (signature, args, expected) => {
    expect(numeric(signature, ...args)).toBe(expected);
  });

  test.each([
    ['numeric_div(numeric,numeric)', ['1', '0.00'], 'postgres: division by zero'],
    ['numeric_div(numeric,numeric)', ['Infinity', '0'], 'postgres: division by zero'],
    ['sqrt(numeric)', ['-1'], 'postgres: cannot take square root of a negative number'],
    ['numeric_power(numeric,numeric)', ['0', '-1'], 'postgres: zero raised to a negative power is undefined'],
    ['numeric_power(numeric,numeric)', ['10', '200000'], 'postgres: value overflows numeric format'],
    ['round(numeric,int4)', ['1', '5000'], 'undecided: numeric rounded to a large scale'],
    ['numeric_power(numeric,numeric)', ['2', '0.5'], 'undecided: numeric power with an exponent that is no integer'],
    [
      'numeric_power(numeric,numeric)',
      ['30', '-1'],
      'undecided: numeric power that versions of Postgres round differently',
    ],
  ])('%s of %o fails: %s', (signature, args, expected) => {
    expect(failure(signature, ...args.map(decimal))).toBe(expected);
  });

  test('a product beyond the digits that Postgres stores is an error', () => {
    const long = 10n ** 100_000n;
    const value = call('numeric(int8)', long);
    expect(failure('numeric_mul(numeric,numeric)', value as Value, value as Value)).toBe(
      'postgres: value overflows numeric format',
    );
  });

  test('a modifier rounds to its scale and limits the digits before the point', () => {
    const modifier = (precision: number, scale: number): Value => ((precision << 16) | scale) + 4;
    const fit = (text: string, precision: number, scale: number): string =>
      formatNumeric(call('numeric(numeric,int4)', decimal(text), modifier(precision, scale)) as Numeric);
    expect(fit('1.25', 4, 1)).toBe('1.3');
    expect(fit('7', 4, 2)).toBe('7.00');
    expect(fit('NaN', 4, 2)).toBe('NaN');
    for (const text of ['99.95', '-100', 'Infinity']) {
      expect(failure('numeric(numeric,int4)', decimal(text), modifier(3, 1))).toBe('postgres: numeric field overflow');
    }
  });
});

describe('casts', () => {
  test.each([
    ['int4(float8)', [2.5], 2],
    ['int4(float8)', [-0.4], 0],
    ['int8(float8)', [2 ** 60], 2n ** 60n],
    ['int4(numeric)', [decimal('2.5')], 3],
    ['int4(numeric)', [decimal('-2.5')], -3],
    ['int8(numeric)', [decimal('9223372036854775807.4')], 9223372036854775807n],
    ['bool(int4)', [-1], true],
    ['int4(bool)', [true], 1],
    ['float4(int8)', [9007199791611905n], 9007200328482816],
    ['float8(numeric)', [decimal('0.00')], 0],
  ] as [string, Value[], Value][])('%s of %o is %s', (signature, args, expected) => {
    expect(call(signature, ...args)).toBe(expected);
  });

  test.each([
    ['int2(int4)', 40000, 'smallint out of range'],
    ['int4(float8)', NaN, 'integer out of range'],
    ['int8(float8)', 2 ** 63, 'bigint out of range'],
    ['int4(numeric)', Infinity, 'cannot convert NaN or infinity to int4'],
    ['float4(float8)', 1e39, 'value out of range: overflow'],
    ['float4(float8)', 1e-60, 'value out of range: underflow'],
    ['float8(numeric)', decimal('1e400'), 'numeric out of range for float8'],
  ] as [string, Value, string][])('%s of %s raises %s', (signature, arg, message) => {
    expect(failure(signature, arg)).toBe(`postgres: ${message}`);
  });

  test('floats become numeric through the digits their type is sure of, ties to even', () => {
    const cast = (type: string, value: number): string => formatNumeric(call(`numeric(${type})`, value) as Numeric);
    expect(cast('float8', 0.1 + 0.2)).toBe('0.3');
    expect(cast('float8', 1e20)).toBe('100000000000000000000');
    expect(cast('float8', 1.5e-7)).toBe('0.00000015');
    expect(cast('float8', 123456789012344.5)).toBe('123456789012344');
    expect(cast('float4', 1234565)).toBe('1234560');
    expect(cast('float4', -Infinity)).toBe('-Infinity');
  });
});
