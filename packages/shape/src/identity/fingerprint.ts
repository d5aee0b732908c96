import { createHash } from 'node:crypto';
import type { Relation } from '@shapecast/log';
import type { TypeFact, WhereClause } from '@shapecast/where';
import type { Fingerprint, ShapeDefinition } from '../definition.ts';
import { keyColumnNames, type ColumnInfo, type RelationInfo, type UserType } from '../relation-info.ts';

/** Takes the fingerprint of a new shape: the columns it selects or refers to, as the catalog has them (spec R 10.3.1). */
export function buildFingerprint(
  definition: ShapeDefinition,
  relation: RelationInfo,
  where?: WhereClause,
): Fingerprint {
  const named = new Set([...definition.columns, ...definition.keyColumns, ...(where?.columns ?? [])]);
  const bound = relation.columns.filter(({ name }) => named.has(name)).sort((a, b) => (a.name < b.name ? -1 : 1));
  const types = userTypesOf(bound).map((type) => [type.oid, partsOf(type).length, digestOf(partsOf(type))] as const);
  const collations = relation.columns.flatMap(({ name, collation }) =>
    collation !== undefined && where?.columns.includes(name) ? [[name, digestOf(collation)] as const] : [],
  );
  return {
    oid: definition.oid,
    schema: definition.schema,
    table: definition.table,
    keyColumns: definition.keyColumns,
    columnCount: relation.columns.length,
    columns: bound.map(({ name, typeOid, typeMod }) => [name, typeOid, typeMod] as const),
    notNull: relation.columns.filter(({ name, notNull }) => notNull && named.has(name)).map(({ name }) => name),
    attnums: bound.map(({ attnum }) => attnum),
    ...(types.length === 0 ? {} : { types }),
    ...(collations.length === 0 ? {} : { collations }),
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

/**
 * Why a shape must rotate now that the catalog has its table like `relation`. Sees more than the stream shows: a column that was
 * dropped and made again, or that took over the name of another; labels and attributes of types (spec R 10.3.11); collations.
 * What a fingerprint of an earlier version does not have is not compared.
 */
export function catalogMismatch(
  fingerprint: Fingerprint,
  relation: RelationInfo,
  definition: Pick<ShapeDefinition, 'allColumns' | 'types'>,
): string | undefined {
  const mismatch = fingerprintMismatch(fingerprint, relation, definition.allColumns);
  if (mismatch !== undefined) return mismatch;
  const columns = new Map(relation.columns.map((column) => [column.name, column]));
  for (const [i, [name]] of fingerprint.columns.entries()) {
    const attnum = fingerprint.attnums?.[i];
    if (attnum !== undefined && columns.get(name)?.attnum !== attnum) return `column ${name} is another one`;
  }
  for (const [name, digest] of fingerprint.collations ?? []) {
    const collation = columns.get(name)?.collation;
    if (collation === undefined || digestOf(collation) !== digest) return `column ${name} changed its collation`;
  }
  return typeMismatch(fingerprint, relation) ?? orderMismatch(definition.types ?? [], relation);
}

/** Labels that came are of no consequence: no value that is there is written in another way. */
function typeMismatch({ types = [] }: Fingerprint, relation: RelationInfo): string | undefined {
  if (types.length === 0) return undefined;
  const now = new Map(userTypesOf(relation.columns).map((type) => [type.oid, type]));
  for (const [oid, count, digest] of types) {
    const type = now.get(oid);
    if (type === undefined) return `type ${oid} is gone`;
    const parts = partsOf(type);
    const kept = 'labels' in type ? parts.slice(0, count) : parts;
    if (kept.length !== count || digestOf(kept) !== digest) return `type ${oid} changed`;
  }
  return undefined;
}

/** A clause that orders the values of an enum was made for the labels there were. */
function orderMismatch(facts: readonly TypeFact[], relation: RelationInfo): string | undefined {
  for (const fact of facts) {
    if (fact.kind === 'domain' || fact.labels === undefined) continue;
    const now = relation.columns.find(({ typeOid }) => typeOid === fact.oid)?.enumLabels;
    if (now !== undefined && digestOf(now) !== digestOf(fact.labels)) return `the order of type ${fact.oid} changed`;
  }
  return undefined;
}

function userTypesOf(columns: readonly ColumnInfo[]): UserType[] {
  const types = new Map<number, UserType>();
  for (const { userTypes = [] } of columns) for (const type of userTypes) types.set(type.oid, type);
  return [...types.values()].sort((a, b) => a.oid - b.oid);
}

function partsOf(type: UserType): readonly unknown[] {
  return 'labels' in type ? type.labels : type.attributes;
}

/** Compared with one of the same table a while later; nobody gains from a collision. */
function digestOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('base64url').slice(0, 16);
}
