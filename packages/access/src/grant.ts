import type { DefinitionParams } from '@shapecast/protocol';
import { z } from 'zod';
import { claimText } from './claims.ts';

/** The one shape a token is for, with the names of the query parameters. */
const grant = z.strictObject({
  table: z.string().min(1),
  where: z.string().min(1).optional(),
  params: z.record(z.string(), z.unknown()).optional(),
  columns: z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]).optional(),
  replica: z.enum(['default', 'full']).optional(),
  log: z.enum(['full', 'changes_only']).optional(),
});

export type GrantOutcome =
  | { readonly ok: true; readonly definition: DefinitionParams }
  /** The field in which the request differs, or `undefined` when the grant itself is unusable. */
  | { readonly ok: false; readonly field: string | undefined };

/**
 * The shape that a grant names, asked for by a request that repeats it or leaves parts of it out. A request that says anything
 * else is refused, never widened or narrowed to what would be allowed.
 */
export function applyGrant(claim: unknown, asked: DefinitionParams): GrantOutcome {
  const parsed = grant.safeParse(claim);
  if (!parsed.success) return { ok: false, field: undefined };
  const { table, where, columns, replica = 'default', log = 'full' } = parsed.data;
  const entries = Object.entries(parsed.data.params ?? {}).map(([key, value]) => [key, claimText(value)] as const);
  if (entries.some(([, text]) => text === undefined)) return { ok: false, field: undefined };
  const params = entries.length === 0 ? undefined : (Object.fromEntries(entries) as Record<string, string>);

  const granted = { table, where, params, columns: columnsText(columns), replica, log };
  const wanted = {
    table: asked.table,
    where: asked.where,
    params: asked.params,
    columns: columnsText(asked.columns),
    // Their absence is not told from the default.
    replica: asked.replica === 'default' ? undefined : asked.replica,
    log: asked.log === 'full' ? undefined : asked.log,
  };
  for (const [field, value] of Object.entries(wanted)) {
    const allowed = granted[field as keyof typeof granted];
    if (value !== undefined && sorted(value) !== sorted(allowed)) return { ok: false, field };
  }
  if (asked.queryableColumns !== undefined) return { ok: false, field: 'queryable_columns' };
  return {
    ok: true,
    definition: {
      table,
      ...(where === undefined ? undefined : { where }),
      ...(params === undefined ? undefined : { params }),
      ...(columns === undefined ? undefined : { columns }),
      replica,
      log,
      compaction: asked.compaction,
      // What is granted is the shape, so nothing else of the table may be asked about it.
      ...(columns === undefined ? undefined : { queryableColumns: columns }),
    },
  };
}

function columnsText(columns: string | readonly string[] | undefined): string | undefined {
  return typeof columns === 'string' || columns === undefined ? columns : columns.join(',');
}

function sorted(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return JSON.stringify(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
