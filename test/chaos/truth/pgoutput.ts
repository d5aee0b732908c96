import { shortCell, type Row } from '../model/cells.ts';

/** A cell of a new row that Postgres did not send because it did not change. */
const UNCHANGED = Symbol('unchanged');
type SentRow = Readonly<Record<string, string | null | typeof UNCHANGED>>;

export type DecodedChange =
  | { readonly kind: 'insert'; readonly table: string; readonly after: Row }
  | { readonly kind: 'update'; readonly table: string; readonly before: Row | undefined; readonly after: SentRow }
  | { readonly kind: 'delete'; readonly table: string; readonly before: Row }
  | { readonly kind: 'truncate'; readonly table: string };

export interface DecodedTransaction {
  /** Of the commit record, as `lsn` headers have it. */
  readonly lsn: bigint;
  readonly endLsn: bigint;
  /** 32 bits. */
  readonly xid: number;
  readonly changes: readonly DecodedChange[];
}

interface OpenTransaction {
  readonly lsn: bigint;
  readonly xid: number;
  readonly changes: DecodedChange[];
}

interface Relation {
  readonly name: string;
  readonly columns: readonly string[];
}

/**
 * Puts transactions together from the messages of pgoutput, protocol version 1. Apart from the decoder of the service on
 * purpose: what it gets wrong must not look right here.
 */
export class TransactionDecoder {
  readonly #relations = new Map<number, Relation>();
  #open: OpenTransaction | undefined;

  /** The transaction that the message completes, if it does. */
  decode(message: Buffer): DecodedTransaction | undefined {
    const bytes = new Bytes(message);
    const type = String.fromCharCode(bytes.byte());
    switch (type) {
      case 'B': {
        const lsn = bytes.int64();
        bytes.int64();
        this.#open = { lsn, xid: bytes.int32(), changes: [] };
        return undefined;
      }
      case 'C': {
        bytes.byte();
        const lsn = bytes.int64();
        const open = this.#transaction();
        if (open.lsn !== lsn) throw new Error(`a transaction began as ${open.lsn} and ended as ${lsn}`);
        this.#open = undefined;
        return { ...open, endLsn: bytes.int64() };
      }
      case 'R':
        this.#relation(bytes);
        return undefined;
      case 'I':
      case 'U':
      case 'D':
      case 'T':
        this.#change(type, bytes);
        return undefined;
      // Origins and types say nothing about rows.
      case 'O':
      case 'Y':
        return undefined;
      default:
        throw new Error(`pgoutput message of unknown type ${type}`);
    }
  }

  #transaction(): OpenTransaction {
    if (this.#open === undefined) throw new Error('a message outside of a transaction');
    return this.#open;
  }

  #relation(bytes: Bytes): void {
    const oid = bytes.int32();
    bytes.text();
    const name = bytes.text();
    bytes.byte();
    const columns: string[] = [];
    for (let left = bytes.int16(); left > 0; left -= 1) {
      bytes.byte();
      columns.push(bytes.text());
      bytes.int32();
      bytes.int32();
    }
    this.#relations.set(oid, { name, columns });
  }

  #change(type: 'I' | 'U' | 'D' | 'T', bytes: Bytes): void {
    const { changes } = this.#transaction();
    if (type === 'T') {
      const count = bytes.int32();
      bytes.byte();
      for (let i = 0; i < count; i += 1) changes.push({ kind: 'truncate', table: this.#known(bytes.int32()).name });
      return;
    }
    const relation = this.#known(bytes.int32());
    const table = relation.name;
    let mark = String.fromCharCode(bytes.byte());
    let before: Row | undefined;
    if (mark === 'O' || mark === 'K') {
      before = whole(tuple(bytes, relation));
      if (type === 'D') return void changes.push({ kind: 'delete', table, before });
      mark = String.fromCharCode(bytes.byte());
    }
    if (mark !== 'N') throw new Error(`a tuple of unknown kind ${mark}`);
    const after = tuple(bytes, relation);
    if (type === 'I') changes.push({ kind: 'insert', table, after: whole(after) });
    else changes.push({ kind: 'update', table, before, after });
  }

  #known(oid: number): Relation {
    const relation = this.#relations.get(oid);
    if (relation === undefined) throw new Error(`relation ${oid} was never described`);
    return relation;
  }
}

/** The row with what was not sent taken from the row before. */
export function filled(after: SentRow, before: Row): Row {
  const row: Record<string, string | null> = {};
  for (const [name, cell] of Object.entries(after)) row[name] = cell === UNCHANGED ? (before[name] ?? null) : cell;
  return row;
}

function whole(sent: SentRow): Row {
  if (Object.values(sent).includes(UNCHANGED)) throw new Error('a row that must be whole lacks a value');
  return sent as Row;
}

function tuple(bytes: Bytes, { columns, name }: Relation): SentRow {
  const count = bytes.int16();
  if (count !== columns.length) throw new Error(`${count} values for the ${columns.length} columns of ${name}`);
  const row: Record<string, string | null | typeof UNCHANGED> = {};
  for (const column of columns) {
    const kind = String.fromCharCode(bytes.byte());
    if (kind === 'n') row[column] = null;
    else if (kind === 'u') row[column] = UNCHANGED;
    else if (kind === 't') row[column] = shortCell(bytes.counted());
    else throw new Error(`a value of unknown kind ${kind}`);
  }
  return row;
}

class Bytes {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  byte(): number {
    return this.#buffer.readUInt8(this.#advance(1));
  }

  int16(): number {
    return this.#buffer.readInt16BE(this.#advance(2));
  }

  int32(): number {
    return this.#buffer.readUInt32BE(this.#advance(4));
  }

  int64(): bigint {
    return this.#buffer.readBigUInt64BE(this.#advance(8));
  }

  /** Ends with a zero. */
  text(): string {
    const end = this.#buffer.indexOf(0, this.#at);
    const from = this.#advance(end + 1 - this.#at);
    return this.#buffer.toString('utf8', from, end);
  }

  counted(): string {
    const length = this.int32();
    const from = this.#advance(length);
    return this.#buffer.toString('utf8', from, from + length);
  }

  #advance(by: number): number {
    const from = this.#at;
    this.#at += by;
    return from;
  }
}
