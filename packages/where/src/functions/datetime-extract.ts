import { ClauseEvaluationError } from '../errors.ts';
import {
  civil,
  type CivilDate,
  DAY_US,
  daysFromCivil,
  dayOfWeek,
  EPOCH_JULIAN_DAY,
  isoWeek,
  splitTimestamp,
  UNIX_EPOCH_DAYS,
} from '../types/calendar.ts';
import { createNumeric, type Numeric } from '../types/decimal.ts';
import type { Interval } from '../types/interval-value.ts';
import { checkHours } from './interval-arithmetic.ts';
import { isInfinite, toTimestamp, type Timestamp } from './date-arithmetic.ts';
import { extractUnit, unsupportedUnit, type Unit } from './datetime-units.ts';
import type { Implementations } from './implementation.ts';

/** A part that both functions have as an integer, or the two forms in which they differ. */
type Part = number | { readonly numeric: Numeric; readonly float: number };
type Extract<T> = (unit: Unit, value: T) => Part | null;

const UNIX_EPOCH_US = BigInt(UNIX_EPOCH_DAYS) * BigInt(DAY_US);
/** Parts of an infinite timestamp that are infinite too; the others are NULL. */
const GROWING = new Set<Unit>(['year', 'decade', 'century', 'millennium', 'julian', 'isoyear', 'epoch']);

/** `extract`, which gives a numeric, and `date_part`, the same as a float8. A timestamptz is seen in UTC. */
export const EXTRACT_FUNCTIONS: Implementations = {
  ...both('timestamp', (unit, value: Timestamp) => timestampPart(unit, value, 'timestamp')),
  ...both('timestamptz', (unit, value: Timestamp) => timestampPart(unit, value, 'timestamptz')),
  ...both('time', timePart),
  ...both('interval', intervalPart),
  'extract(text,date)': (unit: string, value: number) => asNumeric(datePart(extractUnit(unit), value)),
  // An SQL function that casts the date first.
  'date_part(text,date)': (unit: string, value: number) =>
    asFloat(timestampPart(extractUnit(unit), toTimestamp(value), 'timestamp')),
};

function both<T>(type: string, part: Extract<T>): Implementations {
  return {
    [`extract(text,${type})`]: (unit: string, value: T) => asNumeric(part(extractUnit(unit), value)),
    [`date_part(text,${type})`]: (unit: string, value: T) => asFloat(part(extractUnit(unit), value)),
  };
}

function asNumeric(part: Part | null): Numeric | null {
  if (part === null) return null;
  if (typeof part === 'object') return part.numeric;
  // No zero of an integer has a sign.
  return part + 0;
}

function asFloat(part: Part | null): number | null {
  if (part === null) return null;
  return typeof part === 'object' ? part.float : part + 0;
}

function timestampPart(unit: Unit, value: Timestamp, type: 'timestamp' | 'timestamptz'): Part | null {
  if (isInfinite(value)) return infinitePart(unit, value as number);
  const { days, time } = splitTimestamp(value);
  const small = clockPart(unit, time);
  if (small !== undefined) return small;
  if (unit === 'epoch') return timestampEpoch(BigInt(value));
  if (unit === 'julian') return julianPart(days, time);
  if (unit.startsWith('timezone')) {
    if (type === 'timestamptz') return 0;
    throw unsupportedUnit(type);
  }
  return calendarPart(unit, days, civil(days), type);
}

function timestampEpoch(value: bigint): Part {
  const since = value - UNIX_EPOCH_US;
  if (value < 9_223_372_036_854_775_807n + UNIX_EPOCH_US) {
    return { numeric: createNumeric(since, 6), float: Number(since) / 1e6 };
  }
  // In the last 30 years the difference overflows, and Postgres divides as numerics, which leaves four digits.
  const rounded = ((since + 50n) / 100n) * 100n;
  return { numeric: createNumeric(rounded, 6), float: (Number(value) - Number(UNIX_EPOCH_US)) / 1e6 };
}

function infinitePart(unit: Unit, value: number): number | null {
  return GROWING.has(unit) ? value : null;
}

function datePart(unit: Unit, days: number): Part | null {
  if (!Number.isFinite(days)) {
    if (CLOCK_UNITS.has(unit)) throw unsupportedUnit('date');
    return infinitePart(unit, days);
  }
  if (unit === 'epoch') return (days - UNIX_EPOCH_DAYS) * 86_400;
  if (unit === 'julian') return days + EPOCH_JULIAN_DAY;
  return calendarPart(unit, days, civil(days), 'date');
}

/** Units a date has no part of. */
const CLOCK_UNITS = new Set<Unit>([
  'microsecond',
  'millisecond',
  'second',
  'minute',
  'hour',
  'timezone',
  'timezone_hour',
  'timezone_minute',
]);

/** Years count without a zero: 1 BC is -1. */
function calendarPart(unit: Unit, days: number, date: CivilDate, type: string): number {
  const { year, month } = date;
  switch (unit) {
    case 'day':
      return date.day;
    case 'month':
      return month;
    case 'quarter':
      return Math.floor((month - 1) / 3) + 1;
    case 'week':
      return isoWeek(date).week;
    case 'year':
      return withoutZero(year);
    case 'isoyear':
      return withoutZero(isoWeek(date).year);
    case 'decade':
      return Math.floor(year / 10);
    case 'century':
      return groupOfYears(year, 100);
    case 'millennium':
      return groupOfYears(year, 1000);
    case 'dow':
      return dayOfWeek(days);
    case 'isodow':
      return dayOfWeek(days) || 7;
    case 'doy':
      return days - daysFromCivil(year, 1, 1) + 1;
    default:
      throw unsupportedUnit(type);
  }
}

function withoutZero(year: number): number {
  return year > 0 ? year : year - 1;
}

function groupOfYears(year: number, size: number): number {
  return year > 0 ? Math.ceil(year / size) : -Math.ceil((1 - year) / size);
}

/** Parts of a time of day; of an interval, where the fields of a negative time are negative. */
function clockPart(unit: Unit, time: number): Part | undefined {
  const micros = time % 60_000_000;
  const seconds = Math.trunc(micros / 1_000_000);
  const fraction = micros - seconds * 1_000_000;
  switch (unit) {
    case 'microsecond':
      return micros;
    case 'millisecond':
      return { numeric: createNumeric(BigInt(micros), 3), float: seconds * 1000 + fraction / 1000 };
    case 'second':
      return { numeric: createNumeric(BigInt(micros), 6), float: seconds + fraction / 1e6 };
    case 'minute':
      return Math.trunc(time / 60_000_000) % 60;
    case 'hour':
      return Math.trunc(time / 3_600_000_000);
    default:
      return undefined;
  }
}

function timePart(unit: Unit, time: number): Part {
  if (unit === 'epoch') return { numeric: createNumeric(BigInt(time), 6), float: time / 1e6 };
  const part = clockPart(unit, time);
  if (part === undefined) throw unsupportedUnit('time');
  return part;
}

function intervalPart(unit: Unit, value: Interval): Part {
  const micros = BigInt(value.micros);
  const years = Math.trunc(value.months / 12);
  if (unit === 'epoch') return intervalEpoch(value);
  checkHours(value);
  switch (unit) {
    case 'hour':
      return Number(micros / 3_600_000_000n);
    case 'day':
      return value.days;
    case 'month':
      return value.months - years * 12;
    case 'quarter':
      // Negative intervals have negative quarters since Postgres 18.
      if (value.months < 0) throw new ClauseEvaluationError('undecided', 'quarter of a negative interval');
      return Math.floor((value.months % 12) / 3) + 1;
    case 'week':
      throw new ClauseEvaluationError('undecided', 'only Postgres 18 and later extract weeks from intervals');
    case 'year':
      return years;
    case 'decade':
      return Math.trunc(years / 10);
    case 'century':
      return Math.trunc(years / 100);
    case 'millennium':
      return Math.trunc(years / 1000);
    default: {
      const part = clockPart(unit, Number(micros % 3_600_000_000n));
      if (part === undefined) throw unsupportedUnit('interval');
      return part;
    }
  }
}

/** Seconds, with years of 365.25 days and months of 30. */
function intervalEpoch(value: Interval): Part {
  const years = Math.trunc(value.months / 12);
  const months = value.months - years * 12;
  const quarterDays = BigInt(years) * 1461n + BigInt(months) * 120n + BigInt(value.days) * 4n;
  const numeric = createNumeric(quarterDays * 21_600_000_000n + BigInt(value.micros), 6);
  // The order of the additions is Postgres's.
  let float = Number(value.micros) / 1e6;
  float += 31_557_600 * years;
  float += 2_592_000 * months;
  float += 86_400 * value.days;
  return { numeric, float };
}

/** The Julian day with the time as a fraction: the scale is what Postgres's division of the time by a day gives. */
function julianPart(days: number, time: number): Part {
  const julian = days + EPOCH_JULIAN_DAY;
  const scale = divisionScale(time);
  const unit = 10n ** BigInt(scale);
  const day = BigInt(DAY_US);
  const fraction = (BigInt(time) * unit * 2n + day) / (day * 2n);
  const seconds = Math.floor(time / 1_000_000);
  const float = julian + (seconds + (time - seconds * 1_000_000) / 1e6) / 86_400;
  return { numeric: createNumeric(BigInt(julian) * unit + fraction, scale), float };
}

/** `select_div_scale` for a quotient by 86,400,000,000, whose base-10000 digits are 864, 0, 0 (spec W 5.5). */
function divisionScale(time: number): number {
  let weight = 0;
  let first = time;
  while (first >= 10_000) {
    first = Math.floor(first / 10_000);
    weight++;
  }
  return 16 - 4 * (weight - 2 - (first <= 864 ? 1 : 0));
}
