import { ClauseEvaluationError } from '../errors.ts';
import { complexPower, floatOutOfRange, zeroToNegativePower } from './numeric-errors.ts';

/** Bits after the point in what follows. The exponents of a double cost at most 64 of them. */
const PRECISION = 256n;
const ONE = 1n << PRECISION;

/** Powers with fewer bits than this are multiplied out. */
const MAX_EXACT_BITS = 1024;

/** Squarings after the exponential series, each of which halves the number it starts from. */
const HALVINGS = 8n;

/** A positive number, `significand` x 2^`exponent`. */
interface Scaled {
  readonly significand: bigint;
  readonly exponent: number;
}

/**
 * `float8 ^ float8`. C libraries promise a power to little more than half a unit in the last place, so it is only known
 * where it is not near the middle of two doubles; everywhere else it is undecided.
 */
export function floatPower(base: number, exponent: number): number {
  if (Number.isNaN(base)) return exponent === 0 ? 1 : NaN;
  if (Number.isNaN(exponent)) return base === 1 ? 1 : NaN;
  if (base === 0 && exponent < 0) throw zeroToNegativePower();
  if (base < 0 && !Number.isInteger(exponent) && Number.isFinite(exponent)) throw complexPower();
  const negative = (base < 0 || Object.is(base, -0)) && Math.abs(exponent) % 2 === 1;
  const magnitude = Math.abs(base);
  if (exponent === 0 || magnitude === 1) return negative ? -1 : 1;
  if (!Number.isFinite(exponent)) return magnitude > 1 === exponent > 0 ? Infinity : 0;
  const result =
    magnitude === Infinity ? (exponent > 0 ? Infinity : 0) : magnitude === 0 ? 0 : finitePower(magnitude, exponent);
  return negative ? -result : result;
}

function finitePower(base: number, exponent: number): number {
  if (exponent === 1) return base;
  const logarithm = exponent * Math.log(base);
  if (logarithm > 720) throw floatOutOfRange('overflow');
  if (logarithm < -760) throw floatOutOfRange('underflow');
  // The error bound of today's C libraries (glibc from 2.28, musl): 0.512 units, and a bit for large logarithms.
  return round(exactPower(base, exponent) ?? seriesPower(base, exponent), 0.016 + 5e-5 * Math.abs(logarithm));
}

/** The nearest double, when `power` is at least `margin` units in the last place from the middle of two. */
function round({ significand, exponent }: Scaled, margin: number): number {
  const excess = bitLength(significand) - 53;
  if (excess <= 0) return scale(Number(significand), exponent);
  const shift = BigInt(excess);
  const floor = significand >> shift;
  // 32 bits of the fraction are enough to compare it with the margin.
  const fraction = Number(((significand - (floor << shift)) << 32n) >> shift) / 2 ** 32;
  if (Math.abs(fraction - 0.5) < margin) throw undecided();
  return scale(Number(floor) + (fraction > 0.5 ? 1 : 0), exponent + excess);
}

function scale(significand: number, exponent: number): number {
  const width = Math.floor(Math.log2(significand)) + exponent;
  // Subnormal results round elsewhere, and some libraries report them as underflow.
  if (width < -1021) throw undecided();
  const result = significand * 2 ** exponent;
  if (result === Infinity) throw floatOutOfRange('overflow');
  return result;
}

/** Undefined when the exponent is not a small positive integer. */
function exactPower(base: number, exponent: number): Scaled | undefined {
  if (!Number.isInteger(exponent) || exponent < 0) return undefined;
  const parts = split(base);
  if (bitLength(parts.significand) * exponent > MAX_EXACT_BITS) return undefined;
  return { significand: parts.significand ** BigInt(exponent), exponent: parts.exponent * exponent };
}

/** e^(exponent x ln base), to more than a hundred bits. */
function seriesPower(base: number, exponent: number): Scaled {
  const power = split(Math.abs(exponent));
  const product = logarithm(base) * power.significand * (exponent < 0 ? -1n : 1n);
  return exponential(power.exponent < 0 ? product >> BigInt(-power.exponent) : product << BigInt(power.exponent));
}

/** ln of a positive double, times 2^PRECISION. */
function logarithm(value: number): bigint {
  const { significand, exponent } = split(value);
  const bits = BigInt(bitLength(significand));
  // m = significand / 2^bits is in [1/2, 1); ln m = 2 artanh((m - 1) / (m + 1)).
  const unit = 1n << bits;
  const near = significand * 4n < unit * 3n ? significand * 2n : significand;
  const twos = BigInt(exponent) + bits - (near === significand ? 0n : 1n);
  return 2n * inverseTangent(near - unit, near + unit) + twos * ln2();
}

/** artanh(`numerator` / `denominator`), times 2^PRECISION. */
function inverseTangent(numerator: bigint, denominator: bigint): bigint {
  const argument = (numerator << PRECISION) / denominator;
  const square = (argument * argument) >> PRECISION;
  let power = argument;
  let sum = argument;
  for (let divisor = 3n; ; divisor += 2n) {
    power = (power * square) / ONE;
    if (power === 0n) return sum;
    sum += power / divisor;
  }
}

let knownLn2: bigint | undefined;

function ln2(): bigint {
  return (knownLn2 ??= 2n * inverseTangent(1n, 3n));
}

function exponential(value: bigint): Scaled {
  const twos = (value + ln2() / 2n) / ln2() - (value < 0n ? 1n : 0n);
  const argument = (value - twos * ln2()) >> HALVINGS;
  let term = ONE;
  let sum = ONE;
  for (let divisor = 1n; term !== 0n; divisor++) {
    term = (term * argument) / (divisor * ONE);
    sum += term;
  }
  for (let i = 0n; i < HALVINGS; i++) sum = (sum * sum) >> PRECISION;
  return { significand: sum, exponent: Number(twos - PRECISION) };
}

/** A positive finite double as an odd significand and an exponent. */
function split(value: number): Scaled {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, value);
  const field = bits.getUint32(0) >>> 20;
  const fraction = bits.getBigUint64(0) & ((1n << 52n) - 1n);
  let significand = field === 0 ? fraction : fraction | (1n << 52n);
  let exponent = (field === 0 ? 1 : field) - 1075;
  for (; (significand & 1n) === 0n; exponent++) significand >>= 1n;
  return { significand, exponent };
}

function bitLength(value: bigint): number {
  return value.toString(16).length * 4 - Math.clz32(Number.parseInt(value.toString(16)[0] as string, 16)) + 28;
}

function undecided(): ClauseEvaluationError {
  return new ClauseEvaluationError('undecided', 'power of a float8 beyond what C libraries agree on');
}
