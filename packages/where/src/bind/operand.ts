import type { ClauseColumn } from '../column.ts';
import { ClauseEvaluationError, ClauseRefusal, InputError } from '../errors.ts';
import { castPath, modifierOf } from '../functions/cast-paths.ts';
import { valueTypeOf, type ConstNode, type Node } from '../tree.ts';
import { fitsInteger } from '../types/numbers.ts';
import { type as typeNamed } from '../types/types.ts';
import type { Type } from '../types/type.ts';
import type { Value } from '../types/value.ts';
import type { OperandType } from './resolve.ts';

export const BOOL = typeNamed('bool');
export const TEXT = typeNamed('text');
export const INT4 = typeNamed('int4');

/** A literal without a type of its own: a quoted string, NULL, or a parameter at its first occurrence. */
export interface UnknownLiteral {
  readonly kind: 'unknown';
  readonly text: string | null;
  readonly param: number | undefined;
}

/** An operand on its way to a typed node. `at` locates it for messages. */
export interface Bound {
  readonly node: Node | UnknownLiteral;
  readonly at: number;
  /** Columns whose collation the operand takes; `C` when it says so itself. */
  readonly collations: readonly ClauseColumn[] | 'C';
}

/** Called when a parameter's first use fixes its type. */
export type FixParameter = (param: number, value: ConstNode) => void;

export function constant(type: Type, value: Value | null, text: string): ConstNode {
  return { kind: 'const', type, value, text };
}

/** Type of a node's value. */
export function typeOfNode(node: Node): Type {
  return valueTypeOf(node) ?? BOOL;
}

export function operandType(bound: Bound): OperandType {
  return bound.node.kind === 'unknown' ? 'unknown' : typeOfNode(bound.node);
}

/**
 * Converts an operand as Postgres does by itself. The caller has made sure that the implicit cast exists. Literals are
 * read now, constants are converted now. Throws ClauseRefusal.
 */
export function coerce(bound: Bound, to: Type, fix: FixParameter): Node {
  const { node, at } = bound;
  if (node.kind === 'unknown') {
    const literal = readLiteral(node, to, at, (text) => `invalid syntax for type ${to.name}: ${text}`);
    if (node.param !== undefined) fix(node.param, literal);
    return literal;
  }
  if (typeOfNode(node) === to) return node;
  if (node.kind === 'const') return convertConstant(node, to, at);
  return { kind: 'cast', to, modifiers: [], implicit: true, arg: node, at };
}

/** Reads an untyped literal as a type. Throws ClauseRefusal with `reason` when the input function does not take it. */
export function readLiteral(
  literal: UnknownLiteral,
  to: Type,
  at: number,
  reason: (text: string) => string,
): ConstNode {
  if (literal.text === null) return constant(to, null, '');
  try {
    const { value, text } = to.parse(literal.text);
    return constant(to, value, text);
  } catch (error) {
    if (error instanceof InputError) throw new ClauseRefusal(reason(literal.text), at);
    throw error;
  }
}

/** Casts a constant now. Throws ClauseRefusal located at `at` where Postgres's own folding would fail. */
export function convertConstant(node: ConstNode, to: Type, at: number): ConstNode {
  if (node.value === null) return constant(to, null, '');
  const path = castPath(node.type, to);
  if (path === undefined) throw new Error(`no cast from ${node.type.name} to ${to.name}`);
  return convertedConstant(to, at, () => (path.convert === undefined ? node.value : path.convert(node.value as Value)));
}

/** Applies `varchar(n)` and its like to a constant. */
export function modifyConstant(node: ConstNode, modifiers: readonly number[], at: number): ConstNode {
  const modify = modifierOf(node.type, modifiers);
  if (node.value === null || modify === undefined) return node;
  return convertedConstant(node.type, at, () => modify(node.value as Value));
}

function convertedConstant(to: Type, at: number, convert: () => Value | null): ConstNode {
  try {
    const value = convert();
    return constant(to, value, value === null ? '' : to.format(value));
  } catch (error) {
    if (!(error instanceof ClauseEvaluationError)) throw error;
    throw new ClauseRefusal('Failed to apply function to constant arguments', at);
  }
}

/**
 * The same comparison with the integer constant in the other operand's type when it fits: `i8 = 1` and `i8 = '1'` mean
 * the same for every row and become the same shape.
 */
export function alignInteger(node: Node, other: Node): Node {
  if (node.kind !== 'const' || other.kind !== 'column' || node.value === null) return node;
  const to = other.type.name;
  if (!isInteger(node.type.name) || !isInteger(to) || !fitsInteger(to, node.value as number | bigint)) return node;
  return constant(other.type, node.value, node.text);
}

function isInteger(name: string): name is 'int2' | 'int4' | 'int8' {
  return name === 'int2' || name === 'int4' || name === 'int8';
}

/** The collation of a value made from these operands. */
export function joinCollations(operands: readonly Bound[]): readonly ClauseColumn[] | 'C' {
  const columns: ClauseColumn[] = [];
  for (const { collations } of operands) {
    if (collations === 'C') return 'C';
    columns.push(...collations);
  }
  return columns;
}
