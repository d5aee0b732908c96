import { createHash } from 'node:crypto';
import type { ShapeDefinition } from '@shapecast/shape';

/** The definition as one line with a fixed order of members: equal definitions are equal texts. */
export function definitionText(d: ShapeDefinition): string {
  return JSON.stringify({
    v: d.v,
    oid: d.oid,
    schema: d.schema,
    table: d.table,
    keyColumns: d.keyColumns,
    hasPrimaryKey: d.hasPrimaryKey,
    columns: d.columns,
    allColumns: d.allColumns,
    where: d.where,
    replica: d.replica,
    log: d.log,
  });
}

/** The first half of a handle: 32 bits that depend on the definition only (spec R 15.2.1). */
export function handlePrefix(digest: string): number {
  return createHash('sha256').update(digest).digest().readUInt32BE(0);
}
