import { asDecimal, createNumeric, Decimal, type Numeric } from '../types/decimal.ts';
import { numericOverflow } from './numeric-errors.ts';

/** `NUMERIC_MIN_SIG_DIGITS`: significant digits that functions which cannot be exact aim at. */
export const MIN_DIGITS = 16;

/** `NUMERIC_DSCALE_MAX`: the largest display scale. */
export const MAX_SCALE = 16383;

/** `NUMERIC_MAX_DISPLAY_SCALE`: the largest display scale that functions which cannot be exact choose. */
const MAX_CHOSEN_SCALE = 1000;

/** Digits before the point that a numeric can have. */
const MAX_WHOLE_DIGITS = 131_072;

/** Far below the limit, so that most results are not counted. */
const SMALL = 1n << 65_536n;
const MINUS_SMALL = -SMALL;

/** NaN and the infinities. */
export function isSpecial(value: Numeric): value is number {
  return typeof value === 'number' && !Number.isFinite(value);
}

/** -1, 0 or 1; NaN of NaN. */
export function signOf(value: Numeric): number {
  if (typeof value === 'number') return Math.sign(value);
  return value.coefficient === 0n ? 0 : value.coefficient < 0n ? -1 : 1;
}

/** `coefficient` x 10^-`scale`; an error when it has more digits than Postgres stores. */
export function checkedNumeric(coefficient: bigint, scale: number): Numeric {
  if ((coefficient > SMALL || coefficient < MINUS_SMALL) && wholeDigits(coefficient) - scale > MAX_WHOLE_DIGITS) {
    throw numericOverflow();
  }
  return createNumeric(coefficient, scale);
}

/** The quotient rounded to an integer, half away from zero. */
export function divideRounded(dividend: bigint, divisor: bigint): bigint {
  const quotient = dividend / divisor;
  const twice = (dividend - quotient * divisor) * 2n;
  const size = divisor < 0n ? -divisor : divisor;
  if (twice < size && -twice < size) return quotient;
  return dividend < 0n === divisor < 0n ? quotient + 1n : quotient - 1n;
}

/** The display scale for `digits` digits after the point, not below those of the operands. */
export function resultScale(digits: number, ...scales: readonly number[]): number {
  return Math.min(Math.max(digits, 0, ...scales), MAX_CHOSEN_SCALE);
}

/**
 * The digits of a finite value in base 10,000, as Postgres stores them: the first up to `count` that are not zero, read as one
 * number, and the power of 10,000 of the first. Zeros at the end are not stored.
 */
export function leadingGroups(
  { coefficient, scale }: Decimal,
  count: number,
): { readonly value: number; readonly groups: number; readonly weight: number } {
  if (coefficient === 0n) return { value: 0, groups: 0, weight: 0 };
  const digits = (coefficient < 0n ? -coefficient : coefficient).toString();
  const first = digits.length - 1 - scale;
  const weight = Math.floor(first / 4);
  const width = first - weight * 4 + 1;
  let end = digits.length;
  while (digits.charCodeAt(end - 1) === 48) end--;
  const groups = Math.min(1 + Math.max(0, Math.ceil((end - width) / 4)), count);
  const length = width + (groups - 1) * 4;
  return { value: Number(digits.slice(0, length).padEnd(length, '0')), groups, weight };
}

/** The same value with no zeros at the end of the fraction. */
export function trimmed(value: Numeric): Decimal {
  const { coefficient, scale } = asDecimal(value);
  if (coefficient === 0n) return new Decimal(0n, 0);
  const digits = coefficient.toString();
  let zeros = 0;
  while (zeros < scale && digits.charCodeAt(digits.length - 1 - zeros) === 48) zeros++;
  return new Decimal(BigInt(zeros === 0 ? coefficient : digits.slice(0, digits.length - zeros)), scale - zeros);
}

function wholeDigits(coefficient: bigint): number {
  return coefficient.toString().length - (coefficient < 0n ? 1 : 0);
}
