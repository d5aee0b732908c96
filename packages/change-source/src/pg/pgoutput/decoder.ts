import { isAscii } from 'node:buffer';
import type {
  Ancestor,
  Cell,
  Change,
  Lsn,
  Relation,
  RelationColumn,
  RelationPublished,
  UnusableChange,
} from '@shapecast/log';
import { i64, lsn64, u16, u32 } from './bytes.ts';

/** A relation whose key and ancestors are still to be read from the catalog: the message does not tell them (spec R 10.3.5). */
export type DescribedRelation = Relation & {
  keyColumns: readonly number[];
  ancestors?: readonly Ancestor[];
  published?: RelationPublished;
};

/** What a stream of pgoutput messages says, in order. */
export interface PgoutputSink {
  /** `xid` has 32 bits. */
  begin(lsn: Lsn, commitTimeUs: bigint, xid: number): void;
  /** A new definition of a relation; changes that follow refer to this very object. May come inside a transaction. */
  relation(relation: DescribedRelation): void;
  /** `bytes` is the size of the message, a measure of what the change holds in memory. */
  change(change: Change, bytes: number): void;
  commit(lsn: Lsn, endLsn: Lsn): void;
}

export interface DecoderOptions {
  /** A change whose message is larger becomes `unusable` without its cells being read (spec R 9.5.3). */
  readonly maxRowBytes: number;
  /** Told once per kind of message that is not known; such messages are passed over (spec R 8.1.3). */
  readonly onUnknownKind: (kind: string) => void;
  /** Told of every change that comes out as unusable. */
  readonly onUnusable?: (reason: UnusableChange['reason']) => void;
}

const KIND = {
  begin: 0x42,
  commit: 0x43,
  delete: 0x44,
  insert: 0x49,
  key: 0x4b,
  message: 0x4d,
  new: 0x4e,
  origin: 0x4f,
  old: 0x4f,
  relation: 0x52,
  truncate: 0x54,
  update: 0x55,
  type: 0x59,
} as const;

const CELL = { null: 0x6e, unchanged: 0x75, text: 0x74 } as const;

/** Microseconds from 1970 to 2000, the epoch of Postgres (spec R 10.1.1). */
const PG_EPOCH_US = 946_684_800_000_000n;

const NO_CHANGES: readonly number[] = [];

/**
 * Decodes pgoutput, protocol version 1, text format (Postgres manual, "Logical Replication Message Formats"). Every message
 * is decoded before `decode` returns, because the driver reuses the memory behind it.
 *
 * Speed decides how many changes a core can take, hence one trick: a message that is all ASCII, lengths included, becomes one
 * string in one call and its cells are cut out of that. Cells of 128 bytes or more, and any other alphabet, take a call each.
 */
export class PgoutputDecoder {
  readonly #sink: PgoutputSink;
  readonly #options: DecoderOptions;
  readonly #relations = new Map<number, DescribedRelation>();
  readonly #unknownKinds = new Set<number>();
  #op = 0;
  #message: Buffer = Buffer.alloc(0);
  /** The message as text when it is all ASCII. */
  #text: string | undefined;
  #at = 0;

  constructor(sink: PgoutputSink, options: DecoderOptions) {
    this.#sink = sink;
    this.#options = options;
  }

  /** Throws a plain Error when the bytes are not pgoutput. */
  decode(message: Buffer): void {
    switch (message[0]) {
      case KIND.insert:
      case KIND.update:
      case KIND.delete:
        return this.#row(message);
      case KIND.begin:
        this.#op = 0;
        return this.#sink.begin(lsn64(message, 1), i64(message, 9) + PG_EPOCH_US, u32(message, 17));
      case KIND.commit:
        return this.#sink.commit(lsn64(message, 2), lsn64(message, 10));
      case KIND.relation:
        return this.#relation(message);
      case KIND.truncate:
        return this.#truncate(message);
      case KIND.message:
      case KIND.origin:
      case KIND.type:
        return;
      default:
        return this.#unknown(message[0]);
    }
  }

  #row(message: Buffer): void {
    const relation = this.#relations.get(u32(message, 1));
    if (!relation) throw new Error(`pgoutput: change of relation ${u32(message, 1)}, which was never described`);
    const op = this.#nextOp();
    if (message.length > this.#options.maxRowBytes) {
      return this.#sink.change(this.#unusable('oversize', op, relation), 0);
    }
    this.#message = message;
    this.#text = isAscii(message) ? message.toString('latin1') : undefined;
    this.#at = 6;
    this.#sink.change(this.#rowChange(message, op, relation), message.length);
  }

  #unusable(reason: UnusableChange['reason'], op: number, relation: Relation): UnusableChange {
    this.#options.onUnusable?.(reason);
    return { kind: 'unusable', reason, op, relation };
  }

  #rowChange(message: Buffer, op: number, relation: Relation): Change {
    const tuple = message[5];
    if (message[0] === KIND.insert) {
      const cells = this.#cells(undefined);
      // Nothing to take an unchanged cell from: never in an insert, but a hole must not pass as a value (spec R 10.2.2).
      return cells ? { kind: 'insert', op, relation, new: cells } : this.#unusable('no_old_row', op, relation);
    }
    const old = tuple === KIND.old ? this.#cells(undefined) : undefined;
    if (!old) return this.#unusable('no_old_row', op, relation);
    if (message[0] === KIND.delete) return { kind: 'delete', op, relation, old };
    if (message[this.#at] !== KIND.new) throw new Error('pgoutput: update without a new tuple');
    this.#at += 1;
    const cells = this.#cells(old) as Cell[];
    return { kind: 'update', op, relation, new: cells, old, changed: changedColumns(old, cells) };
  }

  /** The tuple at the current place. Unchanged TOAST cells come from `old`; undefined when there is none to take from. */
  #cells(old: readonly Cell[] | undefined): Cell[] | undefined {
    const message = this.#message;
    const text = this.#text;
    let at = this.#at;
    const count = u16(message, at);
    at += 2;
    const cells = new Array<Cell>(count);
    let complete = true;
    for (let index = 0; index < count; index += 1) {
      const kind = message[at];
      at += 1;
      if (kind === CELL.text) {
        const start = at + 4;
        const end = start + u32(message, at);
        cells[index] = text === undefined ? message.toString('utf8', start, end) : text.substring(start, end);
        at = end;
      } else if (kind === CELL.null) {
        cells[index] = null;
      } else if (kind === CELL.unchanged) {
        cells[index] = old?.[index] ?? null;
        complete &&= old !== undefined;
      } else {
        throw new Error(`pgoutput: tuple cell of kind ${kind}`);
      }
    }
    if (at > message.length) throw new Error('pgoutput: tuple is cut off');
    this.#at = at;
    return complete ? cells : undefined;
  }

  #relation(message: Buffer): void {
    const oid = u32(message, 1);
    let at = 5;
    const cstring = () => {
      const end = message.indexOf(0, at);
      const text = message.toString('utf8', at, end);
      at = end + 1;
      return text;
    };
    const schema = cstring() || 'pg_catalog';
    const name = cstring();
    const replicaIdentity = String.fromCharCode(message[at] as number) as Relation['replicaIdentity'];
    const count = u16(message, at + 1);
    at += 3;
    const columns: RelationColumn[] = [];
    for (let index = 0; index < count; index += 1) {
      at += 1; // flags: with REPLICA IDENTITY FULL every column is marked as key
      const column = cstring();
      columns.push({ name: column, typeOid: u32(message, at), typeMod: u32(message, at + 4) | 0 });
      at += 8;
    }
    const relation = { oid, schema, name, replicaIdentity, columns, keyColumns: NO_CHANGES };
    this.#relations.set(oid, relation);
    this.#sink.relation(relation);
  }

  #truncate(message: Buffer): void {
    const count = u32(message, 1);
    for (let index = 0; index < count; index += 1) {
      const relation = this.#relations.get(u32(message, 6 + index * 4));
      if (relation) this.#sink.change({ kind: 'truncate', op: this.#nextOp(), relation }, 64);
    }
  }

  #unknown(kind: number | undefined): void {
    if (kind === undefined || this.#unknownKinds.has(kind)) return;
    this.#unknownKinds.add(kind);
    this.#options.onUnknownKind(String.fromCharCode(kind));
  }

  /** Two per change, whatever becomes of it (spec R 9.2.1). */
  #nextOp(): number {
    const op = this.#op;
    this.#op += 2;
    return op;
  }
}

function changedColumns(old: readonly Cell[], cells: readonly Cell[]): readonly number[] {
  let changed: number[] | undefined;
  for (let index = 0; index < cells.length; index += 1) {
    if (old[index] !== cells[index]) (changed ??= []).push(index);
  }
  return changed ?? NO_CHANGES;
}
