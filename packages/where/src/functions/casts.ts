import { ClauseEvaluationError, InputError } from '../errors.ts';
import { dateToTimestamp, inTimestampRange } from '../types/datetime.ts';
import { decimalFromInteger, formatNumeric, numericToNumber, type Numeric } from '../types/decimal.ts';
import { fitsInteger, nearestFloat32, numericTextToFloat, type IntegerName } from '../types/numbers.ts';
import { scalarType, type TypeName } from '../types/scalar-type.ts';
import { padCharacters, stripTrailingBlanks, truncateCharacters, truncateName } from '../types/text.ts';
import { narrow, type Value } from '../types/value.ts';

/** Converts a non-NULL value. Throws ClauseEvaluationError where Postgres raises an error. */
export type Convert = (value: Value) => Value;

interface Cast {
  readonly implicit: boolean;
  readonly convert: Convert;
  /** `convert` returns its argument: two values are equal after it exactly when they were before. */
  readonly transparent: boolean;
}

const CASTS = new Map<string, Cast>();

function define(from: readonly TypeName[], to: readonly TypeName[], implicit: boolean, convert?: Convert): void {
  for (const source of from) {
    for (const target of to) {
      if (source === target) continue;
      const cast = { implicit, convert: convert ?? ((value: Value) => value), transparent: convert === undefined };
      CASTS.set(`${source} ${target}`, cast);
    }
  }
}

// Implicit casts: `pg_cast` of Postgres 15 restricted to our types (spec W 2.3).
define(['int2'], ['int4', 'int8', 'numeric', 'float8'], true);
define(['int4'], ['int8', 'numeric', 'float8'], true);
define(['int8'], ['numeric'], true, (value) => decimalFromInteger(value as number | bigint));
define(['int8'], ['float8'], true, Number);
define(['int2', 'int4'], ['float4'], true, (value) => Math.fround(value as number));
define(['int8'], ['float4'], true, (value) => nearestFloat32(`${value as bigint}`));
define(['numeric'], ['float8'], true, (value) => checkedFloat(numericToNumber(value as Numeric), value));
define(['numeric'], ['float4'], true, numericToFloat4);
define(['float4'], ['float8'], true);
define(['text', 'varchar'], ['text', 'varchar', 'bpchar'], true);
define(['bpchar'], ['text', 'varchar'], true, (value) => stripTrailingBlanks(value as string));
define(['bpchar'], ['name'], true, (value) => truncateName(stripTrailingBlanks(value as string)));
define(['text', 'varchar'], ['name'], true, (value) => truncateName(value as string));
define(['name'], ['text'], true);
define(['date'], ['timestamp', 'timestamptz'], true, (value) => checkedTimestamp(dateToTimestamp(value as number)));
define(['timestamp'], ['timestamptz'], true);

// Explicit and assignment casts.
define(['name'], ['varchar', 'bpchar'], false);
define(['timestamptz'], ['timestamp'], false);
define(['timestamp', 'timestamptz'], ['date'], false, timestampToDate);
define(['int4'], ['bool'], false, (value) => value !== 0);
define(['bool'], ['int4'], false, (value) => (value === true ? 1 : 0));
define(['int4', 'int8'], ['int2'], false, integerTo('int2'));
define(['int8'], ['int4'], false, integerTo('int4'));
define(['float8'], ['float4'], false, (value) => checkedFloat(Math.fround(value as number), value));
for (const target of ['int2', 'int4', 'int8'] as const) {
  define(['float4', 'float8'], [target], false, (value) => integerTo(target)(roundHalfEven(value as number)));
  define(['numeric'], [target], false, (value) => integerTo(target)(roundHalfAway(value as Numeric)));
}
// Text to the types whose input function we reproduce in full; dates are not among them (spec W 5.6 lists a part).
for (const target of ['bool', 'int2', 'int4', 'int8', 'numeric', 'float4', 'float8', 'uuid'] as const) {
  define(['text', 'varchar'], [target], false, (value) => readText(target, value as string));
}

export function castFrom(from: TypeName, to: TypeName): Cast | undefined {
  return CASTS.get(`${from} ${to}`);
}

/** Whether Postgres converts `from` to `to` by itself. */
export function castsImplicitly(from: TypeName, to: TypeName): boolean {
  return from === to || CASTS.get(`${from} ${to}`)?.implicit === true;
}

/** Comparing the dates of two types never overflows here, unlike the cast, which has the range of a timestamp. */
export function widenForComparison(from: TypeName, by: TypeName): Convert | undefined {
  if (from === 'date' && by !== 'date') return (value) => dateToTimestamp(value as number);
  return undefined;
}

/** Applies `varchar(n)` or `char(n)` as an explicit cast does. Undefined when we do not support modifiers on this type. */
export function lengthModifier(type: TypeName, modifiers: readonly number[]): Convert | undefined {
  const [length] = modifiers;
  if (length === undefined) return (value) => value;
  // The longest char(n) that may be padded for every row; Postgres itself goes to ten million.
  if (modifiers.length > 1 || length < 1 || length > 10_000) return undefined;
  if (type === 'varchar') return (value) => truncateCharacters(value as string, length);
  if (type === 'bpchar') return (value) => padCharacters(value as string, length);
  return undefined;
}

/**
 * Types whose wire text is what a cast to text gives, under the display settings of our sessions (R 10.4). Only for
 * columns: their text is at hand, no output function has to be reproduced.
 */
export function hasTextOutput(type: TypeName): boolean {
  return type !== 'text' && type !== 'varchar' && type !== 'bpchar' && type !== 'name';
}

function numericToFloat4(value: Value): number {
  try {
    return numericTextToFloat('float4', formatNumeric(value as Numeric));
  } catch (error) {
    if (error instanceof InputError) throw outOfRange();
    throw error;
  }
}

function readText(target: TypeName, text: string): Value {
  try {
    return scalarType(target).parse(text).value;
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    // Hexadecimal and separated numbers, and very long ones, are read by some versions of Postgres and not by us.
    const undecided = target !== 'bool' && target !== 'uuid' && (/\d_\d|0[xob]/i.test(text) || text.length > 300);
    throw new ClauseEvaluationError(undecided ? 'undecided' : 'postgres', `invalid input syntax for type ${target}`);
  }
}

function timestampToDate(value: Value): number {
  if (value === Infinity || value === -Infinity) return value;
  const total = BigInt(value as number | bigint);
  const days = total / 86_400_000_000n;
  return Number(total < 0n && days * 86_400_000_000n !== total ? days - 1n : days);
}

function integerTo(target: IntegerName): Convert {
  return (value) => {
    if (typeof value === 'number' && !Number.isFinite(value)) throw outOfRange();
    if (!fitsInteger(target, value as number | bigint)) throw outOfRange();
    return value;
  };
}

function roundHalfEven(value: number): number | bigint {
  const floor = Math.floor(value);
  const rest = value - floor;
  const rounded = rest < 0.5 || (rest === 0.5 && floor % 2 === 0) ? floor : floor + 1;
  if (!Number.isFinite(rounded)) return rounded;
  return Number.isSafeInteger(rounded) ? (rounded === 0 ? 0 : rounded) : narrow(BigInt(rounded));
}

function roundHalfAway(value: Numeric): number | bigint {
  if (typeof value === 'number') return value;
  const unit = 10n ** BigInt(value.scale);
  const half = unit / 2n;
  const { coefficient } = value;
  return narrow((coefficient < 0n ? coefficient - half : coefficient + half) / unit);
}

function checkedFloat(result: number, value: Value): number {
  const wasInfinite = typeof value === 'number' && !Number.isFinite(value);
  if (!wasInfinite && !Number.isFinite(result)) throw outOfRange();
  if (result === 0 && value !== 0) throw outOfRange();
  return result;
}

function checkedTimestamp(value: number | bigint): number | bigint {
  if (!inTimestampRange(value)) throw outOfRange();
  return value;
}

function outOfRange(): ClauseEvaluationError {
  return new ClauseEvaluationError('postgres', 'value out of range');
}
