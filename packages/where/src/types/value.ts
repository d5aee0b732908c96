import type { ArrayValue } from './array-value.ts';
import type { Decimal } from './decimal.ts';
import type { Inet } from './inet.ts';
import type { Interval } from './interval-value.ts';
import type { Json } from './json-value.ts';
import type { RangeValue } from './range-value.ts';

/**
 * A non-NULL value in memory (spec W 2.1).
 *
 * Integers, dates (days since 2000-01-01), times and timestamps (microseconds, since 2000-01-01) are a number while it is
 * exact and a bigint beyond, so `===` and `<` are exact on any two of them; infinite dates are +-Infinity. A numeric is a
 * number when it is a safe integer with display scale 0, NaN or infinite, else a Decimal. Floats are numbers. Text, names,
 * enum labels, uuids and bytea (`\x` and lower-case hex) are strings.
 */
export type Value = boolean | number | bigint | string | Decimal | Interval | ArrayValue | Json | RangeValue | Inet;

/** A number when that is exact, else the bigint itself. */
export function narrow(value: bigint): number | bigint {
  return value >= -9007199254740991n && value <= 9007199254740991n ? Number(value) : value;
}

/** Text without the blanks that Postgres's input functions skip at both ends (C `isspace`). */
export function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return start === 0 && end === text.length ? text : text.slice(start, end);
}

/** What C calls `isspace`. */
export function isBlank(code: number): boolean {
  return code === 32 || (code >= 9 && code <= 13);
}

export function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}
