import { createHash } from 'node:crypto';
import type { ShapeDefinition } from '../definition.ts';
import { keyColumnNames, type RelationInfo } from '../relation-info.ts';
import type { WhereClause } from '@shapecast/where';

/** The parts of a request that identify its shape (H HD-1). */
export interface DefinitionParts {
  readonly relation: RelationInfo;
  /** Requested columns in any order; undefined selects all, and follows added columns by rotation. */
  readonly columns?: readonly string[] | undefined;
  readonly where?: WhereClause | undefined;
  readonly replica: 'default' | 'full';
  readonly log: 'full' | 'changes_only';
}

/** Definition of a validated request. Columns come out sorted and once each, however they were listed. */
export function buildDefinition(parts: DefinitionParts): ShapeDefinition {
  const { relation, columns, where, replica, log } = parts;
  const selected = columns ?? relation.columns.map((column) => column.name);
  return {
    v: 1,
    oid: relation.oid,
    schema: relation.schema,
    table: relation.name,
    keyColumns: keyColumnNames(relation),
    hasPrimaryKey: relation.columns.some((column) => column.pkIndex !== undefined),
    columns: [...new Set(selected)].sort(),
    allColumns: columns === undefined,
    where: where?.sql ?? '',
    ...(where !== undefined && where.types.length > 0 ? { types: where.types } : {}),
    replica,
    log,
  };
}

/** JSON with its members in this order: equal definitions have equal texts, and only those (spec R 15.1). */
export function canonicalText(definition: ShapeDefinition): string {
  return JSON.stringify({
    v: definition.v,
    oid: definition.oid,
    schema: definition.schema,
    table: definition.table,
    keyColumns: definition.keyColumns,
    hasPrimaryKey: definition.hasPrimaryKey,
    columns: definition.columns,
    allColumns: definition.allColumns,
    where: definition.where,
    types: definition.types,
    replica: definition.replica,
    log: definition.log,
  });
}

/** Hex SHA-256 of the canonical text. For lookup only: a match is confirmed on the text itself (spec R 15.1.3). */
export function definitionDigest(definition: ShapeDefinition): string {
  return createHash('sha256').update(canonicalText(definition)).digest('hex');
}

/** Shard that holds the shape, 0 to `shards` - 1; fixed as long as `shards` is (spec R 13.1.1). */
export function shardOf(digest: string, shards: number): number {
  return parseInt(digest.slice(0, 8), 16) % shards;
}

/** First part of the shape's handles, 32 bits (spec R 15.2.1). From other digits than the shard. */
export function handleHash(digest: string): number {
  return parseInt(digest.slice(8, 16), 16);
}
