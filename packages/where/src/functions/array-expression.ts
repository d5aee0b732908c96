import { ClauseEvaluationError } from '../errors.ts';
import { ArrayValue, EMPTY_ARRAY, MAX_DIMENSIONS, vector } from '../types/array-value.ts';
import type { Value } from '../types/value.ts';

/** What clauses do with arrays in their own syntax: subscripts, slices, `ARRAY[...]`, `ANY` and `ALL` (spec W 4, 5.7). */

/** `array[i][j]`: NULL outside of the array, and for fewer or more subscripts than it has dimensions. */
export function subscript(array: ArrayValue, indexes: readonly number[]): Value | null {
  const { elements, dims, lowerBounds } = array;
  if (dims.length === 0 || dims.length !== indexes.length) return null;
  let at = 0;
  for (let i = 0; i < dims.length; i++) {
    const length = dims[i] as number;
    const offset = (indexes[i] as number) - (lowerBounds[i] as number);
    if (offset < 0 || offset >= length) return null;
    at = at * length + offset;
  }
  return elements[at] as Value | null;
}

/** Bounds of one dimension of a slice; undefined stands for the bound of the array. */
export interface SliceBounds {
  readonly lower: number | undefined;
  readonly upper: number | undefined;
}

/**
 * `array[l:u][:u]`: the part of the array within the bounds, numbered from 1. Dimensions without bounds are taken whole.
 * Next to a slice a plain subscript n means `1:n`, which the caller writes as `{ lower: 1, upper: n }`.
 */
export function slice(array: ArrayValue, bounds: readonly SliceBounds[]): ArrayValue {
  const { dims, lowerBounds } = array;
  if (dims.length < bounds.length || dims.length === 0) return EMPTY_ARRAY;
  const starts: number[] = [];
  const lengths: number[] = [];
  for (let i = 0; i < dims.length; i++) {
    const length = dims[i] as number;
    const base = lowerBounds[i] as number;
    const start = Math.max((bounds[i]?.lower ?? base) - base, 0);
    const end = Math.min((bounds[i]?.upper ?? base + length - 1) - base, length - 1);
    if (start > end) return EMPTY_ARRAY;
    starts.push(start);
    lengths.push(end - start + 1);
  }
  const elements: (Value | null)[] = [];
  const copy = (dimension: number, offset: number): void => {
    const from = offset * (dims[dimension] as number) + (starts[dimension] as number);
    const count = lengths[dimension] as number;
    if (dimension === dims.length - 1) {
      for (let i = from; i < from + count; i++) elements.push(array.elements[i] as Value | null);
      return;
    }
    for (let i = from; i < from + count; i++) copy(dimension + 1, i);
  };
  copy(0, 0);
  return new ArrayValue(
    elements,
    lengths,
    lengths.map(() => 1),
  );
}

/** `ARRAY[...]` of elements. */
export function makeArray(elements: readonly (Value | null)[]): ArrayValue {
  return vector(elements);
}

/**
 * `ARRAY[...]` of arrays, one more dimension than they have. Throws ClauseEvaluationError `postgres` unless all have the
 * same dimensions and bounds. NULL counts as an array without elements.
 */
export function makeNestedArray(arrays: readonly (ArrayValue | null)[]): ArrayValue {
  const filled = arrays.filter((array) => array !== null && array.dims.length > 0) as ArrayValue[];
  const [first] = filled;
  if (first === undefined) return EMPTY_ARRAY;
  if (first.dims.length === MAX_DIMENSIONS) throw failure('too many array dimensions');
  if (filled.length < arrays.length) throw mismatch();
  for (const one of filled) {
    if (!sameIntegers(one.dims, first.dims) || !sameIntegers(one.lowerBounds, first.lowerBounds)) throw mismatch();
  }
  return new ArrayValue(
    filled.flatMap((array) => array.elements),
    [filled.length, ...first.dims],
    [1, ...first.lowerBounds],
  );
}

/**
 * `x op ALL (array)`, or `x op ANY (array)` when `all` is false, over the elements of all dimensions. `op` is the
 * comparison with an element, NULL included. It is not called once the answer is certain; NULLs do not make it so.
 */
export function quantified(
  op: (element: Value | null) => boolean | null,
  array: ArrayValue,
  all: boolean,
): boolean | null {
  let unknown = false;
  for (const element of array.elements) {
    const result = op(element);
    if (result === null) unknown = true;
    else if (result !== all) return result;
  }
  return unknown ? null : all;
}

function sameIntegers(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((one, i) => one === b[i]);
}

function mismatch(): ClauseEvaluationError {
  return failure('multidimensional arrays must have array expressions with matching dimensions');
}

function failure(message: string): ClauseEvaluationError {
  return new ClauseEvaluationError('postgres', message);
}
