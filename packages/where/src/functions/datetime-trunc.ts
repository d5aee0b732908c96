import { ClauseEvaluationError } from '../errors.ts';
import {
  civil,
  daysFromCivil,
  firstIsoDay,
  isoWeek,
  splitTimestamp,
  timestampOf,
  UNIX_EPOCH_DAYS,
} from '../types/calendar.ts';
import type { CivilDate } from '../types/calendar.ts';
import { Interval } from '../types/interval-value.ts';
import { localOffset, timeZoneOf } from '../types/time-zone.ts';
import { narrow } from '../types/value.ts';
import { checkedTimestamp, isInfinite, type Timestamp } from './date-arithmetic.ts';
import { truncUnit, unsupportedUnit, type Unit } from './datetime-units.ts';
import type { Implementations } from './implementation.ts';
import { checkHours } from './interval-arithmetic.ts';

const SECOND_US = 1_000_000;
const TIME_UNITS: Partial<Record<Unit, number>> = {
  microsecond: 1,
  millisecond: 1000,
  second: SECOND_US,
  minute: 60 * SECOND_US,
  hour: 3600 * SECOND_US,
};

/** `date_trunc`; without a zone a timestamptz is cut in UTC, the zone of our sessions. */
export const TRUNC_FUNCTIONS: Implementations = {
  'date_trunc(text,timestamp)': (unit: string, value: Timestamp) => truncTimestamp(unit, value, 'timestamp'),
  'date_trunc(text,timestamptz)': (unit: string, value: Timestamp) => truncTimestamp(unit, value, 'timestamptz'),
  'date_trunc(text,timestamptz,text)': truncInZone,
  'date_trunc(text,interval)': truncInterval,
};

function truncTimestamp(name: string, value: Timestamp, type: string): Timestamp {
  if (isInfinite(value)) return infinite(name, value, type);
  const { days, time } = splitTimestamp(value);
  const local = truncLocal(truncUnit(name), days, time, type);
  return checkedTimestamp(timestampOf(local.days, local.time));
}

/** Cuts the local time of a zone; from days up the offset is looked up again for the result, below it stays. */
function truncInZone(name: string, value: Timestamp, zoneName: string): Timestamp {
  const zone = timeZoneOf(zoneName);
  if (isInfinite(value)) return infinite(name, value, 'timestamptz');
  const utc = splitTimestamp(value);
  const unit = truncUnit(name);
  let offset = zone.offsetAt((utc.days - UNIX_EPOCH_DAYS) * 86_400 + Math.floor(utc.time / SECOND_US));
  const shifted = splitTimestamp(timestampOf(utc.days, utc.time + offset * SECOND_US));
  const local = truncLocal(unit, shifted.days, shifted.time, 'timestamptz');
  if (TIME_UNITS[unit] === undefined) offset = localOffset(zone, (local.days - UNIX_EPOCH_DAYS) * 86_400);
  return checkedTimestamp(timestampOf(local.days, local.time - offset * SECOND_US));
}

function infinite(name: string, value: Timestamp, type: string): Timestamp {
  let unit: Unit;
  try {
    unit = truncUnit(name);
    if (unit.startsWith('timezone')) throw unsupportedUnit(type);
  } catch (error) {
    // Only Postgres 18 looks at the unit before it returns an infinite timestamp.
    throw new ClauseEvaluationError('undecided', (error as Error).message);
  }
  return value;
}

function truncLocal(unit: Unit, days: number, time: number, type: string): { days: number; time: number } {
  const step = TIME_UNITS[unit];
  if (step !== undefined) return { days, time: time - (time % step) };
  const date = civil(days);
  switch (unit) {
    case 'day':
      return { days, time: 0 };
    case 'week':
      return { days: truncWeek(date), time: 0 };
    case 'month':
      return firstOf(date.year, date.month);
    case 'quarter':
      return firstOf(date.year, date.month - ((date.month - 1) % 3));
    case 'year':
      return firstOf(date.year, 1);
    case 'decade':
      return firstOf(Math.floor(date.year / 10) * 10, 1);
    case 'century':
      return firstOf(Math.floor((date.year - 1) / 100) * 100 + 1, 1);
    case 'millennium':
      return firstOf(Math.floor((date.year - 1) / 1000) * 1000 + 1, 1);
    default:
      throw unsupportedUnit(type);
  }
}

function truncWeek(date: CivilDate): number {
  const { year, week } = isoWeek(date);
  return firstIsoDay(year) + (week - 1) * 7;
}

function firstOf(year: number, month: number): { days: number; time: number } {
  return { days: daysFromCivil(year, month, 1), time: 0 };
}

function truncInterval(name: string, value: Interval): Interval {
  const unit = truncUnit(name);
  checkHours(value);
  const step = TIME_UNITS[unit];
  if (step !== undefined) {
    const micros = BigInt(value.micros);
    return new Interval(value.months, value.days, narrow(micros - (micros % BigInt(step))));
  }
  switch (unit) {
    case 'day':
      return new Interval(value.months, value.days, 0);
    case 'month':
      return new Interval(value.months, 0, 0);
    case 'quarter':
      return truncMonths(value, 3);
    case 'year':
      return truncMonths(value, 12);
    case 'decade':
      return truncMonths(value, 120);
    case 'century':
      return truncMonths(value, 1200);
    case 'millennium':
      return truncMonths(value, 12_000);
    default:
      throw unsupportedUnit('interval');
  }
}

function truncMonths(value: Interval, step: number): Interval {
  return new Interval(value.months - (value.months % step), 0, 0);
}
