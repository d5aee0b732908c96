import {
  buildDefinition,
  buildFingerprint,
  keyColumnNames,
  unpublishedColumns,
  type Fingerprint,
  type RelationInfo,
  type ShapeDefinition,
} from '@shapecast/shape';
import { bothClauses, parseWhere, type WhereClause } from '@shapecast/where';
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

/** The field of refusals that are about what the token allows, and not about the request. */
export const RESTRICTED = 'token';

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
    columns: params.columns === undefined && !areColumnsLimited(params) ? undefined : columns.value,
    where: where.value,
    replica: params.replica,
    log: params.log,
  });
  const clause = where.value;
  const fingerprint = buildFingerprint(definition, relation, clause);
  return accept({ definition, fingerprint, ...(clause && { clause }) });
}

function selectedColumns(params: DefinitionParams, relation: RelationInfo): Checked<readonly string[]> {
  const limited = queryableColumns(params, relation);
  if (!limited.ok) return limited;
  const allowed = limited.value;
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

function areColumnsLimited({ queryableColumns: list, restriction }: DefinitionParams): boolean {
  return list !== undefined || restriction?.columns !== undefined;
}

/** Columns that may be selected and, by subsets, referred to (PA-4): what the client's token allows, and of that what a proxy lists. */
export function queryableColumns(params: DefinitionParams, relation: RelationInfo): Checked<readonly string[]> {
  let allowed: readonly string[] = relation.columns.map((column) => column.name);
  const granted = params.restriction?.columns;
  if (granted !== undefined) {
    const problem = columnProblem(granted, allowed, relation, 'columns');
    if (problem !== undefined) return refuse(RESTRICTED, `The rule for this table does not fit it. ${problem}`);
    allowed = granted;
  }
  if (params.queryableColumns === undefined) return accept(allowed);
  const listed = parseColumnList(params.queryableColumns, 'queryable_columns');
  if (!listed.ok) return listed;
  const problem = columnProblem(listed.value, allowed, relation, 'queryable columns');
  return problem === undefined ? listed : refuse('queryable_columns', problem);
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
  // A condition on what never comes with a change could not be followed.
  const unpublished = unpublishedColumns(relation);
  const columns = relation.columns.filter((column) => !unpublished.includes(column));
  const granted = params.restriction?.columns;
  // What may not be seen may not be asked about either: whether rows come tells.
  const visible = granted === undefined ? columns : columns.filter((column) => granted.includes(column.name));

  // Without a clause nobody looks at its parameters (PA-7).
  const asked =
    params.where === undefined ? undefined : parseWhere(params.where, params.params ?? {}, visible, relation);
  if (asked?.ok === false) return refuse(asked.field, asked.message);
  const { where, params: values = {} } = params.restriction ?? {};
  const limit = where === undefined ? undefined : parseWhere(where, values, columns, relation);
  if (limit?.ok === false)
    return refuse(RESTRICTED, `The rule for this table does not fit it, or the token. ${limit.message}`);
  if (asked === undefined || limit === undefined) return accept((asked ?? limit)?.clause);
  return accept(bothClauses(limit.clause, asked.clause, columns));
}
