import { ClauseEvaluationError } from '../errors.ts';
import {
  addExact,
  DAY_US,
  daysFromCivil,
  daysInMonth,
  inDateRange,
  inTimestampRange,
  splitTimestamp,
  timestampOf,
  UNIX_EPOCH_DAYS,
} from '../types/calendar.ts';
import { Interval } from '../types/interval-value.ts';
import { localOffset, timeZoneOf } from '../types/time-zone.ts';
import { checkedTimestamp, isInfinite, toTimestamp, type Timestamp } from './date-arithmetic.ts';
import { roundHalfEven } from './float.ts';
import type { Implementations } from './implementation.ts';

const SECOND_US = 1_000_000;
const MAX_PRECISION = 6;

/** Casts, precisions, constructors and `AT TIME ZONE` (`timezone`). The zone of our sessions is UTC. */
export const CONVERSION_FUNCTIONS: Implementations = {
  'timestamp(date)': toTimestamp,
  'timestamptz(date)': toTimestamp,
  'timestamp(timestamptz)': same,
  'timestamptz(timestamp)': same,
  'date(timestamp)': toDate,
  'date(timestamptz)': toDate,
  'time(timestamp)': toTime,
  'time(timestamptz)': toTime,
  'time(interval)': intervalToTime,
  'interval(time)': (time: number) => new Interval(0, 0, time),
  'timestamp(timestamp,int4)': roundTimestamp,
  'timestamptz(timestamptz,int4)': roundTimestamp,
  'time(time,int4)': roundTime,
  'isfinite(date)': (value: number) => Number.isFinite(value),
  'isfinite(timestamp)': (value: Timestamp) => !isInfinite(value),
  'isfinite(timestamptz)': (value: Timestamp) => !isInfinite(value),
  'make_date(int4,int4,int4)': makeDate,
  'make_time(int4,int4,float8)': makeTime,
  'timezone(text,timestamptz)': utcToZone,
  'timezone(text,timestamp)': zoneToUtc,
  'timezone(interval,timestamptz)': (zone: Interval, value: Timestamp) => shift(value, zone, 1),
  'timezone(interval,timestamp)': (zone: Interval, value: Timestamp) => shift(value, zone, -1),
};

function same(value: Timestamp): Timestamp {
  return value;
}

function toDate(value: Timestamp): number {
  return isInfinite(value) ? (value as number) : splitTimestamp(value).days;
}

function toTime(value: Timestamp): number | null {
  return isInfinite(value) ? null : splitTimestamp(value).time;
}

/** The microseconds modulo a day; days and months do not count. */
function intervalToTime(value: Interval): number {
  // Up to Postgres 16 this overflowed in the last day of 64 bits.
  if (value.micros < -9_223_372_036_854_775_808n + BigInt(DAY_US)) {
    throw new ClauseEvaluationError('undecided', 'interval out of range');
  }
  const time = Number(BigInt(value.micros) % BigInt(DAY_US));
  return time < 0 ? time + DAY_US : time;
}

/** `timestamp(p)`: half away from 2000-01-01. */
function roundTimestamp(value: Timestamp, precision: number): Timestamp {
  if (isInfinite(value)) return value;
  const step = stepOf(precision);
  if (step === 1) return value;
  const { days, time } = splitTimestamp(value);
  const rest = time % step;
  // Before 2000 the remainder is measured from above, so half of a step goes down there.
  const up = value >= 0 ? rest * 2 >= step : rest * 2 > step;
  const rounded = timestampOf(days, time - rest + (up ? step : 0));
  // Postgres does not check this, and the timestamp past the last one that it gives is no input to any other function.
  if (!inTimestampRange(rounded)) throw new ClauseEvaluationError('undecided', 'timestamp out of range');
  return rounded;
}

function roundTime(time: number, precision: number): number {
  const step = stepOf(precision);
  return Math.floor((time + step / 2) / step) * step;
}

/** Microseconds between two values of this precision; -1 stands for none. */
function stepOf(precision: number): number {
  return precision < 0 || precision >= MAX_PRECISION ? 1 : 10 ** (MAX_PRECISION - precision);
}

/** Negative years are BC. */
function makeDate(year: number, month: number, day: number): number {
  const astronomical = year < 0 ? year + 1 : year;
  const valid = year !== 0 && month >= 1 && month <= 12 && day >= 1 && day <= daysInMonth(astronomical, month);
  const days = valid ? daysFromCivil(astronomical, month, day) : NaN;
  if (!inDateRange(days)) throw new ClauseEvaluationError('postgres', 'date field value out of range');
  return days;
}

function makeTime(hour: number, minute: number, seconds: number): number {
  const micros = roundHalfEven(seconds * SECOND_US);
  const time = (hour * 60 + minute) * 60 * SECOND_US + micros;
  const valid =
    hour >= 0 && hour <= 24 && minute >= 0 && minute < 60 && micros >= 0 && micros <= 60 * SECOND_US && time <= DAY_US;
  if (!valid) throw new ClauseEvaluationError('postgres', 'time field value out of range');
  return time;
}

function utcToZone(zone: string, value: Timestamp): Timestamp {
  if (isInfinite(value)) return value;
  const { days, time } = splitTimestamp(value);
  return addSeconds(value, timeZoneOf(zone).offsetAt(unixSeconds(days, time)));
}

function zoneToUtc(zone: string, value: Timestamp): Timestamp {
  if (isInfinite(value)) return value;
  const { days, time } = splitTimestamp(value);
  return addSeconds(value, -localOffset(timeZoneOf(zone), unixSeconds(days, time)));
}

function shift(value: Timestamp, zone: Interval, sign: 1 | -1): Timestamp {
  if (isInfinite(value)) return value;
  if (zone.months !== 0 || zone.days !== 0) {
    throw new ClauseEvaluationError('postgres', 'interval time zone must not include months or days');
  }
  const seconds = BigInt(zone.micros) / BigInt(SECOND_US);
  // Postgres keeps the offset in 32 bits.
  if (BigInt.asIntN(32, seconds) !== seconds)
    throw new ClauseEvaluationError('undecided', 'interval time zone too large');
  return addSeconds(value, sign * Number(seconds));
}

function addSeconds(value: Timestamp, seconds: number): Timestamp {
  return checkedTimestamp(addExact(value, seconds * SECOND_US));
}

function unixSeconds(days: number, time: number): number {
  return (days - UNIX_EPOCH_DAYS) * 86_400 + Math.floor(time / SECOND_US);
}
