import { ShapecastError } from '@shapecast/errors';
import { DATA_LOST } from '../limits.ts';

/** Data that a live shape says it has is not there, or not what was written (spec R 14.8, O F146, F157). */
export function dataLost(handle: string, details: Record<string, unknown>, cause?: unknown): ShapecastError {
  return new ShapecastError(DATA_LOST.code, DATA_LOST.message, { handle, ...details }, cause);
}
