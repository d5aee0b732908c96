import {
  buildDefinition,
  buildFingerprint,
  keyColumnNames,
  unpublishedColumns,
  type Fingerprint,
  type RelationInfo,
  type ShapeDefinition,
} from '@shapecast/shape';
import { parseWhere, type WhereClause } from '@shapecast/where';
import { accept, refuse, type Checked } from './field-errors.ts';
import { canExist, missingTableText, parseColumnList, parseTableName, type TableName } from './identifier.ts';
import type { DefinitionParams } from './shape-request.ts';

/** A request's shape: what it is, and what must stay true of the table. */
export interface ResolvedDefinition {
  readonly definition: ShapeDefinition;
  readonly fingerprint: Fingerprint;
  /** The where clause as it was understood; absent when there is none. */
  readonly clause?: WhereClause;
}

/** First half of stage (g): which table is meant. */
export function requestedTable(params: DefinitionParams): Checked<TableName> {
  if (params.table === undefined) return refuse('table', "can't be blank");
  const table = parseTableName(params.table);
  return table.ok && !canExist(table.value) ? refuse('table', missingTableText(table.value)) : table;
}

/**
 * Second half of stage (g): columns, params and where against the table as the catalog shows it; undefined stands for a
 * table that does not exist or cannot be a shape. The first problem found is the one reported.
 */
export function resolveDefinition(
  params: DefinitionParams,
  table: TableName,
  relation: RelationInfo | undefined,
): Checked<ResolvedDefinition> {
  if (relation === undefined) return refuse('table', missingTableText(table));
  const columns = selectedColumns(params, relation);
  if (!columns.ok) return columns;
  const where = whereClause(params, relation);
  if (!where.ok) return where;

  const definition = buildDefinition({
    relation,
    // Columns that a list or a proxy's allow-list names are listed, even when they happen to be all (HD-1).
    columns: params.columns === undefined && params.queryableColumns === undefined ? undefined : columns.value,
    where: where.value,
    replica: params.replica,
    log: params.log,
  });
  const clause = where.value;
  const fingerprint = buildFingerprint(definition, relation, clause);
  return accept({ definition, fingerprint, ...(clause && { clause }) });
}

function selectedColumns(params: DefinitionParams, relation: RelationInfo): Checked<readonly string[]> {
  let allowed: readonly string[] = relation.columns.map((column) => column.name);
  if (params.queryableColumns !== undefined) {
    const queryable = parseColumnList(params.queryableColumns, 'queryable_columns');
    if (!queryable.ok) return queryable;
    const problem = columnProblem(queryable.value, allowed, relation, 'queryable columns');
    if (problem !== undefined) return refuse('queryable_columns', problem);
    allowed = queryable.value;
  }
  let selected = allowed;
  if (params.columns !== undefined) {
    const listed = parseColumnList(params.columns, 'columns');
    if (!listed.ok) return listed;
    const problem = columnProblem(listed.value, allowed, relation, 'columns');
    if (problem !== undefined) return refuse('columns', problem);
    selected = listed.value;
  }
  const generated = unpublishedColumns(relation).filter((column) => selected.includes(column.name));
  if (generated.length === 0) return accept(selected);
  const names = generated.map((column) => column.name).join(', ');
  const hint =
    ". You can exclude them from the shape by explicitly listing which columns to fetch in the 'columns' query param";
  return refuse(
    'columns',
    `The following columns are generated and cannot be included in the shape: ${names}${params.columns === undefined ? hint : ''}`,
  );
}

function columnProblem(
  names: readonly string[],
  allowed: readonly string[],
  relation: RelationInfo,
  kind: 'columns' | 'queryable columns',
): string | undefined {
  const missing = keyColumnNames(relation).filter((name) => !names.includes(name));
  if (missing.length > 0) {
    return `The list of ${kind} must include all primary key columns, missing: ${missing.join(', ')}`;
  }
  const unknown = names.filter((name) => !allowed.includes(name));
  if (unknown.length > 0) return `The following ${kind} are not found on the table: ${unknown.join(', ')}`;
  return undefined;
}

function whereClause(params: DefinitionParams, relation: RelationInfo): Checked<WhereClause | undefined> {
  // Without a clause nobody looks at its parameters (PA-7).
  if (params.where === undefined) return accept(undefined);
  // A condition on what never comes with a change could not be followed.
  const unpublished = unpublishedColumns(relation);
  const columns = relation.columns.filter((column) => !unpublished.includes(column));
  const parsed = parseWhere(params.where, params.params ?? {}, columns, relation);
  return parsed.ok ? accept(parsed.clause) : refuse(parsed.field, parsed.message);
}
