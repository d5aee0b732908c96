import { powerOfTen } from './decimal.ts';

export type FloatName = 'float4' | 'float8';

/** A positive float is `digits` read with a point after the first, times 10^`exponent`. No trailing zeros. */
interface FloatDigits {
  readonly digits: string;
  readonly exponent: number;
}

/** A positive finite float and the middles between it and its neighbours, each divided by 2^`exponent`. */
interface Interval {
  readonly below: bigint;
  readonly value: bigint;
  readonly above: bigint;
  readonly exponent: number;
}

/**
 * The fewest digits strictly between the middles to the neighbours of a positive finite float, and of those the nearest.
 * JavaScript's own text also takes a decimal that is a middle, where reading relies on ties going to even; Postgres gives
 * such a value another digit.
 */
export function shortestDigits(name: FloatName, value: number): FloatDigits {
  const own = splitExponential(value.toExponential());
  const interval = intervalOf(name, value);
  for (let precision = name === 'float8' ? own.digits.length : 1; ; precision++) {
    const coefficient = nearestWithin(interval, own.exponent - precision + 1);
    if (coefficient === undefined) continue;
    const digits = coefficient.toString();
    return { digits: stripZeros(digits), exponent: own.exponent - precision + digits.length };
  }
}

/** `value` rounded to `precision` significant digits as C's `%e` does: an exact tie goes to the even digit. */
export function roundedDigits(value: number, precision: number): FloatDigits {
  // JavaScript rounds a tie up. Two more digits show whether there may be one; then the value itself has to tell.
  const longer = value.toExponential(precision + 1);
  if (!longer.includes('50e')) {
    const { digits, exponent } = splitExponential(value.toExponential(precision - 1));
    return { digits: stripZeros(digits), exponent };
  }
  const { exponent } = splitExponential(longer);
  const coefficient = nearest(intervalOf('float8', value), exponent - precision + 1).coefficient.toString();
  return { digits: stripZeros(coefficient), exponent: exponent - precision + coefficient.length };
}

/** The multiple of 10^`power` nearest to the value, if it or the one on the other side is inside the interval. */
function nearestWithin(interval: Interval, power: number): bigint | undefined {
  const { coefficient, other, unit, factor } = nearest(interval, power);
  for (const candidate of [coefficient, other]) {
    const scaled = candidate * unit;
    if (scaled > interval.below * factor && scaled < interval.above * factor) return candidate;
  }
  return undefined;
}

/** `coefficient` x 10^`power` is nearest to the value, ties to even; `other` is the multiple on the value's other side. */
function nearest(
  { value, exponent }: Interval,
  power: number,
): { readonly coefficient: bigint; readonly other: bigint; readonly unit: bigint; readonly factor: bigint } {
  // Both sides of value x 2^exponent = coefficient x 10^power, without negative powers.
  const factor = (exponent > 0 ? 1n << BigInt(exponent) : 1n) * (power < 0 ? powerOfTen(-power) : 1n);
  const unit = (exponent < 0 ? 1n << BigInt(-exponent) : 1n) * (power > 0 ? powerOfTen(power) : 1n);
  const total = value * factor;
  const floor = total / unit;
  const twice = (total - floor * unit) * 2n;
  const up = twice > unit || (twice === unit && (floor & 1n) === 1n);
  return up
    ? { coefficient: floor + 1n, other: floor, unit, factor }
    : { coefficient: floor, other: floor + 1n, unit, factor };
}

function intervalOf(name: FloatName, value: number): Interval {
  const view = new DataView(new ArrayBuffer(8));
  const [bits, least] = name === 'float8' ? [52, -1074] : [23, -149];
  view.setFloat64(0, value);
  // As a double every float4 is normal.
  const field = (view.getUint32(0) >>> 20) & 0x7ff;
  const fraction = view.getBigUint64(0) & ((1n << 52n) - 1n);
  const mantissa = field === 0 ? fraction : fraction | (1n << 52n);
  const ulp = Math.max((field === 0 ? 1 : field) - 1023 - bits, least);
  const steps = shift(mantissa, (field === 0 ? 1 : field) - 1075 - ulp);
  // Below a power of two the floats are twice as dense.
  const dense = steps === 1n << BigInt(bits) && ulp > least;
  return { below: steps * 4n - (dense ? 1n : 2n), value: steps * 4n, above: steps * 4n + 2n, exponent: ulp - 2 };
}

function shift(value: bigint, by: number): bigint {
  return by >= 0 ? value << BigInt(by) : value >> BigInt(-by);
}

function splitExponential(text: string): FloatDigits {
  const at = text.indexOf('e');
  return { digits: text.slice(0, at).replace('.', ''), exponent: Number(text.slice(at + 1)) };
}

function stripZeros(digits: string): string {
  let end = digits.length;
  while (end > 1 && digits.charCodeAt(end - 1) === 48) end--;
  return digits.slice(0, end);
}
