import { ClauseEvaluationError } from '../errors.ts';
import type { IntegerName } from '../types/numbers.ts';

/** Errors that Postgres raises for numbers, in its words. */

const SQL_NAMES = { int2: 'smallint', int4: 'integer', int8: 'bigint' } as const;

export function divisionByZero(): ClauseEvaluationError {
  return new ClauseEvaluationError('postgres', 'division by zero');
}

export function integerOutOfRange(type: IntegerName): ClauseEvaluationError {
  return new ClauseEvaluationError('postgres', `${SQL_NAMES[type]} out of range`);
}

export function floatOutOfRange(direction: 'overflow' | 'underflow'): ClauseEvaluationError {
  return new ClauseEvaluationError('postgres', `value out of range: ${direction}`);
}

export function numericOverflow(): ClauseEvaluationError {
  return new ClauseEvaluationError('postgres', 'value overflows numeric format');
}

export function zeroToNegativePower(): ClauseEvaluationError {
  return new ClauseEvaluationError('postgres', 'zero raised to a negative power is undefined');
}

export function complexPower(): ClauseEvaluationError {
  return new ClauseEvaluationError(
    'postgres',
    'a negative number raised to a non-integer power yields a complex result',
  );
}

export function rootOfNegative(): ClauseEvaluationError {
  return new ClauseEvaluationError('postgres', 'cannot take square root of a negative number');
}
