import { castFrom } from '../functions/casts.ts';
import type { ClauseColumn } from '../column.ts';
import { ClauseEvaluationError, ClauseRefusal } from '../errors.ts';
import type { OperandType } from './operators.ts';
import type { ConstNode, Node } from '../tree.ts';
import { fitsInteger } from '../types/numbers.ts';
import { formatValue, scalarType, tryParse, type TypeName } from '../types/scalar-type.ts';
import type { Value } from '../types/value.ts';

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

export function constant(type: TypeName, value: Value | null, text: string): ConstNode {
  return { kind: 'const', type, value, text };
}

/** `unknown`, a type, or undefined for an opaque column. */
export function operandType(bound: Bound): OperandType | undefined {
  const { node } = bound;
  switch (node.kind) {
    case 'unknown':
      return 'unknown';
    case 'const':
    case 'column':
      return node.type;
    case 'cast':
      return node.to;
    default:
      return 'bool';
  }
}

/**
 * Converts an operand as Postgres does by itself. The caller has made sure that the implicit cast exists. Literals are
 * read now, constants are converted now. Throws ClauseRefusal.
 */
export function coerce(bound: Bound, to: TypeName, fix: FixParameter): Node {
  const { node, at } = bound;
  if (node.kind === 'unknown') {
    const literal = readLiteral(node, to, at, (text) => `invalid syntax for type ${to}: ${text}`);
    if (node.param !== undefined) fix(node.param, literal);
    return literal;
  }
  const from = operandType(bound) as TypeName;
  if (from === to) return node;
  if (node.kind === 'const') return convertConstant(node, to, at);
  return { kind: 'cast', to, modifiers: [], implicit: true, arg: node };
}

/** Reads an untyped literal as a type. Throws ClauseRefusal with `reason` when the input function does not take it. */
export function readLiteral(
  literal: UnknownLiteral,
  to: TypeName,
  at: number,
  reason: (text: string) => string,
): ConstNode {
  if (literal.text === null) return constant(to, null, '');
  const parsed = tryParse(scalarType(to), literal.text);
  if (parsed === undefined) throw new ClauseRefusal(reason(literal.text), at);
  return constant(to, parsed.value, parsed.text);
}

/** Casts a constant now. Throws ClauseRefusal located at `at` where Postgres's own folding would fail. */
export function convertConstant(node: ConstNode, to: TypeName, at: number): ConstNode {
  if (node.value === null) return constant(to, null, '');
  const cast = castFrom(node.type, to);
  if (cast === undefined) throw new Error(`no cast from ${node.type} to ${to}`);
  try {
    const value = cast.convert(node.value);
    return constant(to, value, formatValue(scalarType(to), value));
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
  if (node.kind !== 'const' || other.kind !== 'column' || other.type === undefined) return node;
  if (!isInteger(node.type) || !isInteger(other.type) || node.value === null) return node;
  if (!fitsInteger(other.type, node.value as number | bigint)) return node;
  return constant(other.type, node.value, node.text);
}

function isInteger(type: TypeName): type is 'int2' | 'int4' | 'int8' {
  return type === 'int2' || type === 'int4' || type === 'int8';
}
