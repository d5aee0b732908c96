import type { TableToPublish } from '@shapecast/change-source';
import { ShapecastError } from '@shapecast/errors';
import { z } from 'zod';

const publishRequest = z.object({
  oid: z.int().positive(),
  schema: z.string().min(1),
  name: z.string().min(1),
});

/**
 * Serves the publish subject: adds the table to the publication and answers once every transaction that started before is
 * over (spec R 7.12), with what the table is published by. Only the leader serves it, because the publication decides what its slot delivers.
 */
export async function publishTable(
  keeper: { publish(table: TableToPublish, signal: AbortSignal): Promise<string> },
  request: unknown,
  signal: AbortSignal,
): Promise<{ readonly published: string }> {
  const table = publishRequest.safeParse(request);
  if (!table.success) {
    throw new ShapecastError('INVALID_REQUEST', 'Expected {oid, schema, name} of the table to publish.');
  }
  return { published: await keeper.publish(table.data, signal) };
}
