import { decodeRecord, SliceAssembler, type DataRecord, type Lsn, type TransactionPart } from '@shapecast/log';
import type { TxStream } from '@shapecast/messaging';

/** What tells a transaction from any other, of this history or another one (spec R 6.5 C5). */
export interface Fingerprint {
  readonly lsn: Lsn;
  readonly xid: bigint;
  readonly commitTimeUs: bigint;
  /** Offset of its last operation, so twice their number less two. */
  readonly lastOp: number;
  /** Its commit is there. */
  readonly whole: boolean;
}

const MAX_BUFFERED_BYTES = 4 * 1024 * 1024;

export interface StoredTransactions {
  /** The stream goes back far enough to hold every transaction that commits at or after `from`. */
  readonly complete: boolean;
  /** In commit order. What commits before `from` may come first. */
  readonly transactions: AsyncGenerator<Fingerprint, void, void>;
}

/** The transactions of a stream that commit at or after `from`, up to and with the record `lastSeq`. */
export async function storedTransactions(
  stream: TxStream,
  { from, lastSeq }: { readonly from: Lsn; readonly lastSeq: number },
  signal: AbortSignal,
): Promise<StoredTransactions> {
  const { seq, complete } = await startOf(stream, from, lastSeq);
  return { complete, transactions: transactionsFrom(stream, seq, lastSeq, signal) };
}

/**
 * Where to read from: the last record before which everything commits below `from`. Every record says where the one before
 * it ended, and that only grows, so it is found by halving.
 */
async function startOf(stream: TxStream, from: Lsn, lastSeq: number): Promise<{ seq: number; complete: boolean }> {
  let { firstSeq: low } = await stream.info();
  const beginsBefore = async (seq: number): Promise<boolean> => {
    const message = await stream.get(seq);
    return message !== undefined && decodeRecord(message.payload).prev.position.lsn < from;
  };
  if (!(await beginsBefore(low))) return { seq: low, complete: false };
  let high = lastSeq + 1;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (await beginsBefore(middle)) low = middle;
    else high = middle;
  }
  return { seq: low, complete: true };
}

async function* transactionsFrom(
  stream: TxStream,
  fromSeq: number,
  lastSeq: number,
  signal: AbortSignal,
): AsyncGenerator<Fingerprint, void, void> {
  let current: Fingerprint | undefined;
  for await (const record of dataRecords(stream, fromSeq, lastSeq, signal)) {
    for (const part of record.parts) {
      if (current !== undefined && current.lsn !== part.lsn) yield current;
      current = fingerprintOf(part);
    }
  }
  if (current !== undefined) yield current;
}

async function* dataRecords(
  stream: TxStream,
  fromSeq: number,
  lastSeq: number,
  signal: AbortSignal,
): AsyncGenerator<DataRecord, void, void> {
  const slices = new SliceAssembler();
  let epoch = 0;
  if (fromSeq > lastSeq) return;
  for await (const message of stream.read(fromSeq, { maxBufferedBytes: MAX_BUFFERED_BYTES }, signal)) {
    const record = decodeRecord(message.payload);
    // Left by a writer that had been replaced; every reader passes over it (see `TxStream.publish`).
    if (record.epoch >= epoch) {
      epoch = record.epoch;
      const whole = slices.accept(record);
      if (whole?.kind === 'data') yield whole;
    }
    if (message.seq >= lastSeq) return;
  }
}

/** Of a transaction as far as this part goes. A part of a stored transaction is never empty (spec R 9.2.4, 9.2.5). */
export function fingerprintOf({ lsn, xid, commitTimeUs, commit, changes }: TransactionPart): Fingerprint {
  return { lsn, xid, commitTimeUs, lastOp: changes.at(-1)?.op ?? 0, whole: commit };
}
