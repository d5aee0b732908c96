import {
  cellKey,
  columnsOf,
  compileValue,
  constantKey,
  InputError,
  keyColumn,
  lowerText,
  numericToNumber,
  valueKey,
  valueTypeOf,
  widening,
  type CaseFold,
  type Node,
  type Numeric,
  type RowValues,
  type Type,
  type Value,
} from '@shapecast/where';
import { textOf } from './template-text.ts';

/** What equal values have in common. */
export type Key = string | number;

/** Reads something from a row; null is SQL NULL. Throws ClauseEvaluationError or InputError when the row does not tell. */
export interface Reader<T> {
  /** Tells readers that give the same from those that may not. */
  readonly text: string;
  /** Ordinals of the columns it looks at. */
  readonly columns: readonly number[];
  readonly read: (row: RowValues) => T | null;
}

export interface KeyReader extends Reader<Key> {
  /** Key of a constant it is compared with; undefined for one that no row can equal. */
  readonly keyOf: (value: Value) => Key | undefined;
  readonly isUuid: boolean;
}

type OrdinalOf = (column: string) => number;

const INTEGERS = ['int2', 'int4', 'int8'];
const TEXTS = ['text', 'varchar', 'name'];

/** Reads keys of the operand of an equality that is decided by a type's equality. */
export function keyReader(operand: Node, by: Type, ordinalOf: OrdinalOf): KeyReader {
  const column = keyColumn(operand);
  if (column !== undefined) {
    const { type } = column;
    const ordinal = ordinalOf(column.name);
    const shared = { columns: [ordinal], isUuid: by.name === 'uuid' };
    const name = textOf(column);
    if (INTEGERS.includes(type.name) && INTEGERS.includes(by.name)) {
      return { ...shared, text: `${name} integer`, read: (row) => integer(row.cell(ordinal)), keyOf: Number };
    }
    const keyOf = constantKey(type, by);
    const key = cellKey(type);
    if (keyOf !== undefined && key === undefined) {
      return { ...shared, text: name, read: (row) => row.cell(ordinal), keyOf };
    }
    if (keyOf !== undefined && key !== undefined) {
      const read = (row: RowValues): Key | null => {
        const cell = row.cell(ordinal);
        return cell === null ? null : key(cell);
      };
      return { ...shared, text: name, read, keyOf };
    }
  }
  const value = valueReader(operand, by, ordinalOf);
  const keyOf = valueKey(by);
  const read = (row: RowValues): Key | null => {
    const found = value.read(row);
    return found === null ? null : keyOf(found);
  };
  return { text: `${value.text} as ${by.name}`, columns: value.columns, read, keyOf, isUuid: false };
}

function integer(cell: string | null): number | null {
  if (cell === null) return null;
  const value = Number(cell);
  if (Number.isNaN(value)) throw new InputError('not an integer');
  return value;
}

/** Reads the text that LIKE looks at, lower-cased for ILIKE. */
export function textReader(node: Node, fold: CaseFold | undefined, ordinalOf: OrdinalOf): KeyReader {
  const shared = { isUuid: false, keyOf: (value: Value): Key => value as string };
  const column = keyColumn(node);
  if (fold === undefined && column !== undefined && TEXTS.includes(column.type.name)) {
    const ordinal = ordinalOf(column.name);
    return { ...shared, text: textOf(column), columns: [ordinal], read: (row) => row.cell(ordinal) };
  }
  const compiled = compileValue(node, ordinalOf);
  const read = (row: RowValues): string | null => {
    const text = compiled(row, NO_INSTANCE) as string | null;
    return text === null || fold === undefined ? text : lowerText(text, fold);
  };
  return { ...shared, text: `${textOf(node)} like ${fold ?? ''}`, columns: columnsOf(node).map(ordinalOf), read };
}

/** Expressions that rows are looked up by have no slots: any instance will do. */
const NO_INSTANCE = 0;

/** Reads an operand of a comparison by `by`, as a value of that type. */
export function valueReader(node: Node, by: Type, ordinalOf: OrdinalOf): Reader<Value> {
  const compiled = compileValue(node, ordinalOf);
  const widen = wideningOf(node, by);
  const read = (row: RowValues): Value | null => {
    const value = compiled(row, NO_INSTANCE);
    return value === null || widen === undefined ? value : widen(value);
  };
  return { text: textOf(node), columns: columnsOf(node).map(ordinalOf), read };
}

function wideningOf(node: Node, by: Type): ((value: Value) => Value) | undefined {
  const from = valueTypeOf(node);
  return from === undefined ? undefined : widening(from, by);
}

/** Whether the operand is NULL. Of a column that can be said without reading the value. */
export function nullReader(node: Node, ordinalOf: OrdinalOf): Reader<boolean> {
  const shared = { text: textOf(node), columns: columnsOf(node).map(ordinalOf) };
  if (node.kind === 'column') {
    const ordinal = ordinalOf(node.name);
    return { ...shared, read: (row) => row.cell(ordinal) === null };
  }
  const compiled = compileValue(node, ordinalOf);
  return { ...shared, read: (row) => compiled(row, NO_INSTANCE) === null };
}

/** Reads the place of a value in the order of float64; values that no float64 stands for are rounded. */
export function orderReader(node: Node, by: Type, ordinalOf: OrdinalOf): Reader<number> {
  const value = valueReader(node, by, ordinalOf);
  const read = (row: RowValues): number | null => {
    const found = value.read(row);
    return found === null ? null : orderKey(found);
  };
  return { text: `${value.text} as ${by.name}`, columns: value.columns, read };
}

/** Rounding to the nearest keeps the order: what is greater never becomes less. */
export function orderKey(value: Value): number {
  return typeof value === 'bigint' ? Number(value) : numericToNumber(value as Numeric);
}
