import type { Tuple } from '@shapecast/log';
import { bindClause, type BindOptions } from './bind/bind.ts';
import type { ClauseTable } from './bind/context.ts';
import type { WhereClause } from './clause.ts';
import { factsOf, withFacts, type ClauseColumn, type TypeFact } from './column.ts';
import { compileTest } from './evaluate/compile.ts';
import { generateTest } from './evaluate/generate.ts';
import { ClauseRefusal, locate } from './errors.ts';
import { asQualification, foldConstants } from './evaluate/fold.ts';
import { Ordinals } from './evaluate/ordinals.ts';
import { CLIENT_LIMITS, parseClause, STORED_LIMITS } from './syntax/parser.ts';
import { RowValues } from './evaluate/row-values.ts';
import { toSql } from './sql.ts';
import { columnsOf, mapChildren, valueTypeOf, visit, type Node } from './tree.ts';
import { quoteName } from './syntax/names.ts';
import { utf8Bytes } from './types/text.ts';
import type { Type } from './types/type.ts';

export type ParsedWhere =
  | { readonly ok: true; readonly clause: WhereClause }
  | { readonly ok: false; readonly field: 'where' | 'params'; readonly message: string };

/** Longest clause that is accepted from a client (spec W 1.1). */
export const MAX_WHERE_BYTES = 65_536;

/** Nodes a clause may have after BETWEEN and its like are written out; list items count. */
const MAX_TREE_NODES = 200_000;

/** Syntax errors count from the start of the statement the reference wraps a clause in (H PA-6). */
const WRAPPER = 'SELECT 1 WHERE ';

/**
 * Parses a client's where clause. `params` are the values of `$n` by n (H PA-7); surplus ones are fine.
 *
 * `columns` are those that arrive in the stream. What depends on a column's collation or type kind is refused when the
 * column does not say them. With `table`, columns may also be written `table.column`.
 */
export function parseWhere(
  text: string,
  params: Readonly<Record<string, string>>,
  columns: readonly ClauseColumn[],
  table?: ClauseTable,
): ParsedWhere {
  return parse(text, params, { columns, table, stored: false });
}

/**
 * As parseWhere, for a clause that only Postgres evaluates: text is compared by the collations it has there, and a subquery
 * is refused in its own words (spec W 1.8). `columns` are those that may be referred to. Only `sql` of the clause is of use.
 */
export function parseSubsetWhere(
  text: string,
  params: Readonly<Record<string, string>>,
  columns: readonly ClauseColumn[],
  table?: ClauseTable,
): ParsedWhere {
  return parse(text, params, { columns, table, stored: false, postgresOnly: true });
}

function parse(
  text: string,
  params: Readonly<Record<string, string>>,
  options: Omit<BindOptions, 'params'>,
): ParsedWhere {
  try {
    if (utf8Bytes(text) > MAX_WHERE_BYTES) {
      throw new ClauseRefusal(`where clause is bigger than maximum size of ${MAX_WHERE_BYTES} bytes`);
    }
    if (!text.isWellFormed() || text.includes('\0')) throw new ClauseRefusal('where clause is not valid UTF-8 text');
    return { ok: true, clause: bind(text, { ...options, params: numberParams(params) }) };
  } catch (error) {
    if (error instanceof ClauseRefusal) return { ok: false, field: error.field, message: locate(error, text, WRAPPER) };
    throw error;
  }
}

/**
 * Reads canonical SQL back, for instance from a stored shape definition. It may be longer than what a client may send, and
 * what needed the catalog was checked when it was made, so the columns of a replication stream are enough. A text that
 * does not parse was not made by this version, or the columns changed: throws a plain Error.
 */
export function parseStoredWhere(
  sql: string,
  columns: readonly ClauseColumn[],
  types: readonly TypeFact[] = [],
): WhereClause {
  try {
    return bind(sql, { params: new Map(), columns: withFacts(columns, types), table: undefined, stored: true });
  } catch (error) {
    if (error instanceof ClauseRefusal)
      throw new Error(`stored where clause: ${locate(error, sql, WRAPPER)}`, { cause: error });
    throw error;
  }
}

/** The clause that holds where both hold, for a table with these columns. It is as if somebody had written both, with AND. */
export function bothClauses(a: WhereClause, b: WhereClause, columns: readonly ClauseColumn[]): WhereClause {
  return parseStoredWhere(`(${a.sql}) AND (${b.sql})`, columns);
}

/**
 * Compiles a clause for rows with these columns. The function gives TRUE, FALSE or NULL as Postgres would in a SELECT list,
 * and throws ClauseEvaluationError where Postgres raises an error or the row cannot be read. Throws a plain Error when a
 * column the clause refers to is missing or has another type. With `code` as the index evaluates what it evaluates often:
 * slower to make, faster to run.
 */
export function compileClause(
  clause: WhereClause,
  columns: readonly ClauseColumn[],
  { code = false }: { readonly code?: boolean } = {},
): (row: Tuple) => boolean | null {
  return compileTree(clause, clause.tree, columns, code);
}

/** As compileClause, but TRUE for the rows that Postgres takes when the clause is a WHERE; other values say no more. */
export function compileCondition(
  clause: WhereClause,
  columns: readonly ClauseColumn[],
): (row: Tuple) => boolean | null {
  return compileTree(clause, clause.condition, columns, false);
}

function compileTree(
  clause: WhereClause,
  tree: Node,
  columns: readonly ClauseColumn[],
  code: boolean,
): (row: Tuple) => boolean | null {
  const ordinals = new Ordinals(columns);
  ordinals.check(clause);
  const { ordinalOf } = ordinals;
  const test = (code ? generateTest(tree, ordinalOf, { columns: [] }) : undefined) ?? compileTest(tree, ordinalOf);
  const values = new RowValues();
  return (row) => {
    values.load(row);
    return test(values, 0);
  };
}

function bind(text: string, options: BindOptions): WhereClause {
  const tree = bindClause(parseClause(text, options.stored ? STORED_LIMITS : CLIENT_LIMITS), options);
  // Before anything walks the tree: parts of it are shared, and a walk sees each of them wherever it stands.
  if (sizeOf(tree) > MAX_TREE_NODES) throw new ClauseRefusal('the clause is too large when written out');
  const folded = foldConstants(tree);
  return {
    sql: toSql(tree),
    types: typeFacts(tree, options.columns),
    columns: columnsOf(tree),
    tree: folded,
    condition: asQualification(folded),
  };
}

/** Enums anywhere in the clause, and the domains of its columns. */
function typeFacts(tree: Node, columns: readonly ClauseColumn[]): TypeFact[] {
  const named = new Set<string>();
  const enums = new Set<string>();
  const ordered = new Set<string>();
  visit(tree, (node) => {
    if (node.kind === 'column') named.add(node.name);
    for (const type of [valueTypeOf(node), valueTypeOf(node)?.element]) {
      if (type?.category === 'E') enums.add(type.sql);
    }
    for (const type of orderedTypes(node)) if (type.category === 'E') ordered.add(type.sql);
  });
  const sqlOf = ({ typeSchema, typeName }: ClauseColumn): string =>
    `${quoteName(typeSchema ?? '')}.${quoteName(typeName ?? '')}`;
  const used = columns.filter(
    (column) => named.has(column.name) || (column.typeKind === 'e' && enums.has(sqlOf(column))),
  );
  return factsOf(used, (column) => ordered.has(sqlOf(column)));
}

/** Types whose order, not just equality, decides about a node. */
function orderedTypes(node: Node): readonly Type[] {
  const withElement = (type: Type): readonly Type[] => (type.element === undefined ? [type] : [type, type.element]);
  switch (node.kind) {
    case 'compare':
      return node.op === '=' || node.op === '<>' ? [] : withElement(node.by);
    case 'rowCompare':
      return node.pairs.flatMap((pair) => withElement(pair.by));
    case 'greatest':
    case 'least':
      return withElement(node.type);
    // What is no label is an error there.
    case 'cast':
      return withElement(node.to);
    default:
      return [];
  }
}

/** Nodes of the tree, those that stand in several places counted in each. */
function sizeOf(tree: Node): number {
  const sizes = new Map<Node, number>();
  const measure = (node: Node): number => {
    const known = sizes.get(node);
    if (known !== undefined) return known;
    let size = 1;
    mapChildren(node, (child) => {
      size += measure(child);
      return child;
    });
    sizes.set(node, size);
    return size;
  };
  return measure(tree);
}

function numberParams(params: Readonly<Record<string, string>>): ReadonlyMap<number, string> {
  const numbered = new Map<number, string>();
  for (const [key, value] of Object.entries(params)) {
    if (!/^[+-]?\d{1,9}$/.test(key)) throw paramsRefusal('Parameters can only use numbers as keys');
    if (!value.isWellFormed() || value.includes('\0')) throw paramsRefusal('Parameters must be valid UTF-8 text');
    numbered.set(Number(key), value);
  }
  for (let i = 1; i <= numbered.size; i++) {
    if (!numbered.has(i)) throw paramsRefusal('Parameters must be numbered sequentially, starting from 1');
  }
  return numbered;
}

function paramsRefusal(reason: string): ClauseRefusal {
  return new ClauseRefusal(reason, undefined, 'semantic', 'params');
}
