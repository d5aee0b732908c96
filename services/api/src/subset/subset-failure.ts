import { isShapecastError } from '@shapecast/errors';
import { invalid, unavailable, type Answer } from '../answers.ts';

/** What only Postgres can refuse is refused under the part of the request it concerns. */
const FIELDS: ReadonlySet<unknown> = new Set(['where', 'order_by', 'limit', 'offset']);

/**
 * The answer when a subset could not be read (SU-3, SU-12, O 1.3.2); a 409 is without its handle. `missing` is what the
 * service waits for. Throws what is no failure of the request.
 */
export function subsetFailure(error: unknown, missing: string): Answer {
  if (!isShapecastError(error)) throw error;
  switch (error.code) {
    case 'INVALID_REQUEST': {
      const field = FIELDS.has(error.details.field) ? (error.details.field as string) : 'where';
      return invalid({ subset: { [field]: [error.message] } });
    }
    case 'SCHEMA_CHANGED':
      return { kind: 'refetch' };
    case 'NOT_READY':
    case 'SOURCE_UNAVAILABLE':
      return unavailable(missing, 5);
    default:
      if (error.status !== 503) throw error;
      return unavailable(error.message, 10, true);
  }
}
