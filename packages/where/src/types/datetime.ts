import { InputError } from '../errors.ts';
import {
  civil,
  DAY_US,
  daysFromCivil,
  daysInMonth,
  inDateRange,
  inTimestampRange,
  splitTimestamp,
  timestampOf,
  UNIX_EPOCH_DAYS,
} from './calendar.ts';
import { DateTimeScanner } from './datetime-scanner.ts';
import { localOffset, type TimeZone } from './time-zone.ts';
import { isDigit, trimBlanks } from './value.ts';

export { dateToTimestamp } from './calendar.ts';

/** The parts of an ISO date or date-time. */
interface Parsed {
  /** Days since 2000-01-01. */
  readonly days: number;
  /** Microseconds into the day; may reach past it (24:00:00, or a fraction that rounds up). */
  readonly time: number;
  /** Seconds east of UTC, or a zone with rules; undefined when the text has no zone. */
  readonly zone: number | TimeZone | undefined;
}

/**
 * `date` input of the formats that spec W 5.6 lists. Words that mean the current day, slashed dates and month names are
 * refused. A time of day is checked and dropped, as Postgres does.
 */
export function parseDate(input: string): number {
  const special = parseSpecial(input);
  if (special !== undefined) return special === 'epoch' ? UNIX_EPOCH_DAYS : special;
  const { days } = parseDateTime(input);
  if (!inDateRange(days)) throw new InputError('out of range');
  return days;
}

/** `timestamp` input; a zone is checked and ignored, as Postgres does. */
export function parseTimestamp(input: string): number | bigint {
  return timestampFrom(input, false);
}

/** `timestamptz` input; without a zone it is UTC, the zone of our sessions. */
export function parseTimestamptz(input: string): number | bigint {
  return timestampFrom(input, true);
}

/** `time` input, microseconds since midnight. */
export function parseTime(input: string): number {
  const text = trimBlanks(input);
  if (!isDigit(text.charCodeAt(0))) throw new InputError('invalid syntax', mayBeRead(text));
  const scanner = new DateTimeScanner(text);
  const time = scanner.time();
  scanner.end();
  return time;
}

export function formatDate(days: number): string {
  if (!Number.isFinite(days)) return days > 0 ? 'infinity' : '-infinity';
  const { year, month, day } = civil(days);
  return `${yearText(year)}-${two(month)}-${two(day)}${year <= 0 ? ' BC' : ''}`;
}

export function formatTime(time: number): string {
  const seconds = Math.floor(time / 1_000_000);
  const text = `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  const fraction = time % 1_000_000;
  if (fraction === 0) return text;
  const digits = fraction.toString().padStart(6, '0');
  let end = 6;
  while (digits.charCodeAt(end - 1) === 48) end--;
  return `${text}.${digits.slice(0, end)}`;
}

/** The wire form under `DateStyle ISO` and `TimeZone UTC`. */
export function formatTimestamp(value: number | bigint, zone: '' | '+00'): string {
  if (value === Infinity) return 'infinity';
  if (value === -Infinity) return '-infinity';
  const { days, time } = splitTimestamp(value);
  const { year, month, day } = civil(days);
  const date = `${yearText(year)}-${two(month)}-${two(day)}`;
  return `${date} ${formatTime(time)}${zone}${year <= 0 ? ' BC' : ''}`;
}

function timestampFrom(input: string, zoned: boolean): number | bigint {
  const plain = plainTimestamp(input);
  if (plain !== undefined) return plain;
  const special = parseSpecial(input);
  if (special !== undefined) return special === 'epoch' ? UNIX_EPOCH_DAYS * DAY_US : special;
  const { days, time, zone } = parseDateTime(input);
  const offset = !zoned || zone === undefined ? 0 : typeof zone === 'number' ? zone : offsetOf(zone, days, time);
  const value = timestampOf(days, time - offset * 1_000_000);
  if (!inTimestampRange(value)) throw new InputError('out of range');
  return value;
}

/** The wire form of common timestamps, `2024-01-01 10:00:00[.5][+00]`, without the detours; undefined for other text. */
function plainTimestamp(text: string): number | bigint | undefined {
  let end = text.length;
  if (end >= 22 && text.charCodeAt(end - 3) === PLUS && text.endsWith('00')) end -= 3;
  if (end < 19 || end > 26 || end === 20 || text[4] !== '-' || text[7] !== '-') return undefined;
  if (text[10] !== ' ' || text[13] !== ':' || text[16] !== ':' || (end > 19 && text[19] !== '.')) return undefined;
  const year = pair(text, 0) * 100 + pair(text, 2);
  const month = pair(text, 5);
  const day = pair(text, 8);
  const hour = pair(text, 11);
  const minute = pair(text, 14);
  const second = pair(text, 17);
  let fraction = 0;
  for (let i = 20; i < 26; i++) fraction = fraction * 10 + (i < end ? digit(text, i) : 0);
  // NaN, from anything that is no digit, fails every comparison.
  const valid = year > 0 && month > 0 && month <= 12 && day > 0 && day <= daysInMonth(year, month);
  if (!valid || !(hour < 24 && minute < 60 && second < 60 && fraction >= 0)) return undefined;
  return timestampOf(daysFromCivil(year, month, day), ((hour * 60 + minute) * 60 + second) * 1_000_000 + fraction);
}

const PLUS = 43;

function pair(text: string, at: number): number {
  return digit(text, at) * 10 + digit(text, at + 1);
}

function digit(text: string, at: number): number {
  const value = text.charCodeAt(at) - 48;
  return value >= 0 && value <= 9 ? value : NaN;
}

function offsetOf(zone: TimeZone, days: number, time: number): number {
  // A day more or less, because the local date may be out of range and the instant in it.
  if (!inTimestampRange(timestampOf(days - Math.sign(days), 0))) throw new InputError('out of range');
  return localOffset(zone, (days - UNIX_EPOCH_DAYS) * 86_400 + Math.floor(time / 1_000_000));
}

function parseSpecial(input: string): number | 'epoch' | undefined {
  const word = trimBlanks(input);
  // Wire texts start with a digit; spare them the lower-casing.
  if (word.length > 9 || isDigit(word.charCodeAt(0))) return undefined;
  switch (word.toLowerCase()) {
    case 'infinity':
      return Infinity;
    case '-infinity':
      return -Infinity;
    case 'epoch':
      return 'epoch';
    default:
      throw new InputError('invalid syntax', mayBeRead(word));
  }
}

/** Whether text that does not begin with a digit is a date, time or timestamp to some Postgres. */
function mayBeRead(text: string): boolean {
  return /\d|infinity|epoch|now|today|tomorrow|yesterday|allballs/i.test(text);
}

function parseDateTime(input: string): Parsed {
  const scanner = new DateTimeScanner(trimBlanks(input));
  const date = scanner.date();
  let time = 0;
  let zone: number | TimeZone | undefined;
  if (scanner.skipTimeSeparator()) {
    time = scanner.time();
    zone = scanner.zone();
  }
  const beforeChrist = scanner.skipBc();
  scanner.end();
  if (date.year === 0) throw new InputError('out of range');
  const year = beforeChrist ? 1 - date.year : date.year;
  if (date.day > daysInMonth(year, date.month)) throw new InputError('out of range');
  return { days: daysFromCivil(year, date.month, date.day), time, zone };
}

function yearText(year: number): string {
  return (year <= 0 ? 1 - year : year).toString().padStart(4, '0');
}

function two(value: number): string {
  return value.toString().padStart(2, '0');
}
