import { InputError } from '../errors.ts';
import { readRangeText, writeRangeText, type RangeText } from './range-text.ts';
import { EMPTY_RANGE, lowerOf, RangeValue, upperOf, type Bound } from './range-value.ts';
import { SCALAR_TYPES, type TypeModule } from './scalar-types.ts';
import { narrow, type Value } from './value.ts';

/** What the functions on a range type have to know about it. */
export interface RangeKind {
  /** The order of the bounds' type. */
  readonly compare: (a: Value, b: Value) => number;
  /** The value after `value`, in a type that has one. Throws InputError past the end of the type. */
  readonly next: ((value: Value) => Value) | undefined;
}

const LAST_INT4 = 2147483647;
const LAST_INT8 = 9223372036854775807n;
/** 5874897-12-31. */
const LAST_DATE = 2145031948;

const DEFINITIONS: readonly (readonly [name: string, subtype: string, next?: (value: Value) => Value])[] = [
  ['int4range', 'int4', (value) => following(value, LAST_INT4)],
  ['int8range', 'int8', (value) => following(value, LAST_INT8)],
  ['numrange', 'numeric'],
  ['daterange', 'date', (value) => following(value, LAST_DATE)],
  ['tsrange', 'timestamp'],
  ['tstzrange', 'timestamptz'],
];

const KINDS = new Map<string, RangeKind>();

export const RANGE_TYPES: readonly TypeModule[] = DEFINITIONS.map(([name, subtype, next]) => {
  const bound = SCALAR_TYPES.find((type) => type.name === subtype);
  if (bound?.compare === undefined) throw new Error(`no bounds of type ${subtype}`);
  const kind: RangeKind = { compare: bound.compare, next };
  KINDS.set(name, kind);
  return rangeType(name, bound, kind);
});

export function rangeKind(name: string): RangeKind {
  const kind = KINDS.get(name);
  if (kind === undefined) throw new Error(`${name} is not a range type`);
  return kind;
}

/**
 * The range between two bounds in canonical form. Throws InputError when the lower bound is above the upper one, and
 * where a discrete type ends before the canonical bound.
 */
export function makeRange(kind: RangeKind, lower: Bound, upper: Bound): RangeValue {
  const range = ordered(kind, lower, upper);
  if (kind.next === undefined || range.empty) return range;
  const first = moved(kind.next, lowerOf(range), false);
  const last = moved(kind.next, upperOf(range), true);
  return ordered(kind, first, last);
}

/** The order of two ends by the values they let in: an inclusive lower end is before an exclusive one. */
export function compareBounds(kind: RangeKind, a: Bound, b: Bound): number {
  const order = compareBoundValues(kind, a, b);
  if (order !== 0 || a.value === null) return order;
  if (!a.inclusive && !b.inclusive) return a.side === b.side ? 0 : a.side === 'lower' ? 1 : -1;
  if (!a.inclusive) return a.side === 'lower' ? 1 : -1;
  if (!b.inclusive) return b.side === 'lower' ? -1 : 1;
  return 0;
}

/** As compareBounds, whether inclusive or not. */
export function compareBoundValues(kind: RangeKind, a: Bound, b: Bound): number {
  if (a.value === null && b.value === null) return a.side === b.side ? 0 : a.side === 'lower' ? -1 : 1;
  if (a.value === null) return a.side === 'lower' ? -1 : 1;
  if (b.value === null) return b.side === 'lower' ? 1 : -1;
  return kind.compare(a.value, b.value);
}

function rangeType(name: string, bound: TypeModule, kind: RangeKind): TypeModule {
  const { key } = bound;
  const read = (text: string, readBound: (text: string) => Value): RangeValue => {
    const raw = readRangeText(text);
    if (raw === 'empty') return EMPTY_RANGE;
    const { lower, upper, lowerInclusive, upperInclusive } = raw;
    return makeRange(
      kind,
      { value: lower === null ? null : readBound(lower), inclusive: lowerInclusive, side: 'lower' },
      { value: upper === null ? null : readBound(upper), inclusive: upperInclusive, side: 'upper' },
    );
  };
  const format = (value: Value): string => {
    const range = value as RangeValue;
    return range.empty ? 'empty' : writeRangeText(mapBounds(range, bound.format));
  };
  return {
    name,
    parse: (text) => {
      const value = read(text, (one) => bound.parse(one).value);
      return { value, text: format(value) };
    },
    decode: (text) => read(text, bound.decode),
    format,
    compare: (a, b) => compareRanges(kind, a as RangeValue, b as RangeValue),
    key:
      key &&
      ((text) => {
        const raw = readRangeText(text);
        return raw === 'empty' ? raw : writeRangeText(mapBounds(raw, (one) => String(key(one))));
      }),
  };
}

function mapBounds<T>(
  range: Pick<RangeText, 'lowerInclusive' | 'upperInclusive'> & { readonly lower: T | null; readonly upper: T | null },
  change: (bound: T) => string,
): RangeText {
  const { lower, upper, lowerInclusive, upperInclusive } = range;
  return {
    lower: lower === null ? null : change(lower),
    upper: upper === null ? null : change(upper),
    lowerInclusive,
    upperInclusive,
  };
}

/** Empty ranges come first. */
function compareRanges(kind: RangeKind, a: RangeValue, b: RangeValue): number {
  if (a.empty || b.empty) return Number(b.empty) - Number(a.empty);
  return compareBounds(kind, lowerOf(a), lowerOf(b)) || compareBounds(kind, upperOf(a), upperOf(b));
}

function ordered(kind: RangeKind, lower: Bound, upper: Bound): RangeValue {
  const order = compareBoundValues(kind, lower, upper);
  if (order > 0) throw new InputError('range lower bound must be less than or equal to range upper bound');
  if (order === 0 && !(lower.inclusive && upper.inclusive)) return EMPTY_RANGE;
  return new RangeValue(
    false,
    lower.value,
    upper.value,
    lower.inclusive && lower.value !== null,
    upper.inclusive && upper.value !== null,
  );
}

/** The bound one value further where `inclusive` is what it is. An infinite date stays: none comes after it. */
function moved(next: (value: Value) => Value, bound: Bound, inclusive: boolean): Bound {
  const { value } = bound;
  if (value === null || isInfinite(value) || bound.inclusive !== inclusive) return bound;
  return { ...bound, value: next(value), inclusive: !inclusive };
}

function isInfinite(value: Value): boolean {
  return value === Infinity || value === -Infinity;
}

function following(value: Value, last: number | bigint): Value {
  if ((value as number | bigint) >= last) throw new InputError('out of range');
  return narrow(BigInt(value as number | bigint) + 1n);
}
