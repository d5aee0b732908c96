import { ClauseEvaluationError } from '../errors.ts';
import { asDecimal, Decimal, powerOfTen, type Numeric } from '../types/decimal.ts';
import type { Implementations } from './implementation.ts';
import {
  checkedNumeric,
  divideRounded,
  isSpecial,
  leadingGroups,
  MIN_DIGITS,
  resultScale,
  signOf,
  trimmed,
} from './numeric-digits.ts';
import { complexPower, numericOverflow, zeroToNegativePower } from './numeric-errors.ts';

/** Powers with more digits than this are not computed. */
const MAX_DIGITS = 20_000;

const INT4_MAX = 2147483647;

/** A power as a fraction. */
interface Fraction {
  readonly numerator: bigint;
  readonly denominator: bigint;
}

export const NUMERIC_POWER: Implementations = {
  'numeric_power(numeric,numeric)': power,
  'power(numeric,numeric)': power,
  'pow(numeric,numeric)': power,
};

/**
 * `numeric ^ numeric` for integer exponents. The display scale is that of Postgres 16 and later; where earlier versions round
 * the value to another scale, and for all other exponents, the result is undecided.
 */
function power(base: Numeric, exponent: Numeric): Numeric {
  if (isSpecial(base) || isSpecial(exponent)) return specialPower(base, exponent);
  checkSigns(base, exponent);
  const whole = trimmed(exponent);
  if (whole.scale > 0 || whole.coefficient > INT4_MAX || whole.coefficient < -INT4_MAX) {
    if (signOf(base) === 0) return new Decimal(0n, MIN_DIGITS);
    throw undecided('numeric power with an exponent that is no integer');
  }
  return integerPower(asDecimal(base), Number(whole.coefficient), asDecimal(exponent).scale);
}

function checkSigns(base: Numeric, exponent: Numeric): void {
  if (signOf(base) === 0 && signOf(exponent) < 0) throw zeroToNegativePower();
  if (signOf(base) < 0 && !isSpecial(exponent) && trimmed(exponent).scale > 0) throw complexPower();
}

/** The rules of POSIX `pow`, apart from zeros having no sign. */
function specialPower(base: Numeric, exponent: Numeric): Numeric {
  if (Number.isNaN(base)) return !isSpecial(exponent) && signOf(exponent) === 0 ? 1 : NaN;
  if (Number.isNaN(exponent)) return isOne(base) ? 1 : NaN;
  checkSigns(base, exponent);
  if (isOne(base) || signOf(exponent) === 0) return 1;
  if (signOf(base) === 0) return 0;
  const up = signOf(exponent) > 0;
  if (isSpecial(exponent)) {
    const size = absoluteAgainstOne(base);
    return size === 0 ? 1 : size > 0 === up ? Infinity : 0;
  }
  if (!up) return 0;
  return base === -Infinity && isOdd(exponent) ? -Infinity : Infinity;
}

function isOne(value: Numeric): boolean {
  return signOf(value) > 0 && absoluteAgainstOne(value) === 0;
}

/** Below, equal to or above zero as the absolute value is to one. */
function absoluteAgainstOne(value: Numeric): number {
  if (isSpecial(value)) return 1;
  const { coefficient, scale } = asDecimal(value);
  const difference = (coefficient < 0n ? -coefficient : coefficient) - powerOfTen(scale);
  return difference === 0n ? 0 : difference < 0n ? -1 : 1;
}

function isOdd(value: Numeric): boolean {
  const { coefficient, scale } = trimmed(value);
  return scale === 0 && coefficient % 2n !== 0n;
}

function integerPower(base: Decimal, exponent: number, exponentScale: number): Numeric {
  const digits = weightOfPower(base, exponent);
  if (digits > 131_100) throw numericOverflow();
  const scale = resultScale(MIN_DIGITS - Math.trunc(digits), base.scale, exponentScale);
  const fraction = exactPower(base, exponent);
  const value = roundFraction(fraction, scale);
  const earlier = resultScale(MIN_DIGITS, base.scale);
  if (earlier !== scale && !sameValue(value, scale, roundFraction(fraction, earlier), earlier)) {
    throw undecided('numeric power that versions of Postgres round differently');
  }
  return checkedNumeric(value, scale);
}

/** The logarithm that Postgres estimates the size of the result from, in doubles; undecided where its last bit matters. */
function weightOfPower(base: Decimal, exponent: number): number {
  if (base.coefficient === 0n) return 0;
  const { value, groups, weight } = leadingGroups(base, 4);
  const logarithm = Math.log10(value) + (weight - groups + 1) * 4;
  const result = exponent * logarithm;
  const nearInteger = Math.abs(result - Math.round(result)) < 1e-9 * Math.max(1, Math.abs(result));
  if (nearInteger && !Number.isInteger(logarithm)) throw undecided('numeric power near a power of ten');
  return result;
}

function exactPower({ coefficient, scale }: Decimal, exponent: number): Fraction {
  const size = Math.abs(exponent);
  const unit = coefficient === 1n || coefficient === -1n || coefficient === 0n;
  const length = Math.max(unit ? 0 : coefficient.toString().length, scale);
  if (length * size > MAX_DIGITS) throw undecided('numeric power with too many digits');
  const numerator = coefficient ** BigInt(size);
  const denominator = powerOfTen(scale * size);
  return exponent < 0 ? { numerator: denominator, denominator: numerator } : { numerator, denominator };
}

/** Postgres drops digits on the way, enough to matter only for a remainder next to a half. */
function roundFraction({ numerator, denominator }: Fraction, scale: number): bigint {
  const shifted = numerator * powerOfTen(scale);
  if (shifted % denominator !== 0n) {
    const tenthousandths = Number(((shifted * 10_000n) / denominator) % 10_000n);
    if (Math.abs(Math.abs(tenthousandths) - 5000) < 10) throw undecided('numeric power next to a rounding boundary');
  }
  return divideRounded(shifted, denominator);
}

function sameValue(a: bigint, aScale: number, b: bigint, bScale: number): boolean {
  return a * powerOfTen(Math.max(bScale - aScale, 0)) === b * powerOfTen(Math.max(aScale - bScale, 0));
}

function undecided(message: string): ClauseEvaluationError {
  return new ClauseEvaluationError('undecided', message);
}
