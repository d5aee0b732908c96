import { isShapecastError, ShapecastError } from '@shapecast/errors';
import { classifyDatabaseError, fieldsOf } from './database-error.ts';

export { STANDBY_MESSAGE, WAL_LEVEL_MESSAGE } from './database-error.ts';

export function sqlState(error: unknown): string | undefined {
  return fieldsOf(error).code;
}

export function pgMessage(error: unknown): string {
  return fieldsOf(error).message;
}

/**
 * Wraps what a connection of ours failed with, once, in one sentence (spec O 7.1). Errors of ours pass unchanged. What somebody
 * has to change is SOURCE_MISCONFIGURED; everything else, known or not, is worth trying again and SOURCE_UNAVAILABLE.
 * `details.type` is the spec's name of the condition, `code` the SQLSTATE or the system's word for it.
 */
export function connectionError(error: unknown): ShapecastError {
  if (isShapecastError(error)) return error;
  const { type, retry, message } = classifyDatabaseError(error);
  const { code, routine } = fieldsOf(error);
  const kind = retry === 'slow' ? 'SOURCE_MISCONFIGURED' : 'SOURCE_UNAVAILABLE';
  return new ShapecastError(kind, message, { type, ...(code && { code }), ...(routine && { routine }) }, error);
}

/**
 * Why a clause cannot be evaluated for a row, without Postgres's own words: they would show the value, perhaps of a column that
 * the reader must not see.
 */
export function rowMessage(error: unknown): string {
  return ROW_MESSAGES.get(sqlState(error)) ?? 'the clause cannot be evaluated for a row';
}

const ROW_MESSAGES: ReadonlyMap<string | undefined, string> = new Map([
  ['22012', 'division by zero'],
  ['22003', 'a value computed for a row is out of range'],
  ['22008', 'a date or time computed for a row is out of range'],
]);
