import type { SnapshotMoment } from '@shapecast/change-source';
import type { ErrorCode } from '@shapecast/errors';
import { catalogMismatch, type RelationInfo } from '@shapecast/shape';
import type { ShapeFailure, SnapshotVisibility } from '@shapecast/shape-store';
import type { RoutedShape } from '../matching/routed-shape.ts';
import { TREE_CHANGED } from '../matching/shard-index.ts';
import { isOlder, type TableHistory } from './table-history.ts';

/** What a look at the catalog says of a table that shapes are on. */
export interface Finding {
  readonly oid: number;
  /** Of the look. */
  readonly moment: SnapshotMoment;
  /**
   * Undefined: the table is gone, or cannot be synced any more. Without `relation` it is as it was when its shapes were judged last,
   * all but its history; without `history` that cannot be read at the moment.
   */
  readonly table:
    { readonly relation: RelationInfo | undefined; readonly history: TableHistory | undefined } | undefined;
}

/**
 * Why a shape ends that its table has left behind without a change in the stream; undefined when it goes on; `later` when this
 * look cannot judge the shape, because its snapshot is not known here, or newer: that one was compared with the catalog when
 * it was taken (spec R 10.3.6).
 */
export function reviewShape(shape: RoutedShape, finding: Finding): ShapeFailure | 'later' | undefined {
  const { snapshot, definition, fingerprint } = shape.record;
  if (snapshot === undefined || isOlder(finding.moment, momentOf(snapshot))) return 'later';
  if (finding.table === undefined) return goneOrRenamed(shape);
  const { relation, history } = finding.table;
  if (relation !== undefined) {
    if (relation.schema !== definition.schema || relation.name !== definition.table) return goneOrRenamed(shape);
    const mismatch = catalogMismatch(fingerprint, relation, definition);
    if (mismatch !== undefined) return changed(mismatch);
  }
  if (history === undefined) return 'later';
  const { since, left, members } = history;
  // A history is begun before the first shape: one that is younger was lost.
  if (isOlder(momentOf(snapshot), since)) return changed('What happened to the table is not known.');
  if (left !== undefined && isOlder(momentOf(snapshot), left)) return TREE_CHANGED;
  for (const { joined } of members.values()) if (joined !== undefined && !shape.sees(joined)) return TREE_CHANGED;
  return relation && recomputed(shape, relation, history);
}

/** Under classic inheritance or partitions, too: altering the root touches the description of its columns. */
function recomputed(
  shape: RoutedShape,
  relation: RelationInfo,
  { recomputed: since }: TableHistory,
): ShapeFailure | undefined {
  if (since.size === 0) return undefined;
  const bound = new Set(shape.record.fingerprint.columns.map(([name]) => name));
  for (const { name, attnum } of relation.columns) {
    const rewrite = bound.has(name) ? since.get(attnum) : undefined;
    if (rewrite !== undefined && !shape.sees(rewrite))
      return changed(`the values of column ${name} were computed anew`);
  }
  return undefined;
}

function momentOf({ xmax, xip }: SnapshotVisibility): SnapshotMoment {
  return { xmax, running: xip.length };
}

function goneOrRenamed({ record }: RoutedShape): ShapeFailure {
  const { schema, table } = record.definition;
  return changed(`Database table "${schema}.${table}" has been dropped or renamed`);
}

function changed(message: string): ShapeFailure {
  return { code: 'SCHEMA_CHANGED' satisfies ErrorCode, message };
}
