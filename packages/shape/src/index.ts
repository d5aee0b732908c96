export {
  keyColumnNames,
  unpublishedColumns,
  type ColumnInfo,
  type RelationInfo,
  type UserType,
} from './relation-info.ts';
export type { Fingerprint, ShapeDefinition } from './definition.ts';
export {
  buildDefinition,
  canonicalText,
  definitionDigest,
  handleHash,
  shardOf,
  type DefinitionParts,
} from './identity/canonical.ts';
export { buildFingerprint, catalogMismatch, fingerprintMismatch } from './identity/fingerprint.ts';
export { decide, type Operation } from './operation.ts';
