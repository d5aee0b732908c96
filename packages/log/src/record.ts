import type { Position, TransactionPart } from './change.ts';
import type { Lsn } from './lsn.ts';

/**
 * What the record before carried: the position of its last operation, and the last progress LSN. A chain that shows
 * holes and diverging copies independently of sequence numbers (spec R 9.2).
 */
export interface RecordChain {
  readonly position: Position;
  readonly progressLsn: Lsn;
}

/** What every record carries. */
export interface RecordHeader {
  readonly incarnation: number;
  /** Replicator epoch: grows at every change of leader. */
  readonly epoch: number;
  readonly prev: RecordChain;
}

/** Starts an epoch and fences the epochs before it (spec R 9.3.3). */
export interface LeaderRecord extends RecordHeader {
  readonly kind: 'leader';
  readonly holder: string;
}

/**
 * Consecutive transactions, or one fragment of a large one. The parts are in commit order; only the last may be without
 * `commit`, only the first without `begin`.
 */
export interface DataRecord extends RecordHeader {
  readonly kind: 'data';
  readonly parts: readonly TransactionPart[];
}

/** Everything that commits below `lsn` is in the stream; lets silent sources move on (spec R 9.4). */
export interface ProgressRecord extends RecordHeader {
  readonly kind: 'progress';
  readonly lsn: Lsn;
  /** Oldest running transaction, sampled before `lsn`; prunes the safety ring (spec R 10.6.7). */
  readonly xmin: bigint;
}

/** One slice of a data record that is larger than a message (spec R 9.5.2). Applied once all are there and the digest matches. */
export interface SliceRecord extends RecordHeader {
  readonly kind: 'slice';
  /** 0-based. */
  readonly index: number;
  readonly count: number;
  /** Hex SHA-256 over the encoded data record. */
  readonly digest: string;
  /** Base64 of a stretch of the encoded data record. */
  readonly text: string;
}

export type TxRecord = LeaderRecord | DataRecord | ProgressRecord | SliceRecord;

/** What the record after `record` has to carry as `prev` (spec R 9.2, 9.6.2). Slices count once they are put together. */
export function chainAfter(record: Exclude<TxRecord, SliceRecord>): RecordChain {
  switch (record.kind) {
    case 'leader':
      return record.prev;
    case 'progress':
      return { position: record.prev.position, progressLsn: record.lsn };
    case 'data':
      return { position: lastPosition(record), progressLsn: record.prev.progressLsn };
  }
}

/** Position of the last operation in a data record. */
export function lastPosition(record: DataRecord): Position {
  const part = record.parts.at(-1);
  const change = part?.changes.at(-1);
  return part && change ? { lsn: part.lsn, op: change.op } : record.prev.position;
}
