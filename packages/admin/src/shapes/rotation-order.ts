import type { ShapeFailure } from '@shapecast/shape-store';
import { z } from 'zod';
import { invalid } from '../admin-error.ts';

/** Whoever reads the log, an event or the journal later has to understand it; nobody needs a novel. */
const MAX_REASON = 200;

const reason = z
  .string({ error: 'is required' })
  .trim()
  .min(1, 'is required')
  .max(MAX_REASON, `expected at most ${MAX_REASON} characters`)
  .regex(/^\P{Cc}*$/u, 'expected one line');

const shapeOrder = z.strictObject({ reason });
const sourceOrder = z.strictObject({
  reason,
  table: z
    .string()
    .regex(/^[^.]+\.[^.]+$/, 'expected schema.table')
    .optional(),
});

/** What is to be rotated of a source, and why. */
export interface RotationOrder {
  readonly reason: string;
  /** `schema.table`; absent: every shape. */
  readonly table?: string;
}

/** Throws with the fields that are wrong. */
export function parseShapeOrder(body: unknown): { readonly reason: string } {
  return checked(shapeOrder.safeParse(body ?? {}));
}

/** Throws with the fields that are wrong. */
export function parseSourceOrder(body: unknown): RotationOrder {
  const { reason: why, table } = checked(sourceOrder.safeParse(body ?? {}));
  return { reason: why, ...(table === undefined ? {} : { table }) };
}

/** What the journal and the head of an ended shape say. */
export function failureFor(why: string): ShapeFailure {
  return { code: 'SCHEMA_CHANGED', message: `An operator rotated the shape: ${why}` };
}

function checked<T>(parsed: z.ZodSafeParseResult<T>): T {
  if (parsed.success) return parsed.data;
  throw invalid(
    parsed.error.issues.map(({ path, message, ...issue }) => {
      const keys = issue.code === 'unrecognized_keys' ? issue.keys : [];
      const field = [...path.map(String), ...keys.slice(0, 1)].join('.');
      return `${field === '' ? 'body' : field}: ${keys.length > 0 ? 'is no field of a rotation' : message}`;
    }),
  );
}
