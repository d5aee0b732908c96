import { ClauseEvaluationError } from '../errors.ts';
import {
  addExact,
  civil,
  dateToTimestamp,
  DAY_US,
  daysFromCivil,
  daysInMonth,
  inDateRange,
  inTimestampRange,
  splitTimestamp,
  timestampOf,
} from '../types/calendar.ts';
import { Interval } from '../types/interval-value.ts';
import type { Implementations } from './implementation.ts';
import { justifyHours, negateInterval } from './interval-arithmetic.ts';

/** Microseconds since 2000-01-01, or +-Infinity. */
export type Timestamp = number | bigint;

/**
 * Operators between dates, times, timestamps and intervals (spec W 5.6). The session's zone is UTC, where every day has 24
 * hours, so timestamptz computes like timestamp.
 */
export const DATE_ARITHMETIC: Implementations = {
  'date_pli(date,int4)': addDays,
  'integer_pl_date(int4,date)': (count: number, date: number) => addDays(date, count),
  'date_mii(date,int4)': (date: number, count: number) => addDays(date, -count),
  'date_mi(date,date)': subtractDates,
  'datetime_pl(date,time)': atTime,
  'timedate_pl(time,date)': (time: number, date: number) => atTime(date, time),
  'timestamp(date,time)': atTime,
  'timestamptz(date,time)': atTime,
  'date_pl_interval(date,interval)': (date: number, span: Interval) => addInterval(toTimestamp(date), span),
  'interval_pl_date(interval,date)': (span: Interval, date: number) => addInterval(toTimestamp(date), span),
  'date_mi_interval(date,interval)': (date: number, span: Interval) => subtractInterval(toTimestamp(date), span),
  'timestamp_pl_interval(timestamp,interval)': addInterval,
  'interval_pl_timestamp(interval,timestamp)': (span: Interval, value: Timestamp) => addInterval(value, span),
  'timestamp_mi_interval(timestamp,interval)': subtractInterval,
  'timestamptz_pl_interval(timestamptz,interval)': addInterval,
  'interval_pl_timestamptz(interval,timestamptz)': (span: Interval, value: Timestamp) => addInterval(value, span),
  'timestamptz_mi_interval(timestamptz,interval)': subtractInterval,
  'timestamp_mi(timestamp,timestamp)': subtractTimestamps,
  'timestamptz_mi(timestamptz,timestamptz)': subtractTimestamps,
  'time_pl_interval(time,interval)': (time: number, span: Interval) => wrapTime(BigInt(time) + BigInt(span.micros)),
  'interval_pl_time(interval,time)': (span: Interval, time: number) => wrapTime(BigInt(time) + BigInt(span.micros)),
  'time_mi_interval(time,interval)': (time: number, span: Interval) => wrapTime(BigInt(time) - BigInt(span.micros)),
  'time_mi_time(time,time)': (left: number, right: number) => new Interval(0, 0, left - right),
};

/** A date as a timestamp. Throws ClauseEvaluationError when it is past the range of timestamps. */
export function toTimestamp(date: number): Timestamp {
  return checkedTimestamp(dateToTimestamp(date));
}

export function checkedTimestamp(value: Timestamp): Timestamp {
  if (!inTimestampRange(value)) throw new ClauseEvaluationError('postgres', 'timestamp out of range');
  return value;
}

function addDays(date: number, count: number): number {
  const sum = date + count;
  if (Number.isFinite(sum) && !inDateRange(sum)) throw new ClauseEvaluationError('postgres', 'date out of range');
  return sum;
}

function subtractDates(left: number, right: number): number {
  const difference = left - right;
  if (!Number.isFinite(difference)) throw new ClauseEvaluationError('postgres', 'cannot subtract infinite dates');
  return difference;
}

function atTime(date: number, time: number): Timestamp {
  const midnight = toTimestamp(date);
  return Number.isFinite(date) ? checkedTimestamp(addExact(midnight, time)) : midnight;
}

/** Months first, where the day of the month gives way to the end of the month, then days, then microseconds. */
function addInterval(value: Timestamp, span: Interval): Timestamp {
  if (value === Infinity || value === -Infinity) return value;
  let result = value;
  if (span.months !== 0) {
    const { days, time } = splitTimestamp(result);
    const { year, month, day } = civil(days);
    const months = year * 12 + (month - 1) + span.months;
    const newYear = Math.floor(months / 12);
    const newMonth = months - newYear * 12 + 1;
    const newDay = Math.min(day, daysInMonth(newYear, newMonth));
    result = checkedTimestamp(timestampOf(daysFromCivil(newYear, newMonth, newDay), time));
  }
  if (span.days !== 0) {
    const { days, time } = splitTimestamp(result);
    result = checkedTimestamp(timestampOf(days + span.days, time));
  }
  return checkedTimestamp(addExact(result, span.micros));
}

function subtractInterval(value: Timestamp, span: Interval): Timestamp {
  return addInterval(value, negateInterval(span, 'undecided'));
}

function subtractTimestamps(left: Timestamp, right: Timestamp): Interval {
  if (isInfinite(left) || isInfinite(right)) {
    // Postgres 17 has infinite intervals; before it this was an error.
    throw new ClauseEvaluationError(left === right ? 'postgres' : 'undecided', 'cannot subtract infinite timestamps');
  }
  const micros = addExact(left, typeof right === 'bigint' ? -right : -right);
  if (BigInt.asIntN(64, BigInt(micros)) !== BigInt(micros)) {
    // Postgres 14 and 15 wrap around.
    throw new ClauseEvaluationError('undecided', 'interval out of range');
  }
  return justifyHours(new Interval(0, 0, micros));
}

/** Only the microseconds of the interval count, modulo a day; the sum wraps around at 64 bits as in Postgres. */
function wrapTime(sum: bigint): number {
  const time = Number(BigInt.asIntN(64, sum) % BigInt(DAY_US));
  return time < 0 ? time + DAY_US : time === 0 ? 0 : time;
}

export function isInfinite(value: Timestamp): boolean {
  return value === Infinity || value === -Infinity;
}
