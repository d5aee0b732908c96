import type { Lsn } from './lsn.ts';

/** A cell in Postgres's text form, or null for SQL NULL. */
export type Cell = string | null;

/** The cells of a row in the column order of its relation. */
export type Tuple = readonly Cell[];

export interface RelationColumn {
  readonly name: string;
  readonly typeOid: number;
  /** `atttypmod`; -1 when the type has no modifier. */
  readonly typeMod: number;
}

/**
 * A table as it was when a change was decoded. Travels with every tx-stream message, because a router can start reading
 * anywhere and Postgres describes a relation once per session only (spec R 9.2.3).
 */
export interface Relation {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** `pg_class.relreplident`: default, nothing, full, index. */
  readonly replicaIdentity: 'd' | 'n' | 'f' | 'i';
  readonly columns: readonly RelationColumn[];
  /** Ordinals (into `columns`) of the primary key, in key order. Empty when the table has none: then all columns are key. */
  readonly keyColumns: readonly number[];
  /** Tables that show the rows of this one as their own, from any distance. Absent when there are none. */
  readonly ancestors?: readonly Ancestor[];
  /** Absent where it is not known: nothing follows from that. */
  readonly published?: RelationPublished;
}

/**
 * By what a table and those above it were published when their changes were read, or somewhat later: names of stretches of time
 * without a break, separated by blanks. A shape whose snapshot knows none of them has missed changes.
 */
export interface RelationPublished {
  /** `pg_snapshot_xmax` of the snapshot that this was read with, and how many transactions it saw running. */
  readonly xmax: bigint;
  readonly running: number;
  readonly by: string;
  /** The same of each of the `ancestors`. */
  readonly above: readonly string[];
}

/** A table above another one: the partitioned table of a partition, or the parent in classic inheritance (spec R 7.15). */
export interface Ancestor {
  readonly oid: number;
  /**
   * The ancestor's columns in its catalog order, as ordinals into the columns of the relation below. Absent when they are the
   * same columns in the same order.
   */
  readonly columns?: readonly number[];
  /** Ordinals, into the ancestor's columns, of its primary key in key order; empty when it has none. */
  readonly keyColumns: readonly number[];
  /** Absent when the relation is under the ancestor since it was created: all it ever held is in the stream. */
  readonly joined?: Joined;
}

/**
 * When a relation that may have held rows came under an ancestor. A snapshot of the ancestor that does not see it is short of
 * those rows, and so is everything built on it.
 */
export interface Joined {
  /** 64-bit id of the transaction that did it. It may have been a subtransaction, which no snapshot lists. */
  readonly xid: bigint;
  /** `pg_snapshot_xmax` of a snapshot that saw it: so does every snapshot with a greater one. */
  readonly seenXmax: bigint;
}

interface ChangeBase {
  /**
   * Offset of the change inside its transaction: 2 x its ordinal as Postgres sent it, whatever the batching (spec R 9.2.1,
   * 9.2.2). The odd number after it belongs to the second half of an update that changes the key.
   */
  readonly op: number;
  readonly relation: Relation;
}

/** A row that appeared. */
export interface InsertChange extends ChangeBase {
  readonly kind: 'insert';
  readonly new: Tuple;
}

/** A row that changed. Unchanged TOAST cells are already filled in from the old row. */
export interface UpdateChange extends ChangeBase {
  readonly kind: 'update';
  readonly new: Tuple;
  readonly old: Tuple;
  /** Ordinals of the columns whose text differs. May be empty (an update that changed nothing). */
  readonly changed: readonly number[];
}

/** A row that went away. */
export interface DeleteChange extends ChangeBase {
  readonly kind: 'delete';
  readonly old: Tuple;
}

/** The table was truncated: its shapes rotate (spec R 13.5.3). */
export interface TruncateChange extends ChangeBase {
  readonly kind: 'truncate';
}

/**
 * A change that cannot be applied: no full old row (spec R 10.2.3) or larger than `max_row_bytes` (9.5.3). The shapes of
 * the relation rotate; the stream goes on.
 */
export interface UnusableChange extends ChangeBase {
  readonly kind: 'unusable';
  readonly reason: 'no_old_row' | 'oversize';
}

export type Change = InsertChange | UpdateChange | DeleteChange | TruncateChange | UnusableChange;
export type RowChange = InsertChange | UpdateChange | DeleteChange;

/**
 * A whole transaction, or one fragment of a large one. A fragment that carries the commit has at least one change (spec R
 * 9.2.4); a transaction without changes is never published (9.2.5).
 */
export interface TransactionPart {
  /** Commit LSN; orders transactions (spec R 8.2.4). */
  readonly lsn: Lsn;
  /** End of the commit record, one past `lsn`'s record. Meaningful on the part with `commit`. */
  readonly endLsn: Lsn;
  /** 64-bit transaction id. The raw 32-bit id that clients see in `txids` is its low half. */
  readonly xid: bigint;
  /** Commit time, microseconds since 1970. Telemetry only (spec I10). */
  readonly commitTimeUs: bigint;
  /** This part starts the transaction. */
  readonly begin: boolean;
  /** This part ends the transaction. */
  readonly commit: boolean;
  readonly changes: readonly Change[];
}

/** Where a change stands in the tx stream: commit LSN, then operation offset (spec R 0.1). */
export interface Position {
  readonly lsn: Lsn;
  readonly op: number;
}

export const POSITION_ZERO: Position = { lsn: 0n as Lsn, op: 0 };

export function comparePositions(a: Position, b: Position): number {
  if (a.lsn !== b.lsn) return a.lsn < b.lsn ? -1 : 1;
  return a.op - b.op;
}

/** `"lsn"_"op"` in decimal, the stored form. */
export function formatPosition(position: Position): string {
  return `${position.lsn}_${position.op}`;
}

export function parsePosition(text: string): Position | undefined {
  const match = /^(\d{1,20})_(\d+)$/.exec(text);
  if (!match) return undefined;
  return { lsn: BigInt(match[1] as string) as Lsn, op: Number(match[2]) };
}
