import { InputError } from '../errors.ts';
import { isDigit, narrow, trimBlanks } from './value.ts';

const DAY_US = 86_400_000_000;
/** Days from 2000-01-01 to 1970-01-01. */
const UNIX_EPOCH_DAYS = -10_957;
/** 4714-11-24 BC, Julian day 0: the first date, and the first day of timestamps. */
const FIRST_DAY = -2_451_545;
/** One past 5874897-12-31. */
const DATE_END = 2_145_031_949;
/** One past 294276-12-31. */
const TIMESTAMP_END_DAY = 106_751_983;

/** The parts of an ISO date or date-time. */
interface Parsed {
  /** Days since 2000-01-01. */
  readonly days: number;
  /** Microseconds into the day; may reach past it (24:00:00, or a fraction that rounds up). */
  readonly time: number;
  /** Seconds east of UTC; undefined when the text has no zone. */
  readonly zone: number | undefined;
}

/**
 * `date` input of the formats that spec W 5.6 lists. Words that mean the current day, slashed dates and month names are
 * refused. A time of day is checked and dropped, as Postgres does.
 */
export function parseDate(input: string): number {
  const special = parseSpecial(input);
  if (special !== undefined) return special === 'epoch' ? UNIX_EPOCH_DAYS : special;
  const { days } = parseDateTime(input);
  if (days < FIRST_DAY || days >= DATE_END) throw new InputError('out of range');
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
  const scanner = new Scanner(trimBlanks(input));
  const time = scanner.time();
  scanner.end();
  // A leap second or a fraction that rounds up may reach midnight, never pass it.
  if (time > DAY_US) throw new InputError('out of range');
  return time;
}

export function dateToTimestamp(days: number): number | bigint {
  return Number.isFinite(days) ? narrow(BigInt(days) * BigInt(DAY_US)) : days;
}

/** Whether a date widened to a timestamp is in range; comparing does not need it, casting does. */
export function inTimestampRange(value: number | bigint): boolean {
  if (value === Infinity || value === -Infinity) return true;
  return value >= BigInt(FIRST_DAY) * BigInt(DAY_US) && value < BigInt(TIMESTAMP_END_DAY) * BigInt(DAY_US);
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
  const total = BigInt(value);
  let days = total / BigInt(DAY_US);
  let time = Number(total % BigInt(DAY_US));
  if (time < 0) {
    time += DAY_US;
    days -= 1n;
  }
  const { year, month, day } = civil(Number(days));
  const date = `${yearText(year)}-${two(month)}-${two(day)}`;
  return `${date} ${formatTime(time)}${zone}${year <= 0 ? ' BC' : ''}`;
}

function timestampFrom(input: string, zoned: boolean): number | bigint {
  const special = parseSpecial(input);
  if (special !== undefined) return special === 'epoch' ? UNIX_EPOCH_DAYS * DAY_US : special;
  const { days, time, zone } = parseDateTime(input);
  const offset = zoned && zone !== undefined ? zone * 1_000_000 : 0;
  const value = narrow(BigInt(days) * BigInt(DAY_US) + BigInt(time) - BigInt(offset));
  if (!inTimestampRange(value)) throw new InputError('out of range');
  return value;
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
      return undefined;
  }
}

function parseDateTime(input: string): Parsed {
  const scanner = new Scanner(trimBlanks(input));
  const date = scanner.date();
  let time = 0;
  let zone: number | undefined;
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

/** Reads the pieces of a date-time from left to right; every method throws InputError when its piece is not there. */
class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  date(): { year: number; month: number; day: number } {
    const run = this.#digitRun();
    if (run === 8 && this.#text[this.#at + 8] !== '-') {
      return checkedDate({ year: this.#number(4), month: this.#number(2), day: this.#number(2) });
    }
    if (run < 4 || run > 7) throw new InputError('invalid syntax');
    const year = this.#number(run);
    this.#expect('-');
    const month = this.#fixed(2);
    this.#expect('-');
    const day = this.#fixed(2);
    return checkedDate({ year, month, day });
  }

  time(): number {
    let hour = this.#fixed(2);
    this.#expect(':');
    const minute = this.#fixed(2);
    let second = 0;
    let fraction = 0;
    if (this.#skip(':')) {
      second = this.#fixed(2);
      if (this.#skip('.')) fraction = this.#fraction();
    }
    const half = this.#meridiem();
    if (half !== undefined) {
      if (hour < 1 || hour > 12) throw new InputError('out of range');
      hour = (hour % 12) + half;
    }
    const late = hour === 24 && (minute > 0 || second > 0 || fraction > 0);
    if (hour > 24 || minute > 59 || second > 60 || late || (second === 60 && fraction > 0)) {
      throw new InputError('out of range');
    }
    return ((hour * 60 + minute) * 60 + second) * 1_000_000 + fraction;
  }

  zone(): number | undefined {
    const start = this.#at;
    while (this.#skip(' ')) continue;
    const char = this.#text[this.#at];
    if (char === 'Z' || char === 'z') {
      this.#at++;
      return 0;
    }
    if (this.#text.slice(this.#at, this.#at + 3).toUpperCase() === 'UTC') {
      this.#at += 3;
      return 0;
    }
    if (char !== '+' && char !== '-') {
      this.#at = start;
      return undefined;
    }
    this.#at++;
    const run = this.#digitRun();
    if (run !== 2 && run !== 4) throw new InputError('invalid syntax');
    const hours = this.#fixedPart(2);
    let minutes = 0;
    let seconds = 0;
    if (run === 4) minutes = this.#fixedPart(2);
    else if (this.#skip(':')) {
      minutes = this.#fixed(2);
      if (this.#skip(':')) seconds = this.#fixed(2);
    }
    if (hours > 15 || minutes > 59 || seconds > 59) throw new InputError('out of range');
    const total = (hours * 60 + minutes) * 60 + seconds;
    return char === '-' ? -total : total;
  }

  /** `T`, or blanks, when a time follows. */
  skipTimeSeparator(): boolean {
    const char = this.#text[this.#at];
    if (char !== 'T' && char !== 't' && char !== ' ') return false;
    let next = this.#at + 1;
    if (char === ' ') while (this.#text[next] === ' ') next++;
    if (!isDigit(this.#text.charCodeAt(next))) return false;
    this.#at = next;
    return true;
  }

  skipBc(): boolean {
    let next = this.#at;
    while (this.#text[next] === ' ') next++;
    if (this.#text.slice(next).toUpperCase() !== 'BC') return false;
    this.#at = next + 2;
    return true;
  }

  end(): void {
    if (this.#at !== this.#text.length) throw new InputError('invalid syntax');
  }

  /** 0 for AM, 12 for PM. */
  #meridiem(): 0 | 12 | undefined {
    let next = this.#at;
    while (this.#text[next] === ' ') next++;
    const word = this.#text.slice(next, next + 2).toUpperCase();
    if (word !== 'AM' && word !== 'PM') return undefined;
    this.#at = next + 2;
    return word === 'AM' ? 0 : 12;
  }

  #digitRun(): number {
    let end = this.#at;
    while (isDigit(this.#text.charCodeAt(end))) end++;
    return end - this.#at;
  }

  /** Exactly `length` digits that no digit follows. */
  #fixed(length: number): number {
    if (this.#digitRun() !== length) throw new InputError('invalid syntax');
    return this.#number(length);
  }

  #fixedPart(length: number): number {
    if (this.#digitRun() < length) throw new InputError('invalid syntax');
    return this.#number(length);
  }

  #number(length: number): number {
    const value = Number(this.#text.slice(this.#at, this.#at + length));
    this.#at += length;
    return value;
  }

  /** Fraction of a second in microseconds, rounded as C's `rint(frac * 1000000)` does. */
  #fraction(): number {
    const run = this.#digitRun();
    if (run === 0 || run > 30) throw new InputError('invalid syntax');
    const digits = this.#text.slice(this.#at, this.#at + run);
    this.#at += run;
    if (run <= 6) return Number(digits.padEnd(6, '0'));
    const exact = Number(`0.${digits}`) * 1_000_000;
    const floor = Math.floor(exact);
    const rest = exact - floor;
    if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
    return floor % 2 === 0 ? floor : floor + 1;
  }

  #skip(char: string): boolean {
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #expect(char: string): void {
    if (!this.#skip(char)) throw new InputError('invalid syntax');
  }
}

function checkedDate(date: { year: number; month: number; day: number }): typeof date {
  if (date.month < 1 || date.month > 12 || date.day < 1 || date.day > 31) throw new InputError('out of range');
  return date;
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** Days from 2000-01-01 to a date of the proleptic Gregorian calendar; year 0 is 1 BC. */
function daysFromCivil(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 730_425;
}

function civil(days: number): { year: number; month: number; day: number } {
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

function yearText(year: number): string {
  return (year <= 0 ? 1 - year : year).toString().padStart(4, '0');
}

function two(value: number): string {
  return value.toString().padStart(2, '0');
}
