import type { Cell } from '@shapecast/log';
import { jsonString, jsonTail } from './json-string.ts';

/**
 * The key of a row (spec H 15): `"schema"."table"` and, for each key column in key order, `/"value"` or `/_` for NULL.
 * The one encoder of keys in the system (KY-3): whatever shows a row under a key takes it from here.
 */
export function rowKey(schema: string, table: string, values: readonly Cell[]): string {
  let key = keyPrefix(schema, table);
  for (const value of values) key += value === null ? '/_' : `/"${doubleSlashes(value)}"`;
  return key;
}

/** The values that a `rowKey` of this table was made of; undefined when it is of no such table. */
export function parseRowKey(schema: string, table: string, key: string): Cell[] | undefined {
  const prefix = keyPrefix(schema, table);
  if (!key.startsWith(prefix)) return undefined;
  const values: Cell[] = [];
  for (let at = prefix.length; at < key.length;) {
    if (key.startsWith('/_', at)) {
      values.push(null);
      at += 2;
    } else if (key.startsWith('/"', at)) {
      const end = endOfValue(key, at + 2);
      if (end === undefined) return undefined;
      values.push(key.slice(at + 2, end).replaceAll('//', '/'));
      at = end + 1;
    } else return undefined;
  }
  return values;
}

/** Where the closing quote is: before a slash that is not doubled, or at the end. Quotes inside are not escaped. */
function endOfValue(key: string, from: number): number | undefined {
  for (let at = from; at < key.length; at += 1) {
    if (key[at] !== '/') continue;
    if (key[at + 1] === '/') at += 1;
    else return key[at - 1] === '"' && at - 1 >= from ? at - 1 : undefined;
  }
  return key.endsWith('"') && key.length - 1 >= from ? key.length - 1 : undefined;
}

/** `"schema"."table"` with `.` and `/` doubled inside each name (KY-2). */
function keyPrefix(schema: string, table: string): string {
  return `"${escapeName(schema)}"."${escapeName(table)}"`;
}

/** A `rowKey` as JSON text, compiled for one table: the same text as `JSON.stringify(rowKey(...))`, at a fraction of its cost. */
export class KeyEncoder {
  readonly #open: string;
  readonly #ordinals: readonly number[];

  /** `ordinals` are the places of the key columns in the tuples, in key order. */
  constructor(schema: string, table: string, ordinals: readonly number[]) {
    this.#open = jsonString(keyPrefix(schema, table)).slice(0, -1);
    this.#ordinals = ordinals;
  }

  json(tuple: readonly Cell[]): string {
    let text = this.#open;
    const ordinals = this.#ordinals;
    for (let i = 0; i < ordinals.length; i += 1) {
      const value = tuple[ordinals[i] as number] as Cell;
      // jsonTail brings the closing quote of a JSON string, which here belongs to the key: escape and replace it.
      text += value === null ? '/_' : `/\\"${jsonTail(doubleSlashes(value)).slice(0, -1)}\\"`;
    }
    return `${text}"`;
  }
}

function doubleSlashes(value: string): string {
  return value.includes('/') ? value.replaceAll('/', '//') : value;
}

function escapeName(name: string): string {
  return doubleSlashes(name).replaceAll('.', '..');
}
