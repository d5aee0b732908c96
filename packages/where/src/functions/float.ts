import { ClauseEvaluationError } from '../errors.ts';
import type { FloatName } from '../types/float-digits.ts';
import type { Value } from '../types/value.ts';
import { floatPower } from './float-power.ts';
import type { Implementations } from './implementation.ts';
import { divisionByZero, floatOutOfRange, rootOfNegative } from './numeric-errors.ts';

type Unary = (value: number) => Value;
type Binary = (left: number, right: number) => Value;

/** Operators and functions of float4, float8 and their mixed pairs, which compute in float8. */
export const FLOAT_FUNCTIONS: Implementations = {
  ...ofPair('float4', 'float4', 'float4', 'float4'),
  ...ofPair('float8', 'float8', 'float8', 'float8'),
  ...ofPair('float48', 'float4', 'float8', 'float8'),
  ...ofPair('float84', 'float8', 'float4', 'float8'),
  ...signs('float4'),
  ...signs('float8'),
  ...named(['ceil', 'ceiling'], Math.ceil),
  ...named(['floor'], Math.floor),
  ...named(['round', 'dround'], roundHalfEven),
  ...named(['trunc', 'dtrunc'], Math.trunc),
  ...named(['sign'], (value) => (value > 0 ? 1 : value < 0 ? -1 : 0)),
  ...named(['sqrt', 'dsqrt'], squareRoot),
  ...named(['cbrt', 'dcbrt'], cubeRoot),
  'dpow(float8,float8)': floatPower,
  'pow(float8,float8)': floatPower,
  'power(float8,float8)': floatPower,
};

/** C's `rint`: half to even, and the sign stays on a zero. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  // Also NaN, the infinities and everything too large to have a fraction.
  if (!(rest > 0)) return value;
  const rounded = rest < 0.5 || (rest === 0.5 && floor % 2 === 0) ? floor : floor + 1;
  return rounded === 0 && value < 0 ? -0 : rounded;
}

function ofPair(prefix: string, left: FloatName, right: FloatName, result: FloatName): Implementations {
  const args = `(${left},${right})`;
  // A double has more than twice the digits of a float4, so rounding its sum, product or quotient again is exact.
  const fit = result === 'float4' ? Math.fround : (value: number): number => value;
  const plus: Binary = (a, b) => noOverflow(fit(a + b), a, b);
  const minus: Binary = (a, b) => noOverflow(fit(a - b), a, b);
  const times: Binary = (a, b) => {
    const product = noOverflow(fit(a * b), a, b);
    if (product === 0 && a !== 0 && b !== 0) throw floatOutOfRange('underflow');
    return product;
  };
  const divide: Binary = (a, b) => {
    if (b === 0 && !Number.isNaN(a)) throw divisionByZero();
    // An infinite divisor gives zero, never an infinity: only the dividend may excuse one.
    const quotient = noOverflow(fit(a / b), a, a);
    if (quotient === 0 && a !== 0 && Number.isFinite(b)) throw floatOutOfRange('underflow');
    return quotient;
  };
  return {
    [`${prefix}pl${args}`]: plus,
    [`${prefix}mi${args}`]: minus,
    [`${prefix}mul${args}`]: times,
    [`${prefix}div${args}`]: divide,
  };
}

function signs(type: FloatName): Implementations {
  return {
    [`${type}up(${type})`]: (value: number): Value => value,
    [`${type}um(${type})`]: (value: number): Value => -value,
    [`${type}abs(${type})`]: Math.abs,
    [`abs(${type})`]: Math.abs,
  };
}

function named(names: readonly string[], compute: Unary): Implementations {
  return Object.fromEntries(names.map((name) => [`${name}(float8)`, compute]));
}

function squareRoot(value: number): number {
  if (value < 0) throw rootOfNegative();
  return Math.sqrt(value);
}

/** C libraries differ in the last digit of cube roots, even of cubes, so only what has no digits is known. */
function cubeRoot(value: number): number {
  if (value === 0 || !Number.isFinite(value)) return value;
  throw new ClauseEvaluationError('undecided', 'cube root of a float8');
}

function noOverflow(result: number, a: number, b: number): number {
  if ((result === Infinity || result === -Infinity) && Math.abs(a) !== Infinity && Math.abs(b) !== Infinity) {
    throw floatOutOfRange('overflow');
  }
  return result;
}
