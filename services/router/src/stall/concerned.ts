import type { Change, TxRecord } from '@shapecast/log';
import type { RoutedShape } from '../matching/routed-shape.ts';

/** Handles of the shapes whose tables a record has changes of, whether or not these match. */
export function concernedBy(
  record: TxRecord,
  index: { shapesOn(oid: number): Iterable<RoutedShape> },
): ReadonlySet<string> {
  const oids = new Set<number>();
  if (record.kind === 'data') for (const { changes } of record.parts) for (const change of changes) add(oids, change);
  const handles = new Set<string>();
  for (const oid of oids) for (const { handle } of index.shapesOn(oid)) handles.add(handle);
  return handles;
}

function add(oids: Set<number>, { relation }: Change): void {
  oids.add(relation.oid);
  for (const { oid } of relation.ancestors ?? []) oids.add(oid);
}
