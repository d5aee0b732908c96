import { ClauseEvaluationError, InputError } from '../errors.ts';
import { createNumeric, decimalFromInteger, powerOfTen, type Numeric } from '../types/decimal.ts';
import { roundedDigits, type FloatName } from '../types/float-digits.ts';
import { nearestFloat32, numericToFloat, type IntegerName } from '../types/numbers.ts';
import { narrow, type Value } from '../types/value.ts';
import { roundHalfEven } from './float.ts';
import type { Implementations } from './implementation.ts';
import { inRange, type Integer } from './integer.ts';
import { isSpecial } from './numeric-digits.ts';
import { floatOutOfRange, integerOutOfRange } from './numeric-errors.ts';
import { roundNumeric } from './numeric-rounding.ts';

/** Digits of a float that are kept on the way to numeric: `FLT_DIG` and `DBL_DIG` of C. */
const KEPT_DIGITS = { float4: 6, float8: 15 } as const;

/** The functions of `pg_cast` among numbers and bool. */
export const NUMBER_CASTS: Implementations = {
  ...toInteger('int2', ['int4', 'int8']),
  ...toInteger('int4', ['int2', 'int8']),
  ...toInteger('int8', ['int2', 'int4']),
  'int4(bool)': (value: boolean): Value => (value ? 1 : 0),
  'bool(int4)': (value: number): Value => value !== 0,
  'numeric(int2)': decimalFromInteger,
  'numeric(int4)': decimalFromInteger,
  'numeric(int8)': decimalFromInteger,
  'numeric(float4)': (value: number): Value => floatToNumeric('float4', value),
  'numeric(float8)': (value: number): Value => floatToNumeric('float8', value),
  'float4(int2)': (value: number): Value => value,
  'float4(int4)': (value: number): Value => Math.fround(value),
  'float4(int8)': (value: Integer): Value => nearestFloat32(String(value)),
  'float4(float8)': doubleToSingle,
  'float4(numeric)': (value: Numeric): Value => toFloat('float4', value),
  'float8(int2)': (value: number): Value => value,
  'float8(int4)': (value: number): Value => value,
  'float8(int8)': (value: Integer): Value => Number(value),
  'float8(float4)': (value: number): Value => value,
  'float8(numeric)': (value: Numeric): Value => toFloat('float8', value),
};

function toInteger(type: IntegerName, integers: readonly IntegerName[]): Implementations {
  const fromFloat = (value: number): Value => {
    const rounded = roundHalfEven(value) + 0;
    if (!Number.isFinite(rounded)) throw integerOutOfRange(type);
    return inRange(type, Number.isSafeInteger(rounded) ? rounded : narrow(BigInt(rounded)));
  };
  return {
    ...Object.fromEntries(
      integers.map((from) => [`${type}(${from})`, (value: Integer): Value => inRange(type, value)]),
    ),
    [`${type}(float4)`]: fromFloat,
    [`${type}(float8)`]: fromFloat,
    [`${type}(numeric)`]: (value: Numeric): Value => {
      if (isSpecial(value)) throw new ClauseEvaluationError('postgres', `cannot convert NaN or infinity to ${type}`);
      const rounded = roundNumeric(value, 0);
      return inRange(type, typeof rounded === 'number' ? rounded : rounded.coefficient);
    },
  };
}

/** Through decimal text, which keeps the digits that the float type is sure of. */
function floatToNumeric(type: FloatName, value: number): Numeric {
  if (!Number.isFinite(value)) return value;
  if (value === 0) return 0;
  const { digits, exponent } = roundedDigits(Math.abs(value), KEPT_DIGITS[type]);
  const coefficient = value < 0 ? -BigInt(digits) : BigInt(digits);
  const scale = digits.length - 1 - exponent;
  return scale >= 0 ? createNumeric(coefficient, scale) : createNumeric(coefficient * powerOfTen(-scale), 0);
}

function doubleToSingle(value: number): number {
  const single = Math.fround(value);
  if (!Number.isFinite(single) && Number.isFinite(value)) throw floatOutOfRange('overflow');
  if (single === 0 && value !== 0) throw floatOutOfRange('underflow');
  return single;
}

function toFloat(type: FloatName, value: Numeric): number {
  try {
    return numericToFloat(type, value);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new ClauseEvaluationError('postgres', `numeric out of range for ${type}`);
  }
}
