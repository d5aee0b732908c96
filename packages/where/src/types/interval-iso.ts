import { InputError } from '../errors.ts';
import { IntervalFields, type IntervalUnit } from './interval-fields.ts';
import type { Interval } from './interval-value.ts';
import { isDigit } from './value.ts';

const DATE_UNITS: Readonly<Record<string, IntervalUnit>> = { Y: 'year', M: 'month', W: 'week', D: 'day' };
const TIME_UNITS: Readonly<Record<string, IntervalUnit>> = { H: 'hour', M: 'minute', S: 'second' };
const DATE_ORDER = ['year', 'month', 'day'] as const;
const TIME_ORDER = ['hour', 'minute', 'second'] as const;
/** Digits of a number that a double holds with the fraction intact, as Postgres needs them. */
const MAX_DIGITS = 15;

/** `P1Y2M3DT4H5M6S` and `P0001-02-03T04:05:06`; Postgres also takes weeks, signs, and fractions in any field. */
export function parseIsoInterval(text: string): Interval {
  const fields = new IntervalFields();
  const split = text.indexOf('T');
  const date = text.slice(1, split === -1 ? undefined : split);
  if (date === '' && split === -1) throw invalid();
  readPart(fields, date, DATE_UNITS, DATE_ORDER, '-');
  if (split !== -1) readPart(fields, text.slice(split + 1), TIME_UNITS, TIME_ORDER, ':');
  return fields.finish(false);
}

/** The date or the time part: numbers with designators, or the three of the alternative format between `separator`s. */
function readPart(
  fields: IntervalFields,
  text: string,
  units: Readonly<Record<string, IntervalUnit>>,
  order: readonly IntervalUnit[],
  separator: string,
): void {
  let at = 0;
  while (at < text.length) {
    const number = readNumber(text, at);
    const designator = text[number.end];
    // A lone number without designator is one run of digits, or a year or hour: too much to guess.
    if (designator === undefined) throw invalid();
    if (designator === separator) {
      if (at !== 0) throw invalid();
      readAlternative(fields, text, order, separator);
      return;
    }
    const unit = units[designator];
    if (unit === undefined) throw invalid();
    fields.add(unit, number.whole, number.fraction);
    at = number.end + 1;
  }
}

function readAlternative(
  fields: IntervalFields,
  text: string,
  order: readonly IntervalUnit[],
  separator: string,
): void {
  let at = 0;
  for (const [i, unit] of order.entries()) {
    const number = readNumber(text, at);
    fields.add(unit, number.whole, number.fraction);
    at = number.end;
    if (at === text.length && i > 0) return;
    if (text[at] !== separator) throw invalid();
    at++;
  }
  throw invalid();
}

/** A decimal cut as Postgres cuts it: the fraction is what a double leaves after its whole part. */
function readNumber(text: string, start: number): { whole: bigint; fraction: number; end: number } {
  let end = start;
  if (text[end] === '-') end++;
  const digits = end;
  while (isDigit(text.charCodeAt(end))) end++;
  if (end === digits || end - digits > MAX_DIGITS) throw invalid();
  if (text[end] !== '.') return { whole: BigInt(text.slice(start, end)), fraction: 0, end };
  const point = end++;
  while (isDigit(text.charCodeAt(end))) end++;
  if (end === point + 1 || end - digits > MAX_DIGITS + 1) throw invalid();
  const value = Number(text.slice(start, end));
  const whole = Math.trunc(value);
  return { whole: BigInt(whole), fraction: value - whole, end };
}

function invalid(): InputError {
  return new InputError('invalid syntax', true);
}
