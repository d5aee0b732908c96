import { InputError } from '../errors.ts';
import { addExact, DAY_US } from './calendar.ts';
import { parseIsoInterval } from './interval-iso.ts';
import { Interval, isInfinityOfLater } from './interval-value.ts';
import { parseVerboseInterval } from './interval-verbose.ts';
import { isDigit, narrow, trimBlanks, type Value } from './value.ts';

/** Days below which the total of an interval is computed with doubles. */
const SAFE_DAYS = 50_000;
const SAFE_MICROS = 4_000_000_000_000_000;

/**
 * `interval` input (spec W 5.6): Postgres's own notation, SQL's, and ISO 8601. Throws InputError for what Postgres refuses,
 * for infinite intervals (Postgres 17 and later only) and where its versions differ.
 */
export function parseInterval(text: string): Interval {
  // Nothing else is an interval to any Postgres; `PT` and `.` are.
  if (!/^P|[\d.]|infinity/i.test(text)) throw new InputError('invalid syntax');
  // Postgres takes no blanks around ISO 8601.
  return text.startsWith('P') ? parseIsoInterval(text) : parseVerboseInterval(trimBlanks(text));
}

/** An interval from the wire, as IntervalStyle iso_8601 writes it; other notations are read like literals. */
export function decodeInterval(text: string): Interval {
  return decodeIso(text) ?? parseInterval(text);
}

/** Output under IntervalStyle iso_8601. */
export function formatInterval(value: Interval): string {
  const years = Math.trunc(value.months / 12);
  const months = value.months - years * 12;
  const time = BigInt(value.micros);
  const hours = time / 3_600_000_000n;
  const minutes = Number((time / 60_000_000n) % 60n);
  const micros = Number(time % 60_000_000n);
  let text = 'P';
  if (years !== 0) text += `${years}Y`;
  if (months !== 0) text += `${months}M`;
  if (value.days !== 0) text += `${value.days}D`;
  if (time === 0n) return text === 'P' ? 'PT0S' : text;
  text += 'T';
  if (hours !== 0n) text += `${hours}H`;
  if (minutes !== 0) text += `${minutes}M`;
  return micros === 0 ? text : `${text}${formatSeconds(micros)}S`;
}

/** Order and equality of the operators: months are 30 days, days 24 hours. */
export function compareIntervals(a: Value, b: Value): number {
  const left = total(a as Interval);
  const right = total(b as Interval);
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Key under which equal intervals meet, from wire text. Throws InputError for text that is not an interval. */
export function intervalKey(text: string): string {
  return String(total(decodeInterval(text)));
}

/** Microseconds with months of 30 days; up to 76 bits, so a bigint where a number is not exact. */
function total(value: Interval): number | bigint {
  const days = value.months * 30 + value.days;
  const { micros } = value;
  if (days < SAFE_DAYS && days > -SAFE_DAYS && micros < SAFE_MICROS && micros > -SAFE_MICROS) {
    return days * DAY_US + Number(micros);
  }
  return narrow(BigInt(days) * BigInt(DAY_US) + BigInt(micros));
}

function formatSeconds(micros: number): string {
  const size = Math.abs(micros);
  const fraction = size % 1_000_000;
  const sign = micros < 0 ? '-' : '';
  const whole = Math.floor(size / 1_000_000);
  if (fraction === 0) return `${sign}${whole}`;
  const digits = fraction.toString().padStart(6, '0');
  let end = 6;
  while (digits.charCodeAt(end - 1) === 48) end--;
  return `${sign}${whole}.${digits.slice(0, end)}`;
}

/** Only what `formatInterval` writes: whole numbers but for the seconds. Undefined for anything else. */
function decodeIso(text: string): Interval | undefined {
  let months = 0;
  let days = 0;
  let micros: number | bigint = 0;
  let inTime = false;
  let at = 1;
  if (text.charCodeAt(0) !== 80 || text.length < 3) return undefined;
  while (at < text.length) {
    if (text.charCodeAt(at) === 84) {
      inTime = true;
      at++;
    }
    const start = at;
    if (text.charCodeAt(at) === 45) at++;
    const digits = at;
    while (isDigit(text.charCodeAt(at))) at++;
    // More digits than the largest hour count has.
    if (at === digits || at - digits > 10) return undefined;
    const value = Number(text.slice(start, at));
    const unit = text[at];
    if (unit === '.') {
      const fraction = fractionOf(text, at + 1);
      if (fraction === undefined || !inTime) return undefined;
      micros = addExact(micros, value * 1_000_000 + (text.charCodeAt(start) === 45 ? -fraction : fraction));
      at = text.length;
    } else if (inTime) {
      if (unit === 'H') micros = addExact(micros, narrow(BigInt(value) * 3_600_000_000n));
      else if (unit === 'M') micros = addExact(micros, value * 60_000_000);
      else if (unit === 'S') micros = addExact(micros, value * 1_000_000);
      else return undefined;
      at++;
    } else {
      if (unit === 'Y') months += value * 12;
      else if (unit === 'M') months += value;
      else if (unit === 'D') days += value;
      else return undefined;
      at++;
    }
  }
  if (!fitsInt32(months) || !fitsInt32(days) || !fitsInt64(micros)) throw new InputError('interval out of range');
  const value = new Interval(months, days, micros);
  if (isInfinityOfLater(value)) throw new InputError('infinite interval', true);
  return value;
}

/** Microseconds of the fraction at `at`, when `S` and the end of the text follow it. */
function fractionOf(text: string, at: number): number | undefined {
  const end = text.length - 1;
  if (text[end] !== 'S' || end - at < 1 || end - at > 6) return undefined;
  for (let i = at; i < end; i++) if (!isDigit(text.charCodeAt(i))) return undefined;
  return Number(text.slice(at, end).padEnd(6, '0'));
}

export function fitsInt32(value: number): boolean {
  return value >= -2_147_483_648 && value <= 2_147_483_647;
}

export function fitsInt64(value: number | bigint): boolean {
  return value >= -9_223_372_036_854_775_808n && value <= 9_223_372_036_854_775_807n;
}
