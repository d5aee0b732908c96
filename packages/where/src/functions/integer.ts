import { ClauseEvaluationError } from '../errors.ts';
import { fitsInteger, type IntegerName } from '../types/numbers.ts';
import { narrow, type Value } from '../types/value.ts';
import type { Implementations } from './implementation.ts';
import { divisionByZero, integerOutOfRange } from './numeric-errors.ts';

/** int2, int4 or int8 in memory: a bigint only beyond the safe integers, which only an int8 reaches. */
export type Integer = number | bigint;

type Unary = (value: Integer) => Integer;
type Binary = (left: Integer, right: Integer) => Integer;

const INT32_MAX = 2147483647;

/** Operators and functions of int2, int4, int8 and, where `pg_operator` has them, their mixed pairs. */
export const INTEGER_FUNCTIONS: Implementations = {
  ...ofType('int2'),
  ...ofType('int4'),
  ...ofType('int8'),
  ...ofPair('int24', 'int2', 'int4', 'int4'),
  ...ofPair('int42', 'int4', 'int2', 'int4'),
  ...ofPair('int28', 'int2', 'int8', 'int8'),
  ...ofPair('int82', 'int8', 'int2', 'int8'),
  ...ofPair('int48', 'int4', 'int8', 'int8'),
  ...ofPair('int84', 'int8', 'int4', 'int8'),
  ...divisors('int4'),
  ...divisors('int8'),
};

function ofType(type: IntegerName): Implementations {
  const absolute: Unary = (value) => inRange(type, value < 0 ? minus(0, value) : value);
  return {
    ...ofPair(type, type, type, type),
    [`${type}up(${type})`]: (value: Integer): Value => value,
    [`${type}um(${type})`]: (value: Integer): Value => inRange(type, minus(0, value)),
    [`${type}abs(${type})`]: absolute,
    [`abs(${type})`]: absolute,
    [`${type}mod(${type},${type})`]: modulo,
    [`mod(${type},${type})`]: modulo,
    [`${type}and(${type},${type})`]: bitwise(
      (left, right) => left & right,
      (left, right) => left & right,
    ),
    [`${type}or(${type},${type})`]: bitwise(
      (left, right) => left | right,
      (left, right) => left | right,
    ),
    [`${type}xor(${type},${type})`]: bitwise(
      (left, right) => left ^ right,
      (left, right) => left ^ right,
    ),
    [`${type}not(${type})`]: (value: Integer): Value => minus(-1, value),
    [`${type}shl(${type},int4)`]: (value: Integer, count: number): Value => shiftLeft(type, value, count),
    [`${type}shr(${type},int4)`]: (value: Integer, count: number): Value => shiftRight(type, value, count),
  };
}

function ofPair(prefix: string, left: IntegerName, right: IntegerName, result: IntegerName): Implementations {
  const args = `(${left},${right})`;
  return {
    [`${prefix}pl${args}`]: checked(result, plus),
    [`${prefix}mi${args}`]: checked(result, minus),
    [`${prefix}mul${args}`]: checked(result, times),
    [`${prefix}div${args}`]: checked(result, divide),
  };
}

function divisors(type: IntegerName): Implementations {
  return {
    [`gcd(${type},${type})`]: checked(type, greatestDivisor),
    [`lcm(${type},${type})`]: checked(type, leastMultiple),
  };
}

function checked(type: IntegerName, compute: Binary): Binary {
  return (left, right) => inRange(type, compute(left, right));
}

export function inRange(type: IntegerName, value: Integer): Integer {
  if (!fitsInteger(type, value)) throw integerOutOfRange(type);
  return value;
}

function plus(left: Integer, right: Integer): Integer {
  if (typeof left === 'number' && typeof right === 'number') {
    const sum = left + right;
    if (Number.isSafeInteger(sum)) return sum;
  }
  return narrow(BigInt(left) + BigInt(right));
}

function minus(left: Integer, right: Integer): Integer {
  if (typeof left === 'number' && typeof right === 'number') {
    const difference = left - right;
    if (Number.isSafeInteger(difference)) return difference;
  }
  return narrow(BigInt(left) - BigInt(right));
}

function times(left: Integer, right: Integer): Integer {
  if (typeof left === 'number' && typeof right === 'number') {
    const product = left * right;
    // A product that rounds to a safe integer is one; adding 0 takes the sign off a zero.
    if (Number.isSafeInteger(product)) return product + 0;
  }
  return narrow(BigInt(left) * BigInt(right));
}

function divide(left: Integer, right: Integer): Integer {
  if (right === 0) throw divisionByZero();
  if (typeof left === 'number' && typeof right === 'number') return (left - (left % right)) / right + 0;
  return narrow(BigInt(left) / BigInt(right));
}

function modulo(left: Integer, right: Integer): Integer {
  if (right === 0) throw divisionByZero();
  if (typeof left === 'number' && typeof right === 'number') return (left % right) + 0;
  return narrow(BigInt(left) % BigInt(right));
}

function greatestDivisor(left: Integer, right: Integer): Integer {
  let a = left;
  let b = right;
  while (b !== 0) [a, b] = [b, modulo(a, b)];
  return a < 0 ? minus(0, a) : a;
}

function leastMultiple(left: Integer, right: Integer): Integer {
  if (left === 0 || right === 0) return 0;
  const product = times(divide(left, greatestDivisor(left, right)), right);
  return product < 0 ? minus(0, product) : product;
}

function bitwise(
  ofNumbers: (left: number, right: number) => number,
  ofBigints: (left: bigint, right: bigint) => bigint,
): Binary {
  return (left, right) => {
    if (typeof left === 'number' && typeof right === 'number' && (left | 0) === left && (right | 0) === right) {
      return ofNumbers(left, right);
    }
    return narrow(ofBigints(BigInt(left), BigInt(right)));
  };
}

function shiftLeft(type: IntegerName, value: Integer, count: number): Integer {
  checkCount(type, count);
  if (type === 'int8') return narrow(BigInt.asIntN(64, BigInt(value) << BigInt(count)));
  const shifted = (value as number) << count;
  return type === 'int2' ? (shifted << 16) >> 16 : shifted;
}

function shiftRight(type: IntegerName, value: Integer, count: number): Integer {
  checkCount(type, count);
  if (typeof value === 'number' && Math.abs(value) <= INT32_MAX) return value >> Math.min(count, 31);
  return narrow(BigInt(value) >> BigInt(count));
}

/** Beyond the width (an int2 is shifted as an int4) C leaves the result open, and the server's compiler may fold it. */
function checkCount(type: IntegerName, count: number): void {
  if (count >= 0 && count < (type === 'int8' ? 64 : 32)) return;
  throw new ClauseEvaluationError('undecided', `${type} shifted by more than its width`);
}
