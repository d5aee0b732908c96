import { InputError } from '../errors.ts';
import { addExact } from './calendar.ts';
import { Interval, isInfinityOfLater } from './interval-value.ts';
import { narrow } from './value.ts';

/** Units of interval input that count months, days or microseconds. */
export type IntervalUnit =
  | 'millennium'
  | 'century'
  | 'decade'
  | 'year'
  | 'month'
  | 'week'
  | 'day'
  | 'hour'
  | 'minute'
  | 'second'
  | 'millisecond'
  | 'microsecond';

const YEARS: Partial<Record<IntervalUnit, number>> = { millennium: 1000, century: 100, decade: 10, year: 1 };
const MICROS: Partial<Record<IntervalUnit, number>> = {
  hour: 3_600_000_000,
  minute: 60_000_000,
  second: 1_000_000,
  millisecond: 1000,
  microsecond: 1,
};
const SECOND_US = 1_000_000;
const DAY_SECONDS = 86_400;

/**
 * The sum an interval literal builds up, field by field. Fractions of a unit spill down to the next smaller field with
 * doubles as in Postgres, whose versions round in two ways: where 14 and the later ones differ, the literal is refused.
 */
export class IntervalFields {
  #years = 0;
  #months = 0;
  #days = 0;
  #micros: number | bigint = 0;

  get hasTime(): boolean {
    return this.#micros !== 0;
  }

  /** Adds `whole` units and a fraction between -1 and 1 of one. */
  add(unit: IntervalUnit, whole: bigint, fraction: number): void {
    const micros = MICROS[unit];
    if (micros !== undefined) {
      this.#addMicros(narrow(whole * BigInt(micros)));
      if (micros >= SECOND_US) this.#spillSeconds(fraction, micros / SECOND_US);
      else this.#spillMicros(fraction, Number(whole), micros);
      return;
    }
    const count = int32(whole);
    switch (unit) {
      case 'month':
        this.#addMonths(count);
        this.#spillDays(fraction, 30);
        return;
      case 'week':
        this.#addDays(int32(BigInt(count) * 7n));
        this.#spillDays(fraction, 7);
        return;
      case 'day':
        this.#addDays(count);
        this.#spillSeconds(fraction, DAY_SECONDS);
        return;
      default: {
        const scale = YEARS[unit] ?? 1;
        this.#years = int32(BigInt(this.#years) + BigInt(count) * BigInt(scale));
        this.#spillMonths(fraction, scale);
      }
    }
  }

  /** Adds a time of day in microseconds. */
  addTime(micros: number | bigint): void {
    this.#addMicros(micros);
  }

  /** The sum, or its opposite for intervals that end in `ago`. */
  finish(negate: boolean): Interval {
    const sign = negate ? -1n : 1n;
    const months = int32(sign * (BigInt(this.#years) * 12n + BigInt(this.#months)));
    const micros = sign * BigInt(this.#micros);
    if (BigInt.asIntN(64, micros) !== micros) throw outOfRange();
    const value = new Interval(months, int32(sign * BigInt(this.#days)), narrow(micros));
    if (isInfinityOfLater(value)) throw outOfRange();
    return value;
  }

  #addMonths(count: number): void {
    this.#months = int32(BigInt(this.#months) + BigInt(count));
  }

  #addDays(count: number): void {
    this.#days = int32(BigInt(this.#days) + BigInt(count));
  }

  #addMicros(count: number | bigint): void {
    this.#micros = addExact(this.#micros, count);
    if (BigInt.asIntN(64, BigInt(this.#micros)) !== BigInt(this.#micros)) throw outOfRange();
  }

  /** Years become whole months; Postgres 14 truncates what later versions round. */
  #spillMonths(fraction: number, scale: number): void {
    if (fraction === 0) return;
    const months = roundHalfEven(fraction * scale * 12);
    // It also truncates the sum, so a fraction on the other side of zero would count.
    if (Math.trunc(fraction * 12 * scale) !== months || this.#months !== 0) throw notExact();
    this.#addMonths(months);
  }

  #spillDays(fraction: number, scale: number): void {
    const days = fraction * scale;
    this.#addDays(Math.trunc(days));
    this.#spillSeconds(days - Math.trunc(days), DAY_SECONDS);
  }

  /** `fraction` of a unit of `scale` seconds. */
  #spillSeconds(fraction: number, scale: number): void {
    if (fraction === 0) return;
    const micros = nearest(fraction * (scale * SECOND_US));
    const seconds = fraction * scale;
    const older = Math.trunc(seconds) * SECOND_US + roundHalfEven((seconds - Math.trunc(seconds)) * SECOND_US);
    if (micros !== older) throw notExact();
    this.#addMicros(micros);
  }

  /** `fraction` of a unit of `scale` microseconds; Postgres 14 adds it to `whole` first. */
  #spillMicros(fraction: number, whole: number, scale: number): void {
    if (fraction === 0) return;
    const micros = nearest(fraction * scale);
    const rest = whole % (SECOND_US / scale);
    if (rest * scale + micros !== roundHalfEven((rest + fraction) * scale)) throw notExact();
    this.#addMicros(micros);
  }
}

/** Nearest integer; half of one goes to zero. */
function nearest(value: number): number {
  const whole = Math.trunc(value);
  const rest = value - whole;
  return rest > 0.5 ? whole + 1 : rest < -0.5 ? whole - 1 : whole;
}

/** C's `rint`. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  const rounded = rest < 0.5 || (rest === 0.5 && floor % 2 === 0) ? floor : floor + 1;
  return rounded === 0 ? 0 : rounded;
}

function int32(value: bigint): number {
  if (BigInt.asIntN(32, value) !== value) throw outOfRange();
  return Number(value);
}

function outOfRange(): InputError {
  return new InputError('interval out of range', true);
}

function notExact(): InputError {
  return new InputError('versions of Postgres round this interval differently', true);
}
