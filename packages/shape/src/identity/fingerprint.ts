import type { Relation } from '@shapecast/log';
import type { Fingerprint, ShapeDefinition } from '../definition.ts';
import { keyColumnNames, type RelationInfo } from '../relation-info.ts';
import type { WhereClause } from '@shapecast/where';

/** Takes the fingerprint of a new shape: the columns it selects or refers to, as the catalog has them (spec R 10.3.1). */
export function buildFingerprint(
  definition: ShapeDefinition,
  relation: RelationInfo,
  where?: WhereClause,
): Fingerprint {
  const bound = new Set([...definition.columns, ...definition.keyColumns, ...(where?.columns ?? [])]);
  return {
    oid: definition.oid,
    schema: definition.schema,
    table: definition.table,
    keyColumns: definition.keyColumns,
    columnCount: relation.columns.length,
    columns: relation.columns
      .filter((column) => bound.has(column.name))
      .map((column) => [column.name, column.typeOid, column.typeMod] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
    notNull: relation.columns.filter(({ name, notNull }) => notNull && bound.has(name)).map(({ name }) => name),
  };
}

/**
 * Why a shape must rotate now that its table looks like `relation`: a descriptor of the stream, or the catalog's row.
 * Undefined when it goes on (spec R 10.3.2, 10.3.3). `allColumns` is the definition's: only then does an added or dropped
 * column matter that the shape does not name. Not for the clauses' types of unlisted columns: those are in the fingerprint.
 */
export function fingerprintMismatch(
  fingerprint: Fingerprint,
  relation: Relation | RelationInfo,
  allColumns: boolean,
): string | undefined {
  if (relation.oid !== fingerprint.oid) return `the table was replaced: oid ${fingerprint.oid} is now ${relation.oid}`;
  if (relation.schema !== fingerprint.schema || relation.name !== fingerprint.table) {
    return `the table was renamed to ${relation.schema}.${relation.name}`;
  }
  if (allColumns && relation.columns.length !== fingerprint.columnCount) {
    return `the table has ${relation.columns.length} columns instead of ${fingerprint.columnCount}`;
  }
  const columns = new Map(relation.columns.map((column) => [column.name, column]));
  for (const [name, typeOid, typeMod] of fingerprint.columns) {
    const column = columns.get(name);
    if (column === undefined) return `column ${name} is gone`;
    if (column.typeOid !== typeOid || column.typeMod !== typeMod) return `column ${name} changed its type`;
  }
  const keys = 'keyColumns' in relation ? streamKeyNames(relation) : keyColumnNames(relation);
  if (keys.length !== fingerprint.keyColumns.length || keys.some((name, i) => name !== fingerprint.keyColumns[i])) {
    return 'the primary key changed';
  }
  return undefined;
}

/** Key columns of a stream descriptor, by the rule of `keyColumnNames`. */
function streamKeyNames(relation: Relation): string[] {
  if (relation.keyColumns.length === 0) return relation.columns.map((column) => column.name);
  return relation.keyColumns.map((ordinal) => relation.columns[ordinal]?.name ?? '');
}
