import { cellKey, constantComparison, keyedColumn, type AccessKey, type KeyedColumn } from './access.ts';
import { castFrom, lengthModifier, widenForComparison, type Convert } from '../functions/casts.ts';
import { ClauseEvaluationError, InputError } from '../errors.ts';
import { compileLike } from '../functions/like.ts';
import type { RowValues } from './row-values.ts';
import {
  typeOfNode,
  type CastNode,
  type ColumnNode,
  type CompareNode,
  type CompareOp,
  type DistinctNode,
  type InNode,
  type LikeNode,
  type Node,
} from '../tree.ts';
import { scalarType, type TypeName } from '../types/scalar-type.ts';
import type { Value } from '../types/value.ts';

/** Value of an expression on a row; null is SQL NULL. Throws ClauseEvaluationError. */
type Evaluate = (row: RowValues) => Value | null;
/** Truth of a predicate on a row; null is UNKNOWN. Throws ClauseEvaluationError. */
export type Test = (row: RowValues) => boolean | null;

/** Ordinal of a column in the rows that will be evaluated. */
export type OrdinalOf = (column: string) => number;

/** Compiles a predicate to closures. Three-valued; AND and OR stop at the first operand that decides (spec W 4). */
export function compileTest(node: Node, ordinalOf: OrdinalOf): Test {
  switch (node.kind) {
    case 'compare':
      return compileCompare(node, ordinalOf);
    case 'in':
      return compileIn(node, ordinalOf);
    case 'like':
      return compileLikeNode(node, ordinalOf);
    case 'and':
      return compileAnd(node.args.map((arg) => compileTest(arg, ordinalOf)));
    case 'or':
      return compileOr(node.args.map((arg) => compileTest(arg, ordinalOf)));
    case 'not': {
      const arg = compileTest(node.arg, ordinalOf);
      return (row) => negate(arg(row));
    }
    case 'isNull':
      return compileNullTest(node.arg, node.negated, ordinalOf);
    case 'isTruth': {
      const arg = compileTest(node.arg, ordinalOf);
      const wanted = node.truth === 'UNKNOWN' ? null : node.truth === 'TRUE';
      const { negated } = node;
      return (row) => (arg(row) === wanted) !== negated;
    }
    case 'distinct':
      return compileDistinct(node, ordinalOf);
    case 'const':
    case 'column':
    case 'cast':
      return compileValue(node, ordinalOf) as Test;
  }
}

function compileValue(node: Node, ordinalOf: OrdinalOf): Evaluate {
  switch (node.kind) {
    case 'const': {
      const { value } = node;
      return () => value;
    }
    case 'column': {
      const ordinal = ordinalOf(node.name);
      return (row) => row.value(ordinal);
    }
    case 'cast':
      return compileCast(node, ordinalOf);
    default:
      return compileTest(node, ordinalOf);
  }
}

function compileAnd(args: readonly Test[]): Test {
  const [first, second] = args;
  if (args.length === 2 && first !== undefined && second !== undefined) {
    return (row) => {
      const left = first(row);
      if (left === false) return false;
      const right = second(row);
      return right === false ? false : left === null ? null : right;
    };
  }
  return (row) => {
    let result: boolean | null = true;
    for (const arg of args) {
      const value = arg(row);
      if (value === false) return false;
      if (value === null) result = null;
    }
    return result;
  };
}

function compileOr(args: readonly Test[]): Test {
  return (row) => {
    let result: boolean | null = false;
    for (const arg of args) {
      const value = arg(row);
      if (value === true) return true;
      if (value === null) result = null;
    }
    return result;
  };
}

function compileCompare(node: CompareNode, ordinalOf: OrdinalOf): Test {
  if (node.op === '=' || node.op === '<>') {
    const keyed = constantComparison(node);
    if (keyed !== undefined) return compileKeyed(keyed.keyed, keyed.constant.value, node.op === '=', ordinalOf, keyed);
  }
  const left = compileOperand(node.left, node.by, ordinalOf);
  const right = compileOperand(node.right, node.by, ordinalOf);
  const holds = comparison(node.by, node.op);
  return (row) => {
    // Strict operators see NULLs only after all operands are evaluated: an error on the right beats a NULL on the left.
    const a = left(row);
    const b = right(row);
    return a === null || b === null ? null : holds(a, b);
  };
}

/** Equality with a constant without decoding the cell. */
function compileKeyed(
  keyed: KeyedColumn,
  value: Value | null,
  wanted: boolean,
  ordinalOf: OrdinalOf,
  source: { readonly constant: Parameters<KeyedColumn['keyOf']>[0] },
): Test {
  if (value === null) return () => null;
  const ordinal = ordinalOf(keyed.column.name);
  const key = keyed.keyOf(source.constant);
  const read = keyReader(keyed.column);
  if (read === undefined) {
    return (row) => {
      const cell = row.cell(ordinal);
      return cell === null ? null : (cell === key) === wanted;
    };
  }
  return (row) => {
    const cell = row.cell(ordinal);
    return cell === null ? null : sameKey(read(cell), key) === wanted;
  };
}

function compileIn(node: InNode, ordinalOf: OrdinalOf): Test {
  const whenFound = !node.negated;
  const constants = node.items.filter((item) => item.value !== null);
  const hasNull = constants.length < node.items.length;
  const whenMissing = hasNull ? null : node.negated;
  const keyed = keyedColumn(node.arg, node.by);
  if (keyed !== undefined) {
    const ordinal = ordinalOf(keyed.column.name);
    const keys = new Set(constants.map(keyed.keyOf));
    const read = keyReader(keyed.column) ?? ((text: string): AccessKey => text);
    return (row) => {
      const cell = row.cell(ordinal);
      if (cell === null) return null;
      return keys.has(read(cell)) ? whenFound : whenMissing;
    };
  }
  const arg = compileOperand(node.arg, node.by, ordinalOf);
  const items = constants.map((item) => operandValue(item.type, node.by, item.value as Value));
  const equal = comparison(node.by, '=');
  return (row) => {
    const value = arg(row);
    if (value === null) return null;
    for (const item of items) if (equal(value, item)) return whenFound;
    return whenMissing;
  };
}

function compileDistinct(node: DistinctNode, ordinalOf: OrdinalOf): Test {
  const left = compileOperand(node.left, node.by, ordinalOf);
  const right = compileOperand(node.right, node.by, ordinalOf);
  const equal = comparison(node.by, '=');
  const { negated } = node;
  return (row) => {
    const a = left(row);
    const b = right(row);
    const same = a === null || b === null ? a === b : equal(a, b);
    return same === negated;
  };
}

function compileLikeNode(node: LikeNode, ordinalOf: OrdinalOf): Test {
  const { escape, fold, negated, pattern } = node;
  const arg = compileValue(node.arg, ordinalOf);
  if (pattern.kind === 'const') {
    if (pattern.value === null) return () => null;
    const matches = compileLike(pattern.value as string, escape, fold);
    return (row) => {
      const text = arg(row);
      return text === null ? null : matches(text as string) !== negated;
    };
  }
  const patternOf = compileValue(pattern, ordinalOf);
  return (row) => {
    const text = arg(row);
    const value = patternOf(row);
    if (text === null || value === null) return null;
    return compileLike(value as string, escape, fold)(text as string) !== negated;
  };
}

/** Opaque columns have no value to read, but they are NULL or not. */
function compileNullTest(arg: Node, negated: boolean, ordinalOf: OrdinalOf): Test {
  if (arg.kind === 'column') {
    const ordinal = ordinalOf(arg.name);
    return (row) => (row.cell(ordinal) === null) !== negated;
  }
  const value = compileValue(arg, ordinalOf);
  return (row) => (value(row) === null) !== negated;
}

function compileCast(node: CastNode, ordinalOf: OrdinalOf): Evaluate {
  const modify = node.modifiers.length === 0 ? undefined : lengthModifier(node.to, node.modifiers);
  const value = compileUnmodifiedCast(node, ordinalOf);
  if (modify === undefined) return value;
  return (row) => {
    const result = value(row);
    return result === null ? null : modify(result);
  };
}

function compileUnmodifiedCast(node: CastNode, ordinalOf: OrdinalOf): Evaluate {
  const { arg, to } = node;
  const from = typeOfNode(arg);
  if (from === to) return compileValue(arg, ordinalOf);
  const cast = from === undefined ? undefined : castFrom(from, to);
  if (cast === undefined) return compileTextOutput(arg, ordinalOf);
  const value = compileValue(arg, ordinalOf);
  return cast.transparent ? value : converting(value, cast.convert);
}

/** A column's cast to text is its wire text; a boolean's is spelled out (spec W 2.3). */
function compileTextOutput(arg: Node, ordinalOf: OrdinalOf): Evaluate {
  if (arg.kind !== 'column') throw new Error('only columns are cast to text by their output');
  const ordinal = ordinalOf(arg.name);
  if (arg.type === 'bool') return converting((row) => row.value(ordinal), String);
  return (row) => row.cell(ordinal);
}

function compileOperand(node: Node, by: TypeName, ordinalOf: OrdinalOf): Evaluate {
  const from = typeOfNode(node) as TypeName;
  if (node.kind === 'const') {
    const value = node.value === null ? null : operandValue(from, by, node.value);
    return () => value;
  }
  const widen = widenForComparison(from, by);
  const value = compileValue(node, ordinalOf);
  return widen === undefined ? value : converting(value, widen);
}

function operandValue(from: TypeName, by: TypeName, value: Value): Value {
  return widenForComparison(from, by)?.(value) ?? value;
}

function converting(value: Evaluate, convert: Convert): Evaluate {
  return (row) => {
    const result = value(row);
    return result === null ? null : convert(result);
  };
}

function comparison(by: TypeName, op: CompareOp): (a: Value, b: Value) => boolean {
  const { compare } = scalarType(by);
  switch (op) {
    case '=':
      return (a, b) => compare(a, b) === 0;
    case '<>':
      return (a, b) => compare(a, b) !== 0;
    case '<':
      return (a, b) => compare(a, b) < 0;
    case '<=':
      return (a, b) => compare(a, b) <= 0;
    case '>':
      return (a, b) => compare(a, b) > 0;
    case '>=':
      return (a, b) => compare(a, b) >= 0;
  }
}

function keyReader(column: ColumnNode): ((text: string) => AccessKey) | undefined {
  const key = cellKey(column.type === undefined ? undefined : scalarType(column.type));
  if (key === undefined) return undefined;
  return (text) => {
    try {
      return key(text);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      throw new ClauseEvaluationError('undecided', `a value of type ${column.type ?? 'unknown'} cannot be read`);
    }
  };
}

/** As a Map compares keys: NaN is itself, -0 is 0. */
function sameKey(a: AccessKey, b: AccessKey): boolean {
  return a === b || (a !== a && b !== b);
}

function negate(value: boolean | null): boolean | null {
  return value === null ? null : !value;
}
