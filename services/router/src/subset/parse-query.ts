import { ShapecastError } from '@shapecast/errors';
import type { SubsetQuery } from '@shapecast/messaging';
import { z } from 'zod';

const integer = z.string().regex(/^\d{1,20}$/);

const subsetQuery = z.object({
  schema: z.string(),
  table: z.string(),
  oid: z.number(),
  columns: z.array(z.string()).min(1),
  keyColumns: z.array(z.string()),
  hasPrimaryKey: z.boolean(),
  shapeWhere: z.string(),
  subsetWhere: z.string(),
  orderBy: z.array(
    z.object({ column: z.string(), descending: z.boolean(), nulls: z.enum(['first', 'last']).exactOptional() }),
  ),
  limit: integer.exactOptional(),
  offset: integer.exactOptional(),
});

/** Throws INVALID_REQUEST for what no API pod of this version sends. */
export function parseSubsetQuery(request: unknown): SubsetQuery {
  const parsed = subsetQuery.safeParse(request);
  if (parsed.success) return parsed.data;
  throw new ShapecastError('INVALID_REQUEST', 'the request is not a subset query: do the API and the router fit?');
}
