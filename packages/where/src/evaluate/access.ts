import { castPath } from '../functions/cast-paths.ts';
import { childrenOf, valueTypeOf, type ColumnNode, type Node } from '../tree.ts';
import { compareNumbers } from '../types/decimal.ts';
import { type as typeNamed } from '../types/types.ts';
import type { Type } from '../types/type.ts';
import type { Value } from '../types/value.ts';

/** What two equal values of a type have in common; a hash table key (spec W 9.5). */
export type AccessKey = string | number;

const BOOL = typeNamed('bool');

/**
 * Key of a cell's wire text; undefined when the text itself is the key. Throws InputError for text that has to be
 * understood and is not.
 */
export function cellKey(type: Type): ((text: string) => AccessKey) | undefined {
  return type.key;
}

/** The key that `cellKey` gives for the wire text of a value. */
export function valueKey(type: Type): (value: Value) => AccessKey {
  const { key, format } = type;
  if (key === undefined) return format;
  if (type.compare === undefined) throw new Error(`values of type ${type.name} have no key`);
  if (type.name === 'float4' || type.name === 'float8') return (value) => value as number;
  return (value) => key(format(value));
}

/**
 * The column under casts that keep every value apart from every other, so that a comparison by `by` can be answered from
 * the column's own keys. Undefined when there is none.
 */
export function keyColumn(node: Node): ColumnNode | undefined {
  if (node.kind === 'column') return node.type.compare === undefined ? undefined : node;
  if (node.kind !== 'cast' || node.modifiers.length > 0) return undefined;
  const column = keyColumn(node.arg);
  if (column === undefined) return undefined;
  // The text of an enum is its label.
  if (node.arg === column && column.type.category === 'E' && node.to.name === 'text') return column;
  return castPath(valueTypeOf(node.arg) ?? BOOL, node.to)?.faithful === true ? column : undefined;
}

/**
 * Turns a constant that is compared with `column` by the order of `by` into a key of the column's cells. The function's
 * result is undefined for a constant that no cell can equal. Undefined when the column's keys do not answer it.
 */
export function constantKey(column: Type, by: Type): ((value: Value) => AccessKey | undefined) | undefined {
  if (column === by) return valueKey(column);
  if (isInteger(column)) {
    if (isInteger(by)) return String;
    // A fraction equals no integer, and `1.0` is the integer 1.
    if (by.name === 'numeric') return (value) => integerText(value, by);
    return undefined;
  }
  switch (column.name) {
    case 'float4':
      return by.name === 'float8' ? (value) => value as number : undefined;
    case 'text':
    case 'varchar':
    case 'name':
      return by.name === 'text' || by.name === 'name' ? (value) => value as string : undefined;
    case 'bpchar':
      return undefined;
    default:
      return column.category === 'E' && by.name === 'text' ? (value) => value as string : undefined;
  }
}

function integerText(value: Value, by: Type): string | undefined {
  const text = valueKey(by)(value) as string;
  return text.includes('.') ? undefined : text;
}

function isInteger(type: Type): boolean {
  return type.name === 'int2' || type.name === 'int4' || type.name === 'int8';
}

/** Whether Postgres can raise an error while it evaluates `node` on some row. */
export function mayFail(node: Node): boolean {
  switch (node.kind) {
    case 'call':
      return !SAFE_CALLS.has(node.signature) || childrenOf(node).some(mayFail);
    case 'cast': {
      const from = valueTypeOf(node.arg) ?? BOOL;
      const safe = from === node.to || castPath(from, node.to)?.faithful === true || isTextOutput(from, node.to);
      return !safe || node.modifiers.length > 0 || mayFail(node.arg);
    }
    case 'like':
      return mayDangle(node) || childrenOf(node).some(mayFail);
    case 'array':
      return node.nested || childrenOf(node).some(mayFail);
    default:
      return childrenOf(node).some(mayFail);
  }
}

/** Calls that have a result for all arguments. Not in the list means only that nobody looked. */
const SAFE_CALLS: ReadonlySet<string> = new Set([
  'lower(text)',
  'upper(text)',
  'length(text)',
  'length(bpchar)',
  'char_length(text)',
  'character_length(text)',
  'octet_length(text)',
  'btrim(text)',
  'ltrim(text)',
  'rtrim(text)',
  'strpos(text,text)',
  'position(text,text)',
  'starts_with(text,text)',
  'left(text,int4)',
  'right(text,int4)',
  'jsonb_object_field(jsonb,text)',
  'jsonb_object_field_text(jsonb,text)',
  'jsonb_contains(jsonb,jsonb)',
  'jsonb_exists(jsonb,text)',
  'arraycontains(anyarray,anyarray)',
  'arraycontained(anyarray,anyarray)',
  'arrayoverlap(anyarray,anyarray)',
  'array_length(anyarray,int4)',
  'cardinality(anyarray)',
]);

function isTextOutput(from: Type, to: Type): boolean {
  return to.category === 'S' && castPath(from, to)?.writesText === true;
}

/** A pattern that ends in its escape character is an error on some texts. */
function mayDangle({ pattern, escape }: Extract<Node, { kind: 'like' }>): boolean {
  return pattern.kind !== 'const' || pattern.text.endsWith(escape ?? '\\');
}

/** Order of doubles as Postgres sees it, for keys of ranges: NaN is above everything. */
export { compareNumbers };
