import { ClauseEvaluationError } from '../errors.ts';
import { asDecimal, createNumeric, Decimal, powerOfTen, rescale, type Numeric } from '../types/decimal.ts';
import type { Value } from '../types/value.ts';
import type { Implementations } from './implementation.ts';
import {
  checkedNumeric,
  divideRounded,
  isSpecial,
  leadingGroups,
  MAX_SCALE,
  MIN_DIGITS,
  resultScale,
  signOf,
  trimmed,
} from './numeric-digits.ts';
import { divisionByZero } from './numeric-errors.ts';

/** Euclid's algorithm is quadratic: beyond this size a divisor is not looked for. */
const MAX_DIVISOR_OPERAND = 1n << 8192n;

/** Exact operators and functions of numeric; the result's display scale is Postgres's. */
export const NUMERIC_ARITHMETIC: Implementations = {
  'numeric_add(numeric,numeric)': add,
  'numeric_sub(numeric,numeric)': (left: Numeric, right: Numeric): Value => add(left, negate(right)),
  'numeric_mul(numeric,numeric)': multiply,
  'numeric_div(numeric,numeric)': divide,
  'numeric_div_trunc(numeric,numeric)': divideTruncated,
  'div(numeric,numeric)': divideTruncated,
  'numeric_mod(numeric,numeric)': modulo,
  'mod(numeric,numeric)': modulo,
  'numeric_uplus(numeric)': (value: Numeric): Value => value,
  'numeric_uminus(numeric)': negate,
  'numeric_abs(numeric)': absolute,
  'abs(numeric)': absolute,
  'sign(numeric)': signOf,
  'gcd(numeric,numeric)': greatestDivisor,
  'lcm(numeric,numeric)': leastMultiple,
  'scale(numeric)': (value: Numeric): Value | null => (isSpecial(value) ? null : asDecimal(value).scale),
  'min_scale(numeric)': (value: Numeric): Value | null => (isSpecial(value) ? null : trimmed(value).scale),
  'trim_scale(numeric)': (value: Numeric): Value => (isSpecial(value) ? value : trim(value)),
};

function add(left: Numeric, right: Numeric): Numeric {
  if (typeof left === 'number' && typeof right === 'number') {
    const sum = left + right;
    if (Number.isSafeInteger(sum)) return sum;
  }
  if (isSpecial(left) || isSpecial(right)) return specialOr(left, () => 0) + specialOr(right, () => 0);
  return sameScale(left, right, (x, y) => x + y);
}

/** What doubles compute with in place of a numeric when one operand is NaN or infinite. */
function specialOr(value: Numeric, finite: (value: Numeric) => number): number {
  return isSpecial(value) ? value : finite(value);
}

function negate(value: Numeric): Numeric {
  return typeof value === 'number' ? 0 - value : new Decimal(-value.coefficient, value.scale);
}

function absolute(value: Numeric): Numeric {
  return signOf(value) < 0 ? negate(value) : value;
}

function multiply(left: Numeric, right: Numeric): Numeric {
  if (typeof left === 'number' && typeof right === 'number') {
    const product = left * right;
    if (Number.isSafeInteger(product)) return product + 0;
  }
  if (isSpecial(left) || isSpecial(right)) return specialOr(left, signOf) * specialOr(right, signOf);
  const a = asDecimal(left);
  const b = asDecimal(right);
  const scale = a.scale + b.scale;
  const product = a.coefficient * b.coefficient;
  if (scale <= MAX_SCALE) return checkedNumeric(product, scale);
  return checkedNumeric(divideRounded(product, powerOfTen(scale - MAX_SCALE)), MAX_SCALE);
}

function divide(left: Numeric, right: Numeric): Numeric {
  const special = specialQuotient(left, right);
  if (special !== undefined) return special;
  const a = asDecimal(left);
  const b = asDecimal(right);
  const scale = divisionScale(a, b);
  const shift = scale + b.scale - a.scale;
  const dividend = shift > 0 ? a.coefficient * powerOfTen(shift) : a.coefficient;
  const divisor = shift < 0 ? b.coefficient * powerOfTen(-shift) : b.coefficient;
  return checkedNumeric(divideRounded(dividend, divisor), scale);
}

/** Enough digits that 16 are significant, as far as the first digits of the operands in base 10,000 tell (spec W 5.5). */
function divisionScale(a: Decimal, b: Decimal): number {
  const first = leadingGroups(a, 1);
  const second = leadingGroups(b, 1);
  const weight = first.weight - second.weight - (first.value <= second.value ? 1 : 0);
  return resultScale(MIN_DIGITS - 4 * weight, a.scale, b.scale);
}

function divideTruncated(left: Numeric, right: Numeric): Numeric {
  const special = specialQuotient(left, right);
  if (special !== undefined) return special;
  const a = asDecimal(left);
  const b = asDecimal(right);
  const scale = Math.max(a.scale, b.scale);
  return checkedNumeric(rescale(a, scale) / rescale(b, scale), 0);
}

/** The quotient when an operand is NaN or infinite; undefined when both are finite. Throws for a divisor of zero. */
function specialQuotient(left: Numeric, right: Numeric): Numeric | undefined {
  if (Number.isNaN(left) || Number.isNaN(right)) return NaN;
  if (signOf(right) === 0) throw divisionByZero();
  if (isSpecial(left)) return isSpecial(right) ? NaN : left * signOf(right);
  return isSpecial(right) ? 0 : undefined;
}

function modulo(left: Numeric, right: Numeric): Numeric {
  if (Number.isNaN(left) || Number.isNaN(right)) return NaN;
  if (signOf(right) === 0) throw divisionByZero();
  if (isSpecial(left)) return NaN;
  if (isSpecial(right)) return left;
  if (typeof left === 'number' && typeof right === 'number') return (left % right) + 0;
  return sameScale(left, right, (x, y) => x % y);
}

function trim(value: Numeric): Numeric {
  const { coefficient, scale } = trimmed(value);
  return createNumeric(coefficient, scale);
}

function greatestDivisor(left: Numeric, right: Numeric): Numeric {
  if (isSpecial(left) || isSpecial(right)) return NaN;
  return sameScale(left, right, divisorOf);
}

function leastMultiple(left: Numeric, right: Numeric): Numeric {
  if (isSpecial(left) || isSpecial(right)) return NaN;
  return sameScale(left, right, (x, y) => {
    if (x === 0n || y === 0n) return 0n;
    const product = (x / divisorOf(x, y)) * y;
    return product < 0n ? -product : product;
  });
}

function divisorOf(x: bigint, y: bigint): bigint {
  let a = x < 0n ? -x : x;
  let b = y < 0n ? -y : y;
  if (a > MAX_DIVISOR_OPERAND && b > MAX_DIVISOR_OPERAND) {
    throw new ClauseEvaluationError('undecided', 'common divisor of long numerics');
  }
  while (b !== 0n) [a, b] = [b, a % b];
  return a;
}

/** Computes with the coefficients at the larger of the two scales, which is also the result's. */
function sameScale(left: Numeric, right: Numeric, compute: (x: bigint, y: bigint) => bigint): Numeric {
  const a = asDecimal(left);
  const b = asDecimal(right);
  const scale = Math.max(a.scale, b.scale);
  return checkedNumeric(compute(rescale(a, scale), rescale(b, scale)), scale);
}
