import type { Value } from './value.ts';

/** A Postgres range in canonical form: discrete ranges are `[lower, upper)`. A missing bound is infinite, and not inclusive. */
export class RangeValue {
  readonly empty: boolean;
  readonly lower: Value | null;
  readonly upper: Value | null;
  readonly lowerInclusive: boolean;
  readonly upperInclusive: boolean;

  constructor(
    empty: boolean,
    lower: Value | null,
    upper: Value | null,
    lowerInclusive: boolean,
    upperInclusive: boolean,
  ) {
    this.empty = empty;
    this.lower = lower;
    this.upper = upper;
    this.lowerInclusive = lowerInclusive;
    this.upperInclusive = upperInclusive;
  }
}

export const EMPTY_RANGE = new RangeValue(true, null, null, false, false);

/** One end of a range; `value` null is infinite. */
export interface Bound {
  readonly value: Value | null;
  readonly inclusive: boolean;
  readonly side: 'lower' | 'upper';
}

export function lowerOf(range: RangeValue): Bound {
  return { value: range.lower, inclusive: range.lowerInclusive, side: 'lower' };
}

export function upperOf(range: RangeValue): Bound {
  return { value: range.upper, inclusive: range.upperInclusive, side: 'upper' };
}
