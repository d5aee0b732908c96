import { FLOAT_FUNCTIONS } from './float.ts';
import type { Implementations } from './implementation.ts';
import { INTEGER_FUNCTIONS } from './integer.ts';
import { NUMBER_CASTS } from './number-casts.ts';
import { NUMERIC_ARITHMETIC } from './numeric-arithmetic.ts';
import { NUMERIC_POWER } from './numeric-power.ts';
import { NUMERIC_ROUNDING } from './numeric-rounding.ts';

/** Operators, functions and casts of the number types (spec W 2.4, 5.5). All are strict. */
export const NUMERIC_FUNCTIONS: Implementations = {
  ...INTEGER_FUNCTIONS,
  ...FLOAT_FUNCTIONS,
  ...NUMERIC_ARITHMETIC,
  ...NUMERIC_ROUNDING,
  ...NUMERIC_POWER,
  ...NUMBER_CASTS,
};
