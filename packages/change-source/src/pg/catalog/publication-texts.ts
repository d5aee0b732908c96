import { ShapecastError } from '@shapecast/errors';

/** What is wrong with the publication or with how a table is published, in the words of spec O 7.2. */

interface Named {
  readonly schema: string;
  readonly name: string;
}

export function qualified({ schema, name }: Named): string {
  return `${schema}.${name}`;
}

export function misconfigured(message: string, type: string, cause?: unknown): ShapecastError {
  return new ShapecastError('SOURCE_MISCONFIGURED', message, { type }, cause);
}

export function publicationMissing(publication: string): ShapecastError {
  return misconfigured(`Publication "${publication}" not found in the database`, 'publication_missing');
}

export function operationsMissing(publication: string): ShapecastError {
  const text = `Publication "${publication}" does not publish all required operations: INSERT, UPDATE, DELETE, TRUNCATE`;
  return misconfigured(text, 'publication_missing_operations');
}

export function generatedMissing(publication: string): ShapecastError {
  const text =
    `Publication "${publication}" does not publish generated columns. This is a feature introduced in PostgreSQL 18 and ` +
    `requires setting the publication parameter 'publish_generated_columns' to 'stored'. Alternatively, you can exclude ` +
    `them from the shape by explicitly listing which columns to fetch in the 'columns' query param.`;
  return misconfigured(text, 'publication_missing_generated_columns');
}

export function notOwned(publication: string): string {
  return `Publication "${publication}" is not owned by the provided user`;
}

export function tableMissing(table: Named, publication: string, manual: boolean): ShapecastError {
  const why = manual
    ? 'the ELECTRIC_MANUAL_TABLE_PUBLISHING setting prevents Electric from adding it'
    : 'Electric lacks privileges to add it';
  const text = `Database table "${qualified(table)}" is missing from the publication "${publication}" and ${why}`;
  return misconfigured(text, 'table_not_published');
}

export function identityMissing(table: Named): ShapecastError {
  const text = `Database table "${qualified(table)}" does not have its replica identity set to FULL`;
  return misconfigured(text, 'misconfigured_replica_identity');
}

export function goneOrRenamed(table: Named & { readonly oid: number }): ShapecastError {
  const text = `Database table "${qualified(table)}" has been dropped or renamed`;
  return new ShapecastError('SCHEMA_CHANGED', text, { oid: table.oid });
}

export function tableLocked(cause?: unknown): ShapecastError {
  const text = 'Snapshot timed out while waiting for a table lock';
  return new ShapecastError('NOT_READY', text, { type: 'table_lock_timeout' }, cause);
}

/** Not in the spec's table: what Postgres itself refuses, or what the publication was given by hand. */

export function leavesNoWal(table: Named, silent: Named): ShapecastError {
  const text = `Database table "${qualified(silent)}" is foreign, unlogged or temporary: "${qualified(table)}" cannot be followed while it is part of it`;
  return misconfigured(text, 'table_without_wal');
}

export function publishedAsRoot(publication: string): ShapecastError {
  const text = `Publication "${publication}" publishes partitions as their root: set publish_via_partition_root to false`;
  return misconfigured(text, 'publication_via_root');
}

export function virtualColumns(table: Named): ShapecastError {
  const text = `Database table "${qualified(table)}" has virtual generated columns: Postgres refuses updates of a published table that has them and full replica identity`;
  return misconfigured(text, 'virtual_generated_columns');
}

export function restrictedMember(table: Named, publication: string): ShapecastError {
  const text = `Database table "${qualified(table)}" has a row filter or a column list in the publication "${publication}": remove it`;
  return misconfigured(text, 'publication_restricts_table');
}
