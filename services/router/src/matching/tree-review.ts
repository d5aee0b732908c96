import type { Joined } from '@shapecast/log';
import type { ShapeFailure } from '@shapecast/shape-store';
import { TREE_CHANGED, type ShardIndex } from './shard-index.ts';

/** What a look at the catalog says of a table that shapes are on. */
export interface TreeFindings {
  readonly oid: number;
  /** Of the snapshot that the catalog was read with; shapes that start from a newer one are not judged by it. */
  readonly xmax: bigint;
  /** As the table is called now; undefined when it is gone. */
  readonly name: { readonly schema: string; readonly name: string } | undefined;
  /** Tables came or went in a way that no shape which is there can have noticed. */
  readonly changed: boolean;
  /** Tables that came under it with rows, or perhaps with rows. */
  readonly joined: readonly Joined[];
}

/**
 * Ends the shapes that a table's tree has left behind (spec R 7.8, 7.15): nothing in the stream tells of a partition that was
 * attached and never written to, or detached. Returns how many. A catalog reconciler (R 10.3.6) would add its findings here.
 */
export function reviewShapes(index: ShardIndex, findings: TreeFindings): number {
  let ended = 0;
  for (const shape of index.shapesOn(findings.oid)) {
    const { snapshot, definition } = shape.record;
    if (snapshot === undefined || snapshot.xmax > findings.xmax || index.ending.has(shape)) continue;
    const { schema, table } = definition;
    const failure =
      findings.name?.schema !== schema || findings.name.name !== table
        ? goneOrRenamed(schema, table)
        : findings.changed || findings.joined.some((joined) => !shape.sees(joined))
          ? TREE_CHANGED
          : undefined;
    if (failure === undefined) continue;
    index.end(shape, failure);
    ended += 1;
  }
  return ended;
}

function goneOrRenamed(schema: string, table: string): ShapeFailure {
  return { code: 'SCHEMA_CHANGED', message: `Database table "${schema}.${table}" has been dropped or renamed` };
}
