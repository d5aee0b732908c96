import type { RowChange } from '@shapecast/log';

/** What a change is to one shape. */
export type Operation = 'insert' | 'update' | 'delete';

/**
 * The operation a shape's log gets for a change, given whether the shape's clause is TRUE on the old and on the new row
 * (spec W 6.2). Undefined: the change does not concern the shape. Projection, no-op removal and key changes come after.
 */
export function decide(change: RowChange, old: boolean, next: boolean): Operation | undefined {
  const before = old && change.kind !== 'insert';
  const after = next && change.kind !== 'delete';
  if (before && after) return 'update';
  if (after) return 'insert';
  return before ? 'delete' : undefined;
}
