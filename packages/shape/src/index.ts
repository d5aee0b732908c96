export { keyColumnNames, type ColumnInfo, type RelationInfo } from './relation-info.ts';
export type { Fingerprint, ShapeDefinition } from './definition.ts';
export {
  buildDefinition,
  canonicalText,
  definitionDigest,
  handleHash,
  shardOf,
  type DefinitionParts,
} from './identity/canonical.ts';
export { buildFingerprint, fingerprintMismatch } from './identity/fingerprint.ts';
export { TableIndex, type EmitMatch, type ReportUndecided } from './matching/table-index.ts';
export { decide, type Operation } from './operation.ts';
export { MAX_WHERE_BYTES, compileClause, parseStoredWhere, parseWhere, type ParsedWhere } from './where/parse-where.ts';
export type { WhereClause } from './where/clause.ts';
export { ClauseEvaluationError } from './where/errors.ts';
export type { ClauseTable } from './where/bind.ts';
export type { ClauseColumn, ColumnCollation } from './where/column.ts';
