import type { ClauseTable } from './bind/context.ts';
import type { ClauseColumn } from './column.ts';
import { ClauseRefusal, locate } from './errors.ts';
import { parseSortList, type SortItem } from './syntax/sort-list.ts';
import { printPath } from './syntax/names.ts';
import type { Syntax } from './syntax/syntax.ts';
import { utf8Bytes } from './types/text.ts';

/** One column of an ORDER BY. Without `nulls` Postgres decides: last when ascending, first when descending. */
export interface OrderColumn {
  readonly column: string;
  readonly descending: boolean;
  readonly nulls?: 'first' | 'last';
}

export type ParsedOrderBy =
  { readonly ok: true; readonly columns: readonly OrderColumn[] } | { readonly ok: false; readonly message: string };

const MAX_ORDER_BY_BYTES = 65_536;
const WRAPPER = 'SELECT 1 ORDER BY ';

/** What Postgres calls the parse nodes of expressions. */
const NODES: Readonly<Record<Exclude<Syntax['kind'], 'column' | 'param'>, string>> = {
  null: 'A_Const',
  true: 'A_Const',
  false: 'A_Const',
  string: 'A_Const',
  integer: 'A_Const',
  decimal: 'A_Const',
  bits: 'A_Const',
  and: 'BoolExpr',
  or: 'BoolExpr',
  not: 'BoolExpr',
  binary: 'A_Expr',
  unary: 'A_Expr',
  isNull: 'NullTest',
  isTruth: 'BooleanTest',
  distinct: 'A_Expr',
  between: 'A_Expr',
  in: 'A_Expr',
  like: 'A_Expr',
  similar: 'A_Expr',
  quantified: 'A_Expr',
  cast: 'TypeCast',
  collate: 'CollateClause',
  call: 'FuncCall',
  array: 'A_ArrayExpr',
  subscript: 'A_Indirection',
  row: 'RowExpr',
  case: 'CaseExpr',
  coalesce: 'CoalesceExpr',
  greatest: 'MinMaxExpr',
  least: 'MinMaxExpr',
  nullif: 'A_Expr',
  sqlValue: 'SQLValueFunction',
  subquery: 'SubLink',
};

/**
 * Types of Postgres without an order. An extension's type may lack one too: then only Postgres can say so.
 * `pg_opclass`: no default btree class.
 */
const UNORDERED: ReadonlyMap<number, string> = new Map([
  [28, 'xid'],
  [29, 'cid'],
  [114, 'json'],
  [142, 'xml'],
  [600, 'point'],
  [601, 'lseg'],
  [602, 'path'],
  [603, 'box'],
  [604, 'polygon'],
  [628, 'line'],
  [718, 'circle'],
  [1033, 'aclitem'],
  [1790, 'refcursor'],
  [2970, 'txid_snapshot'],
  [3642, 'gtsvector'],
  [4072, 'jsonpath'],
  [4600, 'pg_brin_bloom_summary'],
  [4601, 'pg_brin_minmax_multi_summary'],
  [5038, 'pg_snapshot'],
]);
const UNORDERED_NAMES: ReadonlySet<string> = new Set(UNORDERED.values());

/**
 * Parses a client's ORDER BY: columns with ASC, DESC, `USING <`, `USING >`, NULLS FIRST and NULLS LAST. Nothing that could
 * execute (H SU-2). An integer, which in the reference breaks ties by the row's text, is accepted and orders nothing; a column
 * counts where it is named first. `columns` are those that may be referred to; with `table`, also as `table.column`.
 */
export function parseOrderBy(text: string, columns: readonly ClauseColumn[], table?: ClauseTable): ParsedOrderBy {
  try {
    if (utf8Bytes(text) > MAX_ORDER_BY_BYTES) {
      throw new ClauseRefusal(`order by is bigger than maximum size of ${MAX_ORDER_BY_BYTES} bytes`);
    }
    if (!text.isWellFormed() || text.includes('\0')) throw new ClauseRefusal('order by is not valid UTF-8 text');
    const named = new Map(columns.map((column) => [column.name, column]));
    const ordered = new Map<string, OrderColumn>();
    for (const item of parseSortList(text)) {
      const column = orderColumn(item, named, table);
      if (column !== undefined && !ordered.has(column.column)) ordered.set(column.column, column);
    }
    return { ok: true, columns: [...ordered.values()] };
  } catch (error) {
    if (error instanceof ClauseRefusal) return { ok: false, message: locate(error, text, WRAPPER) };
    throw error;
  }
}

function orderColumn(
  { expression, descending, nulls }: SortItem,
  named: ReadonlyMap<string, ClauseColumn>,
  table: ClauseTable | undefined,
): OrderColumn | undefined {
  const { kind, at } = expression;
  if (kind === 'integer') return undefined;
  if (kind === 'param') {
    throw new ClauseRefusal(`parameter $${expression.number} is not supported in ORDER BY clauses`, at);
  }
  if (kind !== 'column') throw new ClauseRefusal(`${NODES[kind]} expressions are not allowed in ORDER BY clauses`, at);
  const { path } = expression;
  const column = named.get(path.at(-1) as string);
  if (column === undefined || !isRootPath(path, table)) {
    throw new ClauseRefusal(`unknown reference ${printPath(path)}`, at);
  }
  const unordered = unorderedType(column);
  if (unordered !== undefined) {
    throw new ClauseRefusal(`could not identify an ordering operator for type ${unordered}`, at);
  }
  return { column: column.name, descending, ...(nulls && { nulls }) };
}

/** `column`, `table.column` or `schema.table.column`. */
function isRootPath(path: readonly string[], table: ClauseTable | undefined): boolean {
  if (path.length === 1) return true;
  const written = path.slice(0, -1).join('\0');
  return table !== undefined && (written === table.name || written === `${table.schema}\0${table.name}`);
}

/** `typeName` is that of the element for arrays, which have an order exactly if their elements do. */
function unorderedType({ typeOid, typeSchema, typeName, typeKind, baseTypeOid }: ClauseColumn): string | undefined {
  if (typeKind === 'd') return baseTypeOid === undefined ? undefined : UNORDERED.get(baseTypeOid);
  if (typeSchema === 'pg_catalog' && typeName !== undefined && UNORDERED_NAMES.has(typeName)) return typeName;
  return UNORDERED.get(typeOid);
}
