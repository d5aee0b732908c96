import type { SliceRecord, TxRecord } from '@shapecast/log';

/** A whole record of the tx stream and where it is stored. */
export interface StreamRecord {
  /** Sequence of the message that completed it. */
  readonly seq: number;
  /** Sequence of its first message: smaller than `seq` when it came in slices. */
  readonly firstSeq: number;
  readonly record: Exclude<TxRecord, SliceRecord>;
  /** Size of its messages. */
  readonly bytes: number;
  readonly changes: number;
  /** When the message that completed it was stored, in milliseconds since 1970 by the clock of the stream. */
  readonly publishedMs: number;
  /** Of a transaction in it that is traced. */
  readonly traceparent?: string | undefined;
}

/** What a change takes once it is decoded, beside its text: the objects, and a string for each cell. */
const CHANGE_BYTES = 300;

/** About what a record takes: small rows take several times their encoded size. */
export function memoryOf({ bytes, changes }: StreamRecord): number {
  return bytes + CHANGE_BYTES * changes;
}
