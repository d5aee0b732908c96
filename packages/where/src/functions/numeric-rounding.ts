import { ClauseEvaluationError } from '../errors.ts';
import { asDecimal, createNumeric, powerOfTen, type Numeric } from '../types/decimal.ts';
import type { Implementations } from './implementation.ts';
import {
  checkedNumeric,
  divideRounded,
  isSpecial,
  leadingGroups,
  MIN_DIGITS,
  resultScale,
  signOf,
} from './numeric-digits.ts';
import { rootOfNegative } from './numeric-errors.ts';

type Divide = (dividend: bigint, divisor: bigint) => bigint;

/** Versions of Postgres cap a scale to round to here, or much later. */
const MAX_AGREED_SCALE = 2000;

/** Functions that give a numeric fewer digits, and the square root. */
export const NUMERIC_ROUNDING: Implementations = {
  'round(numeric)': (value: Numeric) => roundNumeric(value, 0),
  'round(numeric,int4)': roundNumeric,
  'trunc(numeric)': (value: Numeric) => truncate(value, 0),
  'trunc(numeric,int4)': truncate,
  'ceil(numeric)': (value: Numeric) => toInteger(value, ceiling),
  'ceiling(numeric)': (value: Numeric) => toInteger(value, ceiling),
  'floor(numeric)': (value: Numeric) => toInteger(value, floor),
  'sqrt(numeric)': squareRoot,
  'numeric_sqrt(numeric)': squareRoot,
  'numeric(numeric,int4)': fitModifier,
};

/** Rounds half away from zero to `scale` digits after the point, which may be negative. */
export function roundNumeric(value: Numeric, scale: number): Numeric {
  return toScale(value, scale, divideRounded);
}

function truncate(value: Numeric, scale: number): Numeric {
  return toScale(value, scale, (dividend, divisor) => dividend / divisor);
}

function toScale(value: Numeric, scale: number, divide: Divide): Numeric {
  if (isSpecial(value)) return value;
  if (Math.abs(scale) > MAX_AGREED_SCALE)
    throw new ClauseEvaluationError('undecided', 'numeric rounded to a large scale');
  const { coefficient, scale: own } = asDecimal(value);
  if (scale >= own) return createNumeric(coefficient * powerOfTen(scale - own), scale);
  const kept = divide(coefficient, powerOfTen(own - scale));
  return scale >= 0 ? createNumeric(kept, scale) : checkedNumeric(kept * powerOfTen(-scale), 0);
}

function toInteger(value: Numeric, divide: Divide): Numeric {
  return typeof value === 'number' ? value : createNumeric(divide(value.coefficient, powerOfTen(value.scale)), 0);
}

function ceiling(dividend: bigint, divisor: bigint): bigint {
  const quotient = dividend / divisor;
  return dividend > quotient * divisor ? quotient + 1n : quotient;
}

function floor(dividend: bigint, divisor: bigint): bigint {
  const quotient = dividend / divisor;
  return dividend < quotient * divisor ? quotient - 1n : quotient;
}

/** `numeric(p,s)`: rounds to s digits after the point and allows p - s before it. The modifier holds both. */
function fitModifier(value: Numeric, modifier: number): Numeric {
  if (modifier < 4) return value;
  const precision = (modifier - 4) >> 16;
  // Eleven bits with a sign; until Postgres 14 there were none below zero.
  const scale = (((modifier - 4) & 0x7ff) ^ 0x400) - 0x400;
  if (isSpecial(value)) {
    if (Number.isNaN(value)) return value;
    throw fieldOverflow();
  }
  const rounded = roundNumeric(value, scale);
  const { coefficient, scale: shown } = asDecimal(rounded);
  const size = coefficient < 0n ? -coefficient : coefficient;
  // At display scale 0 a negative scale leaves zeros that count as digits.
  if (size >= powerOfTen(precision - scale + shown)) throw fieldOverflow();
  return rounded;
}

function fieldOverflow(): ClauseEvaluationError {
  return new ClauseEvaluationError('postgres', 'numeric field overflow');
}

/** At least 16 significant digits and those of the argument, the last one rounded. */
function squareRoot(value: Numeric): Numeric {
  if (signOf(value) < 0) throw rootOfNegative();
  if (isSpecial(value)) return value;
  const decimal = asDecimal(value);
  const weight = leadingGroups(decimal, 1).weight;
  const scale = resultScale(MIN_DIGITS - (weight * 2 + 1), decimal.scale);
  // One digit more than asked for decides how the last one is rounded.
  const shift = 2 * (scale + 1) - decimal.scale;
  const square = shift >= 0 ? decimal.coefficient * powerOfTen(shift) : decimal.coefficient / powerOfTen(-shift);
  return createNumeric((integerRoot(square) + 5n) / 10n, scale);
}

/** The largest integer whose square is not above `value`. */
function integerRoot(value: bigint): bigint {
  if (value < 2n) return value;
  // From above, Newton's steps only fall until they reach the root.
  let root = 1n << BigInt(value.toString(16).length * 2);
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}
