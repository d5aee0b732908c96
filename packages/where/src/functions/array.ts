import { ClauseEvaluationError } from '../errors.ts';
import { ArrayValue, EMPTY_ARRAY, vector } from '../types/array-value.ts';
import type { Type } from '../types/type.ts';
import type { Value } from '../types/value.ts';
import { searchElements } from './array-search.ts';
import type { Implementations } from './implementation.ts';

type Equals = (a: Value, b: Value) => boolean;

/**
 * Functions on arrays (spec W 5.7). `||` is array_cat, array_append or array_prepend. Elements are compared by the
 * order of their type; a type without one is refused when the clause is bound, as in Postgres.
 */
export const ARRAY_FUNCTIONS: Implementations = {
  'arraycontains(anyarray,anyarray)': {
    of: ([type]) => {
      const search = searchElements(elementOf(type));
      return (whole: ArrayValue, part: ArrayValue) => search(whole, part, 'all');
    },
  },
  'arraycontained(anyarray,anyarray)': {
    of: ([type]) => {
      const search = searchElements(elementOf(type));
      return (part: ArrayValue, whole: ArrayValue) => search(whole, part, 'all');
    },
  },
  'arrayoverlap(anyarray,anyarray)': {
    of: ([type]) => {
      const search = searchElements(elementOf(type));
      return (a: ArrayValue, b: ArrayValue) => search(a, b, 'any');
    },
  },

  'array_cat(anycompatiblearray,anycompatiblearray)': concatenate,
  'array_append(anycompatiblearray,anycompatible)': append,
  'array_prepend(anycompatible,anycompatiblearray)': prepend,

  'array_ndims(anyarray)': (array: ArrayValue) => array.dims.length || null,
  'array_length(anyarray,int4)': (array: ArrayValue, dimension: number) => array.dims[dimension - 1] ?? null,
  'array_lower(anyarray,int4)': (array: ArrayValue, dimension: number) => array.lowerBounds[dimension - 1] ?? null,
  'array_upper(anyarray,int4)': (array: ArrayValue, dimension: number) => {
    const length = array.dims[dimension - 1];
    return length === undefined ? null : (array.lowerBounds[dimension - 1] as number) + length - 1;
  },
  'cardinality(anyarray)': (array: ArrayValue) => array.elements.length,

  'array_position(anycompatiblearray,anycompatible)': {
    of: ([type]) => {
      const equals = equalityOf(elementOf(type));
      return (array: ArrayValue | null, wanted: Value | null) => position(equals, array, wanted);
    },
  },
  'array_position(anycompatiblearray,anycompatible,int4)': {
    of: ([type]) => {
      const equals = equalityOf(elementOf(type));
      return (array: ArrayValue | null, wanted: Value | null, start: number | null) =>
        position(equals, array, wanted, start);
    },
  },
  'array_remove(anycompatiblearray,anycompatible)': {
    of: ([type]) => {
      const equals = equalityOf(elementOf(type));
      return (array: ArrayValue | null, unwanted: Value | null) => remove(equals, array, unwanted);
    },
  },
  'array_replace(anycompatiblearray,anycompatible,anycompatible)': {
    of: ([type]) => {
      const equals = equalityOf(elementOf(type));
      return (array: ArrayValue | null, wanted: Value | null, other: Value | null) =>
        array && replace(equals, array, wanted, other);
    },
  },
};

function elementOf(type: Type | undefined): Type {
  if (type?.element === undefined) throw new Error(`${type?.name} is not an array type`);
  return type.element;
}

function equalityOf(element: Type): Equals {
  const { compare } = element;
  if (compare === undefined) throw new Error(`no equality for ${element.name}`);
  return element.identical === true ? (a, b) => a === b : (a, b) => compare(a, b) === 0;
}

/** Not strict: NULL, like an array without elements, leaves the other one as it is. */
function concatenate(a: ArrayValue | null, b: ArrayValue | null): ArrayValue | null {
  if (a === null || b === null) return a ?? b;
  if (b.dims.length === 0) return a;
  if (a.dims.length === 0) return b;
  switch (a.dims.length - b.dims.length) {
    case 0:
      return joined(a, b, a, (b.dims[0] as number) + (a.dims[0] as number), 1, 1);
    case -1:
      return joined(a, b, b, (b.dims[0] as number) + 1, 0, 1);
    case 1:
      return joined(a, b, a, (a.dims[0] as number) + 1, 1, 0);
    default:
      throw incompatible();
  }
}

/** The elements of both, with the bounds of `outer` but `length` of them; what is inside of that has to agree. */
function joined(
  a: ArrayValue,
  b: ArrayValue,
  outer: ArrayValue,
  length: number,
  innerOfA: number,
  innerOfB: number,
): ArrayValue {
  const inner = outer.dims.length - 1;
  for (let i = 0; i < inner; i++) {
    if (a.dims[innerOfA + i] !== b.dims[innerOfB + i]) throw incompatible();
    if (a.lowerBounds[innerOfA + i] !== b.lowerBounds[innerOfB + i]) throw incompatible();
  }
  checkUpperBound(outer.lowerBounds[0] as number, length);
  return new ArrayValue([...a.elements, ...b.elements], [length, ...outer.dims.slice(1)], outer.lowerBounds);
}

function append(array: ArrayValue | null, element: Value | null): ArrayValue {
  if (array === null || array.dims.length === 0) return vector([element]);
  if (array.dims.length > 1) throw failure('argument must be empty or one-dimensional array');
  const lower = array.lowerBounds[0] as number;
  checkUpperBound(lower, array.elements.length + 1);
  return vector([...array.elements, element], lower);
}

/** The result starts where the array did: its elements move up by one. */
function prepend(element: Value | null, array: ArrayValue | null): ArrayValue {
  if (array === null || array.dims.length === 0) return vector([element]);
  if (array.dims.length > 1) throw failure('argument must be empty or one-dimensional array');
  const lower = array.lowerBounds[0] as number;
  if (lower === -2147483648) throw failure('integer out of range');
  return vector([element, ...array.elements], lower);
}

function position(
  equals: Equals,
  array: ArrayValue | null,
  wanted: Value | null,
  start: number | null = -2147483648,
): number | null {
  if (array === null) return null;
  const { elements, dims, lowerBounds } = array;
  if (dims.length > 1) throw failure('searching for elements in multidimensional arrays is not supported');
  if (dims.length === 0) return null;
  if (wanted === null && !elements.includes(null)) return null;
  if (start === null) throw failure('initial position must not be null');
  const lower = lowerBounds[0] as number;
  for (let i = Math.max(0, start - lower); i < elements.length; i++) {
    if (matches(equals, elements[i] as Value | null, wanted)) return lower + i;
  }
  return null;
}

function remove(equals: Equals, array: ArrayValue | null, unwanted: Value | null): ArrayValue | null {
  if (array === null || array.dims.length === 0) return array;
  if (array.dims.length > 1) throw failure('removing elements from multidimensional arrays is not supported');
  const kept = array.elements.filter((element) => !matches(equals, element, unwanted));
  return kept.length === 0 ? EMPTY_ARRAY : vector(kept, array.lowerBounds[0]);
}

function replace(equals: Equals, array: ArrayValue, wanted: Value | null, other: Value | null): ArrayValue {
  const elements = array.elements.map((element) => (matches(equals, element, wanted) ? other : element));
  return new ArrayValue(elements, array.dims, array.lowerBounds);
}

/** Here NULL is the same as NULL. */
function matches(equals: Equals, element: Value | null, wanted: Value | null): boolean {
  return element === null || wanted === null ? element === wanted : equals(element, wanted);
}

function checkUpperBound(lower: number, length: number): void {
  if (lower + length > 2147483647) throw failure('array bound out of range');
}

function incompatible(): ClauseEvaluationError {
  return failure('cannot concatenate incompatible arrays');
}

function failure(message: string): ClauseEvaluationError {
  return new ClauseEvaluationError('postgres', message);
}
