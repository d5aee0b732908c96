import type { Value } from './value.ts';

/** A Postgres range in canonical form: discrete ranges are `[lower, upper)`. A missing bound is infinite. */
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
