import { narrow } from './value.ts';

/** The calendar under dates and timestamps: proleptic Gregorian, days counted from 2000-01-01, year 0 is 1 BC. */

export const DAY_US = 86_400_000_000;
/** Days from 2000-01-01 to 1970-01-01. */
export const UNIX_EPOCH_DAYS = -10_957;
/** 2000-01-01 as a Julian day. */
export const EPOCH_JULIAN_DAY = 2_451_545;
/** 4714-11-24 BC, Julian day 0: the first date, and the first day of timestamps. */
const FIRST_DAY = -EPOCH_JULIAN_DAY;
/** One past 5874897-12-31. */
const DATE_END = 2_145_031_949;
/** One past 294276-12-31. */
const TIMESTAMP_END_DAY = 106_751_983;
const FIRST_TIMESTAMP = BigInt(FIRST_DAY) * BigInt(DAY_US);
const TIMESTAMP_END = BigInt(TIMESTAMP_END_DAY) * BigInt(DAY_US);
/** As many days as stay a safe integer of microseconds, whatever the time of day. */
const SAFE_DAYS = 104_000;

export interface CivilDate {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  readonly day: number;
}

/** A finite timestamp cut at midnight: microseconds into the day are never negative. */
export interface DayTime {
  readonly days: number;
  readonly time: number;
}

export function daysInMonth(year: number, month: number): number {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

export function daysFromCivil(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 730_425;
}

export function civil(days: number): CivilDate {
  const shifted = days + 730_425;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  return { year, month, day: dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1 };
}

/** 0 is Sunday. */
export function dayOfWeek(days: number): number {
  return (((days + 6) % 7) + 7) % 7;
}

/** ISO 8601 week and the year it belongs to. */
export function isoWeek(date: CivilDate): { readonly year: number; readonly week: number } {
  const days = daysFromCivil(date.year, date.month, date.day);
  let year = date.year;
  if (days < firstIsoDay(year)) year--;
  else if (days >= firstIsoDay(year + 1)) year++;
  return { year, week: Math.floor((days - firstIsoDay(year)) / 7) + 1 };
}

/** The Monday on which an ISO year begins: that of the week with January 4th. */
export function firstIsoDay(year: number): number {
  const fourth = daysFromCivil(year, 1, 4);
  return fourth - ((dayOfWeek(fourth) + 6) % 7);
}

export function inDateRange(days: number): boolean {
  return days >= FIRST_DAY && days < DATE_END;
}

/** Microseconds since 2000-01-01 of a date; infinite dates stay infinite. May be past the range of timestamps. */
export function dateToTimestamp(days: number): number | bigint {
  return Number.isFinite(days) ? timestampOf(days, 0) : days;
}

/** Whether a date widened to a timestamp is in range; comparing does not need it, casting does. */
export function inTimestampRange(value: number | bigint): boolean {
  if (value === Infinity || value === -Infinity) return true;
  return value >= FIRST_TIMESTAMP && value < TIMESTAMP_END;
}

export function splitTimestamp(value: number | bigint): DayTime {
  if (typeof value === 'number') {
    const days = Math.floor(value / DAY_US);
    return { days, time: value - days * DAY_US };
  }
  let days = value / BigInt(DAY_US);
  let time = Number(value % BigInt(DAY_US));
  if (time < 0) {
    time += DAY_US;
    days -= 1n;
  }
  return { days: Number(days), time };
}

export function timestampOf(days: number, time: number): number | bigint {
  if (days > -SAFE_DAYS && days < SAFE_DAYS) return days * DAY_US + time;
  return narrow(BigInt(days) * BigInt(DAY_US) + BigInt(time));
}

/** Exact sum of two integers in memory. */
export function addExact(a: number | bigint, b: number | bigint): number | bigint {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b;
    if (Number.isSafeInteger(sum)) return sum;
  }
  return narrow(BigInt(a) + BigInt(b));
}
