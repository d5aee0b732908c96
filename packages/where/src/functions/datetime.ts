import { DATE_ARITHMETIC } from './date-arithmetic.ts';
import { CONVERSION_FUNCTIONS } from './datetime-conversion.ts';
import { EXTRACT_FUNCTIONS } from './datetime-extract.ts';
import { TRUNC_FUNCTIONS } from './datetime-trunc.ts';
import type { Implementations } from './implementation.ts';
import { INTERVAL_ARITHMETIC } from './interval-arithmetic.ts';

/** Functions of dates, times, timestamps and intervals. Stable ones are those of a session whose TimeZone is UTC. */
export const DATETIME_FUNCTIONS: Implementations = {
  ...DATE_ARITHMETIC,
  ...INTERVAL_ARITHMETIC,
  ...CONVERSION_FUNCTIONS,
  ...EXTRACT_FUNCTIONS,
  ...TRUNC_FUNCTIONS,
};
