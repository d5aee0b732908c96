import { ClauseEvaluationError, InputError } from '../errors.ts';
import { compareBounds, compareBoundValues, makeRange, rangeKind, type RangeKind } from '../types/range.ts';
import { lowerOf, upperOf, type Bound, type RangeValue } from '../types/range-value.ts';
import type { Type } from '../types/type.ts';
import type { Value } from '../types/value.ts';
import type { Implementations, Polymorphic } from './implementation.ts';

/** Functions on ranges. Bounds are compared by the order of their type. */
export const RANGE_FUNCTIONS: Implementations = {
  'range_contains(anyrange,anyrange)': pair(contains),
  'range_contained_by(anyrange,anyrange)': pair((kind, a, b) => contains(kind, b, a)),
  'range_contains_elem(anyrange,anyelement)': {
    of: ([range]) => {
      const kind = kindOf(range);
      return (whole: RangeValue, value: Value) => includes(kind, whole, value);
    },
  },
  'elem_contained_by_range(anyelement,anyrange)': {
    of: ([, range]) => {
      const kind = kindOf(range);
      return (value: Value, whole: RangeValue) => includes(kind, whole, value);
    },
  },
  'range_overlaps(anyrange,anyrange)': between(
    (kind, a, b) =>
      compareBounds(kind, lowerOf(a), upperOf(b)) <= 0 && compareBounds(kind, lowerOf(b), upperOf(a)) <= 0,
  ),
  'range_before(anyrange,anyrange)': between((kind, a, b) => compareBounds(kind, upperOf(a), lowerOf(b)) < 0),
  'range_after(anyrange,anyrange)': between((kind, a, b) => compareBounds(kind, lowerOf(a), upperOf(b)) > 0),
  'range_adjacent(anyrange,anyrange)': between(
    (kind, a, b) => touches(kind, upperOf(a), lowerOf(b)) || touches(kind, upperOf(b), lowerOf(a)),
  ),
  'range_overleft(anyrange,anyrange)': between((kind, a, b) => compareBounds(kind, upperOf(a), upperOf(b)) <= 0),
  'range_overright(anyrange,anyrange)': between((kind, a, b) => compareBounds(kind, lowerOf(a), lowerOf(b)) >= 0),

  'lower(anyrange)': (range: RangeValue) => range.lower,
  'upper(anyrange)': (range: RangeValue) => range.upper,
  'isempty(anyrange)': (range: RangeValue) => range.empty,
  'lower_inc(anyrange)': (range: RangeValue) => range.lowerInclusive,
  'upper_inc(anyrange)': (range: RangeValue) => range.upperInclusive,
  'lower_inf(anyrange)': (range: RangeValue) => !range.empty && range.lower === null,
  'upper_inf(anyrange)': (range: RangeValue) => !range.empty && range.upper === null,

  ...constructors('int4range', 'int4'),
  ...constructors('int8range', 'int8'),
  ...constructors('numrange', 'numeric'),
  ...constructors('daterange', 'date'),
  ...constructors('tsrange', 'timestamp'),
  ...constructors('tstzrange', 'timestamptz'),
};

type Test = (kind: RangeKind, a: RangeValue, b: RangeValue) => boolean;

function kindOf(type: Type | undefined): RangeKind {
  return rangeKind(type?.name ?? '');
}

function pair(test: Test): Polymorphic {
  return {
    of: ([range]) => {
      const kind = kindOf(range);
      return (a: RangeValue, b: RangeValue) => test(kind, a, b);
    },
  };
}

/** A relation that no empty range has. */
function between(test: Test): Polymorphic {
  return pair((kind, a, b) => !a.empty && !b.empty && test(kind, a, b));
}

function contains(kind: RangeKind, whole: RangeValue, part: RangeValue): boolean {
  if (part.empty) return true;
  if (whole.empty) return false;
  return (
    compareBounds(kind, lowerOf(whole), lowerOf(part)) <= 0 && compareBounds(kind, upperOf(whole), upperOf(part)) >= 0
  );
}

function includes(kind: RangeKind, range: RangeValue, value: Value): boolean {
  if (range.empty) return false;
  if (range.lower !== null) {
    const order = kind.compare(range.lower, value);
    if (order > 0 || (order === 0 && !range.lowerInclusive)) return false;
  }
  if (range.upper !== null) {
    const order = kind.compare(range.upper, value);
    if (order < 0 || (order === 0 && !range.upperInclusive)) return false;
  }
  return true;
}

/** Whether nothing is between an upper and a lower bound, and nothing in both. */
function touches(kind: RangeKind, upper: Bound, lower: Bound): boolean {
  const order = compareBoundValues(kind, upper, lower);
  if (order === 0) return upper.inclusive !== lower.inclusive;
  if (order > 0 || kind.next === undefined) return false;
  const gap = makeRange(
    kind,
    { value: upper.value, inclusive: !upper.inclusive, side: 'lower' },
    { value: lower.value, inclusive: !lower.inclusive, side: 'upper' },
  );
  return gap.empty;
}

/** `int4range(1, 2)` and `int4range(1, 2, '[]')`. Not strict: NULL is an infinite bound. */
function constructors(name: string, subtype: string): Implementations {
  const make = (lower: Value | null, upper: Value | null, brackets: string | null = '[)'): RangeValue => {
    if (brackets === null || !/^[[(][\])]$/.test(brackets)) throw failure('invalid range bound flags');
    try {
      return makeRange(
        rangeKind(name),
        { value: lower, inclusive: brackets.startsWith('['), side: 'lower' },
        { value: upper, inclusive: brackets.endsWith(']'), side: 'upper' },
      );
    } catch (error) {
      if (error instanceof InputError) throw failure(error.message);
      throw error;
    }
  };
  return { [`${name}(${subtype},${subtype})`]: make, [`${name}(${subtype},${subtype},text)`]: make };
}

function failure(message: string): ClauseEvaluationError {
  return new ClauseEvaluationError('postgres', message);
}
