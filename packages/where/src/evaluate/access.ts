import { castFrom } from '../functions/casts.ts';
import type { ColumnNode, CompareNode, ConstNode, DistinctNode, Node } from '../tree.ts';
import { scalarType, type ScalarType, type TypeName } from '../types/scalar-type.ts';
import { formatNumeric, type Numeric } from '../types/decimal.ts';
import { stripTrailingBlanks } from '../types/text.ts';
import type { Value } from '../types/value.ts';

/** What two equal cells of a column have in common; a hash table key (spec W 9.5). */
export type AccessKey = string | number;

/** A column whose cells can be compared with constants by key, without decoding them. */
export interface KeyedColumn {
  readonly column: ColumnNode;
  /** Key of a non-NULL constant of the comparison's type. */
  readonly keyOf: (constant: ConstNode) => AccessKey;
}

/**
 * Key of wire text for a column's cells; undefined when the text itself is the key. Throws InputError for text that has
 * to be understood and is not.
 */
export function cellKey(type: ScalarType | undefined): ((text: string) => AccessKey) | undefined {
  return type?.key;
}

/** How `operand`, compared by the equality of `by`, finds constants in a hash table. Undefined when it cannot. */
export function keyedColumn(operand: Node, by: TypeName): KeyedColumn | undefined {
  const column = bareColumn(operand);
  if (column === undefined) return undefined;
  // The cast to text of an enum: its wire text is its text.
  if (column.type === undefined) {
    return by === 'text' ? { column, keyOf: (constant) => constant.value as string } : undefined;
  }
  const family = keyFamily(column.type, by);
  return family === undefined ? undefined : { column, keyOf: (constant) => family(constant.value as Value) };
}

/** The constant's side of a comparison `column = constant`, whichever way round it is written. */
export function constantComparison(
  node: CompareNode | DistinctNode,
): { keyed: KeyedColumn; constant: ConstNode } | undefined {
  const [operand, constant] = node.left.kind === 'const' ? [node.right, node.left] : [node.left, node.right];
  if (constant.kind !== 'const' || operand.kind === 'const') return undefined;
  const keyed = keyedColumn(operand, node.by);
  return keyed === undefined ? undefined : { keyed, constant };
}

/** The column under casts that keep every value apart from every other. */
function bareColumn(node: Node): ColumnNode | undefined {
  if (node.kind === 'column') return node.type === undefined ? undefined : node;
  if (node.kind !== 'cast' || node.modifiers.length > 0) return undefined;
  const { arg } = node;
  if (arg.kind === 'column' && arg.type === undefined) return arg;
  const column = bareColumn(arg);
  if (column === undefined) return undefined;
  const from = arg.kind === 'cast' ? arg.to : column.type;
  const cast = castFrom(from as TypeName, node.to);
  // Integers keep apart as numerics too, although int8 changes its representation.
  const integerToNumeric = node.to === 'numeric' && isIntegerColumn(column);
  return cast?.transparent === true || integerToNumeric ? column : undefined;
}

/** How a constant of the comparison's type becomes a key of the column's cells. */
function keyFamily(column: TypeName, by: TypeName): ((value: Value) => AccessKey) | undefined {
  switch (column) {
    case 'int2':
    case 'int4':
    case 'int8':
      if (by === 'int2' || by === 'int4' || by === 'int8') return String;
      // A fraction makes a key that no integer has: equal to nothing, which is right.
      return by === 'numeric' ? (value) => formatNumeric(value as Numeric) : undefined;
    case 'numeric':
      return by === 'numeric' ? (value) => formatNumeric(value as Numeric) : undefined;
    case 'float4':
    case 'float8':
      return by === 'float4' || by === 'float8' ? (value) => value as number : undefined;
    case 'text':
    case 'varchar':
    case 'name':
      return by === 'text' || by === 'name' ? (value) => value as string : undefined;
    case 'bpchar':
      return by === 'bpchar' ? (value) => stripTrailingBlanks(value as string) : undefined;
    case 'bool':
      return by === 'bool' ? (value) => (value === true ? 't' : 'f') : undefined;
    case 'uuid':
    case 'bytea':
      return by === column ? (value) => value as string : undefined;
    case 'date':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return by === column ? (value) => scalarType(column).format?.(value) as string : undefined;
  }
}

function isIntegerColumn(column: ColumnNode): boolean {
  return column.type === 'int2' || column.type === 'int4' || column.type === 'int8';
}
