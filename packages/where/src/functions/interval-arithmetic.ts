import { ClauseEvaluationError } from '../errors.ts';
import { addExact, DAY_US } from '../types/calendar.ts';
import { Interval, isInfinityOfLater } from '../types/interval-value.ts';
import { fitsInt32, fitsInt64 } from '../types/interval.ts';
import { narrow } from '../types/value.ts';
import { roundHalfEven } from './float.ts';
import type { Implementations } from './implementation.ts';

const DAY_SECONDS = 86_400;
const MONTH_DAYS = 30;
const SECOND_US = 1_000_000;
const INT32_MAX = 2_147_483_647;
const INT32_MIN = -2_147_483_648;

type Reason = 'postgres' | 'undecided';

/** Operators and functions of intervals alone, field by field as Postgres computes them (spec W 5.6). */
export const INTERVAL_ARITHMETIC: Implementations = {
  'interval_pl(interval,interval)': (a: Interval, b: Interval) =>
    checked(a.months + b.months, a.days + b.days, addExact(a.micros, b.micros)),
  'interval_mi(interval,interval)': (a: Interval, b: Interval) =>
    checked(a.months - b.months, a.days - b.days, addExact(a.micros, negate(b.micros))),
  'interval_um(interval)': (value: Interval) => negateInterval(value, 'postgres'),
  'interval_mul(interval,float8)': (value: Interval, factor: number) => scale(value, factor, multiply),
  'mul_d_interval(float8,interval)': (factor: number, value: Interval) => scale(value, factor, multiply),
  'interval_div(interval,float8)': divide,
  'justify_hours(interval)': justifyHours,
  'justify_days(interval)': justifyDays,
  'justify_interval(interval)': justifyInterval,
  'isfinite(interval)': () => true,
};

/** `overflow` tells what came of fields without an opposite: subtracting such an interval wrapped before Postgres 17. */
export function negateInterval(value: Interval, overflow: Reason): Interval {
  return checked(negate32(value.months), negate32(value.days), negate(value.micros), overflow);
}

/** Throws ClauseEvaluationError for an interval that Postgres 14 cannot take apart: it counts hours in 32 bits. */
export function checkHours(value: Interval): void {
  const hours = BigInt(value.micros) / 3_600_000_000n;
  if (BigInt.asIntN(32, hours) !== hours) throw outOfRange('undecided');
}

/** Moves whole days out of the microseconds and gives both the same sign. */
export function justifyHours(value: Interval): Interval {
  const micros = BigInt(value.micros);
  const whole = Number(micros / BigInt(DAY_US));
  const [days, time] = sameSign(value.days + whole, Number(micros % BigInt(DAY_US)), DAY_US);
  // Postgres 14 wraps around. An intermediate sum that does not fit is an error even where the final one would.
  return checked(value.months, fit32(value.days + whole, days), time, 'undecided');
}

function justifyDays(value: Interval): Interval {
  const whole = Math.trunc(value.days / MONTH_DAYS);
  const [months, days] = sameSign(value.months + whole, value.days - whole * MONTH_DAYS, MONTH_DAYS);
  return checked(fit32(value.months + whole, months), days, value.micros, 'undecided');
}

function justifyInterval(value: Interval): Interval {
  const micros = BigInt(value.micros);
  let days = value.days + Number(micros / BigInt(DAY_US));
  // Later versions than 14 take the months out first.
  if (!fitsInt32(days)) throw outOfRange('undecided');
  let time = Number(micros % BigInt(DAY_US));
  const whole = Math.trunc(days / MONTH_DAYS);
  let months = value.months + whole;
  if (!fitsInt32(months)) throw outOfRange('undecided');
  days -= whole * MONTH_DAYS;
  if (months > 0 && (days < 0 || (days === 0 && time < 0))) {
    days += MONTH_DAYS;
    months--;
  } else if (months < 0 && (days > 0 || (days === 0 && time > 0))) {
    days -= MONTH_DAYS;
    months++;
  }
  [days, time] = sameSign(days, time, DAY_US);
  return checked(months, days, time, 'undecided');
}

/** Takes one unit of the larger field, so that the smaller one has its sign. */
function sameSign(large: number, small: number, unit: number): [number, number] {
  if (large > 0 && small < 0) return [large - 1, small + unit];
  if (large < 0 && small > 0) return [large + 1, small - unit];
  return [large, small];
}

function divide(value: Interval, factor: number): Interval {
  if (factor === 0) throw new ClauseEvaluationError('postgres', 'division by zero');
  return scale(value, factor, (field, by) => field / by);
}

function multiply(field: number, factor: number): number {
  return field * factor;
}

/** The steps of `interval_mul` and `interval_div`: what a month or day leaves over goes down, with Postgres's roundings. */
function scale(value: Interval, factor: number, apply: (field: number, factor: number) => number): Interval {
  const exactMonths = apply(value.months, factor);
  const exactDays = apply(value.days, factor);
  if (Math.abs(factor) === Infinity && apply === multiply) {
    // Infinite since Postgres 17; nothing times infinity is an error in all.
    const zero = value.months * 30 + value.days === 0 && value.micros === 0;
    throw outOfRange(zero ? 'postgres' : 'undecided');
  }
  const months = wholeInt32(exactMonths);
  let days = wholeInt32(exactDays);
  const monthDays = tsRound((exactMonths - months) * MONTH_DAYS);
  let seconds = tsRound((exactDays - days + monthDays - Math.trunc(monthDays)) * DAY_SECONDS);
  if (Math.abs(seconds) >= DAY_SECONDS) {
    const whole = Math.trunc(seconds / DAY_SECONDS);
    days += whole;
    seconds -= whole * DAY_SECONDS;
  }
  days += Math.trunc(monthDays);
  const micros = roundHalfEven(apply(Number(value.micros), factor) + seconds * SECOND_US);
  if (!(micros >= -(2 ** 63) && micros < 2 ** 63)) throw outOfRange('postgres');
  return checked(months, days, narrow(BigInt(micros)), 'undecided');
}

/** Rounds to microseconds, as `TSROUND`. */
function tsRound(value: number): number {
  return roundHalfEven(value * SECOND_US) / SECOND_US;
}

function wholeInt32(value: number): number {
  if (Number.isNaN(value) || value < INT32_MIN - 1 || value >= INT32_MAX + 1) throw outOfRange('postgres');
  // Postgres compares before it truncates, with bounds that changed in version 15.
  if (value < INT32_MIN || value > INT32_MAX) throw outOfRange('undecided');
  return zeroless(Math.trunc(value));
}

function checked(months: number, days: number, micros: number | bigint, overflow: Reason = 'postgres'): Interval {
  if (!fitsInt32(months) || !fitsInt32(days) || !fitsInt64(micros)) throw outOfRange(overflow);
  const value = new Interval(zeroless(months), zeroless(days), micros === 0 ? 0 : micros);
  if (isInfinityOfLater(value)) throw outOfRange('undecided');
  return value;
}

/** `result`, when `sum`, which Postgres computes first, fits. */
function fit32(sum: number, result: number): number {
  if (!fitsInt32(sum)) throw outOfRange('undecided');
  return result;
}

function negate(micros: number | bigint): number | bigint {
  return typeof micros === 'bigint' ? narrow(-micros) : zeroless(-micros);
}

function negate32(field: number): number {
  return zeroless(-field);
}

function zeroless(value: number): number {
  return value === 0 ? 0 : value;
}

function outOfRange(reason: Reason): ClauseEvaluationError {
  return new ClauseEvaluationError(reason, 'interval out of range');
}
