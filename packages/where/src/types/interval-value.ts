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
