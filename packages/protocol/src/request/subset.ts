import type { RelationInfo } from '@shapecast/shape';
import { parseOrderBy, parseSubsetWhere, type OrderColumn } from '@shapecast/where';
import { accept, type Checked } from './field-errors.ts';
import type { Params } from './query-string.ts';
import { queryableColumns } from './shape-definition.ts';
import type { DefinitionParams } from './shape-request.ts';
import { parseSubsetParams } from './subset-params.ts';

/** Which rows of a shape a subset request wants, and in which order (spec H 13). */
export interface SubsetSelection {
  /** Canonical SQL of the subset's own clause with parameters substituted; empty: none. */
  readonly where: string;
  readonly orderBy: readonly OrderColumn[];
  /** Decimal integers that fit a bigint of Postgres. */
  readonly limit?: string;
  readonly offset?: string;
}

/**
 * Stage (h): the subset of a request whose shape is known, against the shape's table. Only the columns that a proxy made
 * queryable can be referred to (PA-4). Errors are nested under `subset` (SU-3).
 */
export function resolveSubset(
  subset: Params,
  definition: DefinitionParams,
  relation: RelationInfo,
): Checked<SubsetSelection> {
  const typed = parseSubsetParams(subset);
  if (!typed.ok) return nested(typed.errors as Readonly<Record<string, readonly string[]>>);
  const { where, params, orderBy, limit, offset } = typed.value;
  const queryable = queryableColumns(definition, relation);
  // What is not a list was refused with the shape (stage g).
  const columns = relation.columns.filter(({ name }) => queryable.ok && queryable.value.includes(name));
  const errors: Record<string, readonly string[]> = {};

  let sql = '';
  if (where !== undefined) {
    const parsed = parseSubsetWhere(where, params, columns, relation);
    if (parsed.ok) sql = parsed.clause.sql;
    else errors[parsed.field] = [parsed.message];
  }
  let order: readonly OrderColumn[] = [];
  if (orderBy !== undefined) {
    const parsed = parseOrderBy(orderBy, columns, relation);
    if (parsed.ok) order = parsed.columns;
    else errors.order_by = [parsed.message];
  }
  if (Object.keys(errors).length > 0) return nested(errors);
  return accept({
    where: sql,
    orderBy: order,
    ...(limit === undefined ? undefined : { limit }),
    ...(offset === undefined ? undefined : { offset }),
  });
}

function nested(errors: Readonly<Record<string, readonly string[]>>): Checked<never> {
  return { ok: false, errors: { subset: errors } };
}
