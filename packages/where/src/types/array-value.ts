import type { Value } from './value.ts';

/** A Postgres array. Elements are flat, in row-major order; an empty array has no dimensions. */
export class ArrayValue {
  readonly elements: readonly (Value | null)[];
  /** Length of each dimension, 0 to 6 of them. */
  readonly dims: readonly number[];
  /** Lower bound of each dimension; 1 unless written otherwise. */
  readonly lowerBounds: readonly number[];

  constructor(elements: readonly (Value | null)[], dims: readonly number[], lowerBounds: readonly number[]) {
    this.elements = elements;
    this.dims = dims;
    this.lowerBounds = lowerBounds;
  }
}
