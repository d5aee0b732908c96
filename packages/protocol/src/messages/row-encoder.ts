import type { Cell, DeleteChange, InsertChange, Tuple, UpdateChange } from '@shapecast/log';
import type { ShapeDefinition } from '@shapecast/shape';
import { jsonString, jsonTail } from './json-string.ts';
import { KeyEncoder } from './row-key.ts';

/** What of a shape decides how its messages look; shapes that agree on it share an encoder and its output. */
export type Projection = Pick<
  ShapeDefinition,
  'schema' | 'table' | 'columns' | 'keyColumns' | 'hasPrimaryKey' | 'replica'
>;

/** Equal for two projections exactly when their messages are equal. */
export function projectionKey(projection: Projection): string {
  const { schema, table, columns, keyColumns, hasPrimaryKey, replica } = projection;
  return JSON.stringify([schema, table, columns, keyColumns, hasPrimaryKey, replica]);
}

/** The members of `headers` that all entries of a transaction have in common, as JSON text up to the op. */
export function transactionHeaders(transaction: { readonly lsn: bigint; readonly xid: bigint }): string {
  return `,"txids":[${transaction.xid & 0xffffffffn}],"lsn":"${transaction.lsn}","op_position":`;
}

/**
 * A change message as JSON text without its end, so that one text serves the shapes for which the entry is the last of its
 * transaction and those for which it is not: `bodyBytes` adds the end.
 */
export type MessageBody = string;

export function bodyBytes(body: MessageBody, last: boolean): Uint8Array {
  return Buffer.from(last ? `${body},"last":true}}` : `${body}}}`);
}

/**
 * Turns rows and changes of one relation into messages of one projection: keys (spec H 15), values (16) and headers (14).
 * Compiled once per relation descriptor; the texts depend on nothing but the arguments, so that a repeated step writes the
 * same bytes (spec R 11.2.2). Member order: key, value, old_value, headers.
 */
export class RowEncoder {
  readonly #key: KeyEncoder;
  readonly #full: boolean;
  /** Places of the selected columns in the tuples, and the text before each value: `"name":` with the comma before it. */
  readonly #columns: readonly number[];
  readonly #first: readonly string[];
  readonly #next: readonly string[];
  /** Of those, what an update always and a delete by default carries: the key columns. */
  readonly #isKey: readonly boolean[];
  readonly #deleteAll: boolean;
  /** By ordinal in the tuple. */
  readonly #selected: Uint8Array;
  readonly #keyed: Uint8Array;
  readonly #headers: { readonly insert: string; readonly update: string; readonly delete: string };
  readonly #snapshotTail: string;

  /** `columns` are the names of the tuples' cells, in order. Throws when one that the projection needs is not among them. */
  constructor(projection: Projection, columns: readonly string[]) {
    const places = new Map(columns.map((name, ordinal) => [name, ordinal]));
    const place = (name: string): number => {
      const ordinal = places.get(name);
      if (ordinal === undefined) throw new Error('a column of the projection is not in the relation');
      return ordinal;
    };
    const keyNames = new Set(projection.keyColumns);
    const keyOrdinals = projection.keyColumns.map(place);
    this.#key = new KeyEncoder(projection.schema, projection.table, keyOrdinals);
    this.#full = projection.replica === 'full';
    this.#columns = projection.columns.map(place);
    this.#first = projection.columns.map((name) => `${jsonString(name)}:`);
    this.#next = this.#first.map((text) => `,${text}`);
    this.#isKey = projection.columns.map((name) => keyNames.has(name));
    this.#deleteAll = this.#full || !projection.hasPrimaryKey;
    this.#selected = new Uint8Array(columns.length);
    for (const ordinal of this.#columns) this.#selected[ordinal] = 1;
    this.#keyed = new Uint8Array(columns.length);
    for (const ordinal of keyOrdinals) this.#keyed[ordinal] = 1;
    const relation = `"relation":[${jsonString(projection.schema)},${jsonString(projection.table)}]`;
    this.#headers = {
      insert: `,"headers":{"operation":"insert",${relation}`,
      update: `,"headers":{"operation":"update",${relation}`,
      delete: `,"headers":{"operation":"delete",${relation}`,
    };
    this.#snapshotTail = `${this.#headers.insert}}}`;
  }

  /** A row of a snapshot (MS-4), as a whole. */
  snapshotRow(tuple: Tuple): string {
    return `{"key":${this.#key.json(tuple)},"value":${this.#all(tuple)}${this.#snapshotTail}`;
  }

  /** A row of a subset snapshot (SU-8), as a whole. */
  subsetRow(tuple: Tuple, mark: number): string {
    return `{"key":${this.#key.json(tuple)},"value":${this.#all(tuple)}${this.#headers.insert},"snapshot_mark":${mark}}}`;
  }

  /** Whether an update changed the key: then it is a delete and an insert (MS-8). */
  changesKey(change: UpdateChange): boolean {
    const { changed } = change;
    for (let i = 0; i < changed.length; i += 1) if (this.#keyed[changed[i] as number] === 1) return true;
    return false;
  }

  /** Whether an update changed a selected column: otherwise it is no entry (MS-7), unless it changed the key. */
  changesRow(change: UpdateChange): boolean {
    const { changed } = change;
    for (let i = 0; i < changed.length; i += 1) if (this.#selected[changed[i] as number] === 1) return true;
    return false;
  }

  /** A row that appeared, or that an update moved into the shape. `tx` comes from `transactionHeaders`. */
  insert(change: InsertChange | UpdateChange, tx: string): MessageBody {
    return `{"key":${this.#key.json(change.new)},"value":${this.#all(change.new)}${this.#headers.insert}${tx}${change.op}`;
  }

  /** A row that changed and stayed in the shape under its key. */
  update(change: UpdateChange, tx: string): MessageBody {
    const key = this.#key.json(change.new);
    const value = this.#full
      ? `${this.#all(change.new)},"old_value":${this.#some(change.old, change, false)}`
      : this.#some(change.new, change, true);
    return `{"key":${key},"value":${value}${this.#headers.update}${tx}${change.op}`;
  }

  /** A row that went away, or that an update moved out of the shape: under its old key. */
  delete(change: DeleteChange | UpdateChange, tx: string): MessageBody {
    const value = this.#deleteAll ? this.#all(change.old) : this.#keys(change.old);
    return `{"key":${this.#key.json(change.old)},"value":${value}${this.#headers.delete}${tx}${change.op}`;
  }

  /** First half of an update that changed the key, at its op: the old key goes away (MS-8). */
  keyChangeDelete(change: UpdateChange, tx: string): MessageBody {
    return `${this.delete(change, tx)},"key_change_to":${this.#key.json(change.new)}`;
  }

  /** Second half, at op + 1: the row under its new key. `last`, if due, is on this one. */
  keyChangeInsert(change: UpdateChange, tx: string): MessageBody {
    const value = `${this.#all(change.new)}${this.#headers.insert}${tx}${change.op + 1}`;
    return `{"key":${this.#key.json(change.new)},"value":${value},"key_change_from":${this.#key.json(change.old)}`;
  }

  #all(tuple: Tuple): string {
    const columns = this.#columns;
    if (columns.length === 0) return '{}';
    let text = `{${this.#first[0]}${cell(tuple[columns[0] as number] as Cell)}`;
    for (let i = 1; i < columns.length; i += 1) text += this.#next[i] + cell(tuple[columns[i] as number] as Cell);
    return `${text}}`;
  }

  /** The changed columns among the selected ones, with the key columns or without. */
  #some(tuple: Tuple, change: UpdateChange, withKeys: boolean): string {
    const columns = this.#columns;
    const { changed } = change;
    let text = '{';
    for (let i = 0; i < columns.length; i += 1) {
      const ordinal = columns[i] as number;
      if (!(withKeys && this.#isKey[i]) && !changed.includes(ordinal)) continue;
      text += (text.length === 1 ? this.#first[i] : this.#next[i]) + cell(tuple[ordinal] as Cell);
    }
    return `${text}}`;
  }

  #keys(tuple: Tuple): string {
    const columns = this.#columns;
    let text = '{';
    for (let i = 0; i < columns.length; i += 1) {
      if (!this.#isKey[i]) continue;
      text += (text.length === 1 ? this.#first[i] : this.#next[i]) + cell(tuple[columns[i] as number] as Cell);
    }
    return `${text}}`;
  }
}

function cell(value: Cell): string {
  return value === null ? 'null' : `"${jsonTail(value)}`;
}
