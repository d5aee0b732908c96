import type { Value } from './value.ts';

/** Elements flat, in row-major order; an array without elements has no dimensions. */
export interface ArrayShape<T> {
  readonly elements: readonly T[];
  /** Length of each dimension, 0 to 6 of them. */
  readonly dims: readonly number[];
  /** Lower bound of each dimension; 1 unless written otherwise. */
  readonly lowerBounds: readonly number[];
}

/** A Postgres array. */
export class ArrayValue implements ArrayShape<Value | null> {
  readonly elements: readonly (Value | null)[];
  readonly dims: readonly number[];
  readonly lowerBounds: readonly number[];

  constructor(elements: readonly (Value | null)[], dims: readonly number[], lowerBounds: readonly number[]) {
    this.elements = elements;
    this.dims = dims;
    this.lowerBounds = lowerBounds;
  }
}

/** More dimensions than this are an error in Postgres. */
export const MAX_DIMENSIONS = 6;

export const EMPTY_ARRAY = new ArrayValue([], [], []);

/** An array of one dimension that starts at `lowerBound`. */
export function vector(elements: readonly (Value | null)[], lowerBound = 1): ArrayValue {
  return elements.length === 0 ? EMPTY_ARRAY : new ArrayValue(elements, [elements.length], [lowerBound]);
}
