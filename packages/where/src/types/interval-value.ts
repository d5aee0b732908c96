/** A Postgres interval, field by field: `P1M` and `P30D` are equal but not the same. Micros as in Value for integers. */
export class Interval {
  readonly months: number;
  readonly days: number;
  readonly micros: number | bigint;

  constructor(months: number, days: number, micros: number | bigint) {
    this.months = months;
    this.days = days;
    this.micros = micros;
  }
}

/** Whether these fields, finite up to Postgres 16, are one of the two infinite intervals of later versions. */
export function isInfinityOfLater(value: Interval): boolean {
  if (value.days === 2_147_483_647) return value.months === value.days && value.micros === 9_223_372_036_854_775_807n;
  if (value.days !== -2_147_483_648) return false;
  return value.months === value.days && value.micros === -9_223_372_036_854_775_808n;
}
