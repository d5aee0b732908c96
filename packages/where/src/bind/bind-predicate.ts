import { operatorsNamed } from '../catalogue/catalogue.ts';
import { ClauseEvaluationError, ClauseRefusal, InputError } from '../errors.ts';
import { foldConstants } from '../evaluate/fold.ts';
import { compileLike } from '../functions/like.ts';
import { compileSimilar } from '../functions/similar.ts';
import type { Syntax } from '../syntax/syntax.ts';
import {
  columnsOf,
  connect,
  type CompareNode,
  type CompareOp,
  type ConstNode,
  type LikeNode,
  type Node,
} from '../tree.ts';
import { type as typeNamed } from '../types/types.ts';
import type { Type } from '../types/type.ts';
import { checkEquality, checkOrder, foldOf } from './collation.ts';
import { again, type BindContext } from './context.ts';
import { alignInteger, BOOL, coerce, constant, convertConstant, operandType, TEXT, type Bound } from './operand.ts';
import { commonType, resolveOperator } from './resolve.ts';

/** The refusal of an operator without a candidate for these operands. */
export function noOverload(operands: readonly Bound[], at: number): ClauseRefusal {
  for (const { node } of operands) {
    if (node.kind !== 'column' || node.type.compare !== undefined || node.type.category === 'A') continue;
    const what = `column "${node.name}" has type ${node.type.name}, whose values cannot be compared here`;
    return new ClauseRefusal(`${what}; only IS NULL and IS NOT NULL are supported`, at);
  }
  return new ClauseRefusal('Could not select an operator overload', at);
}

const COMPARE_OPS: ReadonlySet<string> = new Set(['=', '<>', '<', '<=', '>', '>=']);

export function isCompareOp(op: string): op is CompareOp {
  return COMPARE_OPS.has(op);
}

/** Pattern operators: whether case is ignored and whether a match is wanted. */
export const LIKE_OPS: ReadonlyMap<string, { readonly insensitive: boolean; readonly negated: boolean }> = new Map([
  ['~~', { insensitive: false, negated: false }],
  ['!~~', { insensitive: false, negated: true }],
  ['~~*', { insensitive: true, negated: false }],
  ['!~~*', { insensitive: true, negated: true }],
]);

/** `left op right` for two values. */
export function bindCompare(context: BindContext, op: CompareOp, left: Bound, right: Bound, at: number): CompareNode {
  const compare = bindExactly(context, op, left, right, at);
  const { left: a, right: b } = compare;
  return { ...compare, left: alignInteger(a, b), right: alignInteger(b, a) };
}

/** As bindCompare, with constants in the types they have. */
export function bindExactly(context: BindContext, op: CompareOp, left: Bound, right: Bound, at: number): CompareNode {
  const resolved = resolveOperator(operatorsNamed(op, 2), [operandType(left), operandType(right)]);
  const [first, second] = resolved?.params ?? [];
  if (first === undefined || second === undefined) throw noOverload([left, right], at);
  const by = comparedBy(first, second);
  if (by.compare === undefined) throw noOverload([left, right], at);
  if (op === '=' || op === '<>') checkEquality(by, [left, right], at);
  else checkOrder(context, by, [left, right], at);
  const ownCollation = context.postgresOnly && ![left, right].some(({ collations }) => collations === 'C');
  return {
    kind: 'compare',
    op,
    by,
    left: coerce(left, first, context.fix),
    right: coerce(right, second, context.fix),
    ...(ownCollation ? { ownCollation } : undefined),
  };
}

/** Operators of two types compare by the wider one. */
function comparedBy(left: Type, right: Type): Type {
  if (left === right) return left;
  const wider = ['timestamptz', 'timestamp', 'float8', 'int8', 'int4', 'text'];
  return typeNamed(wider.find((name) => name === left.name || name === right.name) as string);
}

export function bindDistinct(context: BindContext, left: Bound, right: Bound, negated: boolean, at: number): Node {
  const compare = bindCompare(context, '=', left, right, at);
  return { kind: 'distinct', by: compare.by, left: compare.left, right: compare.right, negated };
}

export function bindTruth(context: BindContext, syntax: Extract<Syntax, { kind: 'isTruth' }>): Node {
  const bound = context.operand(syntax.arg);
  const type = operandType(bound);
  if (type !== BOOL && type !== 'unknown') {
    const test = `IS ${syntax.negated ? 'NOT ' : ''}${syntax.truth}`;
    throw new ClauseRefusal(`argument of ${test} must be bool, not ${type.name}`, syntax.at);
  }
  const arg = coerce(bound, BOOL, context.fix);
  return { kind: 'isTruth', truth: syntax.truth, arg, negated: syntax.negated };
}

/** As Postgres rewrites it: `x >= low AND x <= high`, and `x < low OR x > high` for NOT. */
export function bindBetween(context: BindContext, syntax: Extract<Syntax, { kind: 'between' }>): Node {
  const { negated, symmetric, at } = syntax;
  const arg = context.operand(syntax.arg);
  const compare = (op: CompareOp, bound: Syntax): Node =>
    bindCompare(context, op, again(context, arg, syntax.arg), context.operand(bound), at);
  const range = (low: Syntax, high: Syntax): Node => {
    const first = compare(negated ? '<' : '>=', low);
    return connect(negated ? 'or' : 'and', [first, compare(negated ? '>' : '<=', high)]);
  };
  const straight = range(syntax.low, syntax.high);
  if (!symmetric) return straight;
  return connect(negated ? 'and' : 'or', [straight, range(syntax.high, syntax.low)]);
}

/**
 * Two or more items without columns become one list of their common type, each of the others an `=` of its own: so does
 * Postgres, and `f4 IN (0.1, 0.2)` compares as float4 where `f4 = 0.1` compares as float8.
 */
export function bindIn(context: BindContext, syntax: Extract<Syntax, { kind: 'in' }>): Node {
  const { negated, at } = syntax;
  const arg = context.operand(syntax.arg);
  const items = syntax.items.map((item) => context.operand(item));
  const plain = items.filter((item) => item.node.kind === 'unknown' || constantOf(item) !== undefined);
  const common = plain.length > 1 ? commonType([operandType(arg), ...plain.map(operandType)]) : undefined;
  const type = common !== undefined && 'type' in common ? common.type : undefined;
  const listed = type !== undefined && type.category !== 'A' && type.compare !== undefined;
  const list = listed ? [bindList(context, arg, plain, type, negated, at)] : [];
  const others = listed ? items.filter((other) => !plain.includes(other)) : items;
  const compared = others.map((item) =>
    bindCompare(context, negated ? '<>' : '=', again(context, arg, syntax.arg), item, at),
  );
  // Postgres makes the list before it compares anything: an item without columns that is an error is one for every row.
  const failing = compared.filter((_, i) => listed && hasNoColumn(others[i] as Bound));
  const parts = [...failing, ...list, ...compared.filter((part) => !failing.includes(part))];
  return connect(negated ? 'and' : 'or', parts);
}

function hasNoColumn({ node }: Bound): boolean {
  return node.kind !== 'unknown' && columnsOf(node).length === 0;
}

/** The operand's value when it has no column in it. */
function constantOf(bound: Bound): ConstNode | undefined {
  if (bound.node.kind === 'unknown') return undefined;
  if (bound.node.kind === 'const') return bound.node;
  if (bound.node.kind === 'column') return undefined;
  const folded = foldConstants(bound.node);
  return folded.kind === 'const' ? folded : undefined;
}

function bindList(
  context: BindContext,
  arg: Bound,
  items: readonly Bound[],
  type: Type,
  negated: boolean,
  at: number,
): Node {
  const resolved = resolveOperator(operatorsNamed('=', 2), [operandType(arg), type]);
  const [argType, itemType] = resolved?.params ?? [];
  if (argType === undefined || itemType === undefined) throw noOverload([arg], at);
  checkEquality(comparedBy(argType, itemType), [arg, ...items], at);
  const left = coerce(arg, argType, context.fix);
  const constants = items.map((item) => {
    const element = coerce({ ...item, node: constantOf(item) ?? item.node }, type, context.fix) as ConstNode;
    return coerce({ node: element, at: item.at, collations: [] }, itemType, context.fix) as ConstNode;
  });
  const aligned = constants.map((item) => alignInteger(item, left) as ConstNode);
  const by = comparedBy(argType, itemType);
  // What is compared with a constant reads back in the constant's type.
  const widened = left.kind === 'const' && by === argType && by !== itemType;
  if (widened) {
    const wide = constants.map((item) => convertConstant(item, by, at));
    return { kind: 'in', arg: left, by, items: wide, negated };
  }
  const fits = aligned.every((item, i) => item !== constants[i] || item.value === null);
  const list = fits ? aligned.map((item) => retypeNull(item, aligned)) : constants;
  return { kind: 'in', arg: left, by, items: list, negated };
}

/** NULL in a list takes the type of the others, so that the list reads back as it is. */
function retypeNull(item: ConstNode, items: readonly ConstNode[]): ConstNode {
  if (item.value !== null) return item;
  const typed = items.find((other) => other.value !== null);
  return typed === undefined ? item : { ...item, type: typed.type };
}

export interface LikeOperands {
  readonly arg: Bound;
  readonly pattern: Bound;
  readonly escape: Syntax | undefined;
  readonly insensitive: boolean;
  readonly negated: boolean;
}

export function bindLike(context: BindContext, operands: LikeOperands, at: number): Node {
  const { arg, pattern, insensitive, negated } = operands;
  const escape = operands.escape === undefined ? undefined : bindEscape(context, operands.escape, at);
  const resolved = resolveOperator(operatorsNamed('~~', 2), [operandType(arg), operandType(pattern)]);
  const [argType, patternType] = resolved?.params ?? [];
  if (argType === undefined || patternType !== TEXT) throw noOverload([arg, pattern], at);
  checkEquality(TEXT, [arg, pattern], at);
  const node: LikeNode = {
    kind: 'like',
    arg: coerce(arg, argType, context.fix),
    pattern: coerce(pattern, patternType, context.fix),
    escape,
    fold: insensitive ? foldOf(context, 'ILIKE', [arg, pattern], at) : undefined,
    negated,
  };
  return foldable(node, at);
}

/** `SIMILAR TO` a constant pattern; which regular expressions are known is up to `compileSimilar`. */
export function bindSimilar(context: BindContext, syntax: Extract<Syntax, { kind: 'similar' }>): Node {
  const { at, negated } = syntax;
  const arg = context.operand(syntax.arg);
  const pattern = context.operand(syntax.pattern);
  const escape = syntax.escape === undefined ? undefined : bindEscape(context, syntax.escape, at);
  const resolved = resolveOperator(operatorsNamed('~', 2), [operandType(arg), operandType(pattern)]);
  const [argType, patternType] = resolved?.params ?? [];
  if (argType === undefined || patternType !== TEXT) throw noOverload([arg, pattern], at);
  checkEquality(TEXT, [arg, pattern], at);
  const text = coerce(pattern, TEXT, context.fix);
  const unsupported = `unknown or unsupported function similar_to_escape/${syntax.escape === undefined ? 1 : 2}`;
  if (text.kind !== 'const') throw new ClauseRefusal(`${unsupported}: the pattern is not a constant`, at);
  if (text.value === null) return constant(BOOL, null, '');
  try {
    compileSimilar(text.value as string, escape);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new ClauseRefusal(`${unsupported}: ${error.message}`, at);
  }
  return { kind: 'similar', arg: coerce(arg, argType, context.fix), pattern: text.value as string, escape, negated };
}

/** The escape character; undefined for the backslash. NULL makes every match NULL, which nobody means. */
function bindEscape(context: BindContext, syntax: Syntax, at: number): string | undefined {
  const bound = context.operand(syntax);
  const type = operandType(bound);
  if (type === 'unknown' || type === TEXT) {
    const node = coerce(bound, TEXT, context.fix);
    if (node.kind === 'const' && typeof node.value === 'string') {
      if ([...node.value].length > 1) throw new ClauseRefusal('Failed to apply function to constant arguments', at);
      return node.value === '\\' ? undefined : node.value;
    }
  }
  throw new ClauseRefusal('unknown or unsupported function like_escape/2', at);
}

/** Postgres evaluates what has only constants at once; when that fails, so does the request (spec W 3). */
function foldable(node: LikeNode, at: number): Node {
  const { arg, pattern, escape, fold } = node;
  if (pattern.kind !== 'const' || pattern.value === null) return node;
  try {
    const matches = compileLike(pattern.value as string, escape, fold);
    if (arg.kind === 'const' && arg.value !== null) matches(arg.value as string);
  } catch (error) {
    if (!(error instanceof ClauseEvaluationError)) throw error;
    throw new ClauseRefusal('Failed to apply function to constant arguments', at);
  }
  return node;
}

/** Argument of a NULL test: any type will do. */
export function bindAnything(context: BindContext, syntax: Syntax): Node {
  const bound = context.operand(syntax);
  return bound.node.kind === 'unknown' ? coerce(bound, TEXT, context.fix) : bound.node;
}
