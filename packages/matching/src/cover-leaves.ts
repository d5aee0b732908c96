import { keyColumn, valueTypeOf, type CompareOp, type ConstNode, type Node, type Type } from '@shapecast/where';
import type { Atom, Source } from './atom.ts';
import { NEVER, single, type Cover, type PlanContext } from './cover-set.ts';
import { hasSlot } from './template-text.ts';

/** Covers of predicates that say something of one operand and constants. */

export function comparison(
  op: CompareOp,
  node: Extract<Node, { kind: 'compare' }>,
  context: PlanContext,
): Cover | undefined {
  const source = sourceOf(node.right);
  if (source === undefined) return undefined;
  if (isNullConstant(node.right)) return NEVER;
  const { left, by } = node;
  if (hasSlot(left)) return undefined;
  if (op === '=') return single(equality(left, by, source, 1, context));
  if (op === '<>') return single(complement(left, by, source, 1, false, context));
  if (!isOrdered(by)) return undefined;
  const exact = isExactOrder(by, source, context);
  const fraction = context.fractions.range(1);
  return single({ kind: 'range', node: left, by, bounds: [{ op, source }], exact, fraction, entries: 1 });
}

export function notDistinct(node: Extract<Node, { kind: 'distinct' }>, context: PlanContext): Cover | undefined {
  const source = sourceOf(node.right);
  if (source === undefined || hasSlot(node.left)) return undefined;
  if (isNullConstant(node.right)) return nullTest(node.left, false, context);
  return single(equality(node.left, node.by, source, 1, context));
}

export function distinct(node: Extract<Node, { kind: 'distinct' }>, context: PlanContext): Cover | undefined {
  const source = sourceOf(node.right);
  if (source === undefined || hasSlot(node.left)) return undefined;
  if (isNullConstant(node.right)) return nullTest(node.left, true, context);
  return single(complement(node.left, node.by, source, 1, true, context));
}

export function inList(node: Extract<Node, { kind: 'in' }>, context: PlanContext): Cover | undefined {
  const items = listOf(node.items, context);
  if (items === undefined || hasSlot(node.arg)) return undefined;
  return single(equality(node.arg, node.by, items.source, items.size, context));
}

export function outsideList(node: Extract<Node, { kind: 'in' }>, context: PlanContext): Cover | undefined {
  const items = listOf(node.items, context);
  if (items === undefined || hasSlot(node.arg)) return undefined;
  // NOT IN a list with NULL is FALSE or NULL.
  if (items.hasNull) return NEVER;
  return single(complement(node.arg, node.by, items.source, items.size, false, context));
}

function equality(node: Node, by: Type, source: Source, entries: number, context: PlanContext): Atom {
  const fraction = Math.min(1, entries * context.fractions.equality(columnName(node), by.name));
  return { kind: 'equality', node, by, source, exact: isExactKey(source, context), fraction, entries };
}

function complement(
  node: Node,
  by: Type,
  source: Source,
  entries: number,
  nullHits: boolean,
  context: PlanContext,
): Atom {
  const fraction = context.fractions.complement();
  const all = { fraction, entries: entries + 1 };
  return {
    kind: 'complement',
    node,
    by,
    source,
    nullHits,
    variant: 0,
    exact: isExactKey(source, context),
    ...all,
  };
}

export function nullTest(node: Node, negated: boolean, context: PlanContext): Cover | undefined {
  if (hasSlot(node)) return undefined;
  const column = columnName(node);
  const fraction = negated ? context.fractions.isNotNull(column) : context.fractions.isNull(column);
  return single({ kind: 'null', node, negated, exact: true, fraction, entries: 1 });
}

/** A boolean expression is itself a value to look up. */
export function booleanValue(node: Node, value: boolean, context: PlanContext): Cover | undefined {
  const type = valueTypeOf(node);
  if (type?.name !== 'bool' || hasSlot(node)) return undefined;
  const constant: ConstNode = { kind: 'const', type, value, text: value ? 't' : 'f' };
  return single(equality(node, type, { constant }, 1, context));
}

/** Types whose order indexes can reproduce, as numbers or as text by code points. */
const NUMERIC = ['int2', 'int4', 'int8', 'float4', 'float8', 'numeric', 'date', 'time', 'timestamp', 'timestamptz'];
const TEXTUAL = ['text', 'varchar', 'name', 'bpchar', 'uuid', 'bytea'];

function isOrdered(type: Type): boolean {
  return NUMERIC.includes(type.name) || TEXTUAL.includes(type.name);
}

/** Whether comparing float64 keys says what comparing the values says. */
function isExactOrder(by: Type, source: Source, context: PlanContext): boolean {
  if (TEXTUAL.includes(by.name)) return true;
  if (by.name === 'numeric') return false;
  return isExactKey(source, context);
}

/**
 * Integers beyond 2^53 are rounded when they become keys. A constant below cannot be confused: what rounds to it is it.
 * Constants above are a template of their own.
 */
function isExactKey(source: Source, context: PlanContext): boolean {
  if ('constant' in source) return typeof source.constant.value !== 'bigint';
  const constant = context.constants[source.slot];
  if (constant?.role === 'list') return !constant.items.some((item) => typeof item.value === 'bigint');
  return constant?.role !== 'value' || typeof constant.value !== 'bigint';
}

function sourceOf(node: Node): Source | undefined {
  if (node.kind === 'slot') return { slot: node.index };
  return node.kind === 'const' ? { constant: node } : undefined;
}

function listOf(
  items: Extract<Node, { kind: 'in' }>['items'],
  context: PlanContext,
): { source: Source; size: number; hasNull: boolean } | undefined {
  if (!('kind' in items)) return undefined;
  const constant = context.constants[items.index];
  if (constant?.role !== 'list') return undefined;
  return { source: { slot: items.index }, size: constant.items.length, hasNull: constant.hasNull };
}

export function hasNull(items: Extract<Node, { kind: 'in' }>['items'], context: PlanContext): boolean {
  return listOf(items, context)?.hasNull ?? true;
}

export function isConstant(node: Node): boolean {
  return node.kind === 'const' || node.kind === 'slot';
}

export function isNullConstant(node: Node): boolean {
  return node.kind === 'const' && node.value === null;
}

function columnName(node: Node): string | undefined {
  return node.kind === 'column' ? node.name : keyColumn(node)?.name;
}
