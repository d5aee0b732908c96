import {
  chainAfter,
  decodeRecord,
  maxLsn,
  SliceAssembler,
  type Lsn,
  type RecordChain,
  type SliceRecord,
  type TxRecord,
} from '@shapecast/log';
import type { StoredMessage, TxStream } from '@shapecast/messaging';
import { endOf } from './packing.ts';

/** Where a tx stream ends: what its next writer continues from (spec R 9.3.4). */
export interface StreamEnd {
  readonly seq: number;
  readonly epoch: number;
  readonly chain: RecordChain;
  /** The stream holds every transaction that commits below. */
  readonly held: Lsn;
  /** The last transaction misses its end and goes on with what Postgres sends again. */
  readonly open: boolean;
}

/** Reads the end of a stream; undefined when it holds no record. Throws STREAM_UNAVAILABLE. */
export async function readStreamEnd(stream: TxStream): Promise<StreamEnd | undefined> {
  const last = await stream.last();
  if (!last) return undefined;
  const record = decodeRecord(last.payload);
  const carried = await lastCarried(stream, { seq: last.seq, record });
  const { seq } = last;
  const { epoch } = record;
  if (!carried) return { seq, epoch, chain: record.prev, held: heldAtLeast(record.prev), open: false };
  const chain = chainAfter(carried);
  if (carried.kind !== 'data') return { seq, epoch, chain, held: heldAtLeast(chain), open: false };
  const open = carried.parts.at(-1)?.commit === false;
  const commit = carried.parts.findLast((part) => part.commit);
  // A fragment does not tell where the transaction before it ended, only that it did so before this one.
  const end = commit && !open ? endOf(commit) : chain.position.lsn;
  return { seq, epoch, chain, held: maxLsn(end, chain.progressLsn), open };
}

/**
 * What is certain when the record that would tell has expired: the transaction at the position may have missed its end.
 */
function heldAtLeast(chain: RecordChain): Lsn {
  return maxLsn(chain.position.lsn, chain.progressLsn);
}

/**
 * The last record that says where the stream stands: neither a leader record nor slices that were left unfinished. Those
 * repeat the chain of the record before, so what is found at the end of the walk carries the chain of the whole stream.
 */
async function lastCarried(
  stream: TxStream,
  from: { readonly seq: number; readonly record: TxRecord },
): Promise<Exclude<TxRecord, SliceRecord> | undefined> {
  let { seq, record } = from;
  for (;;) {
    if (record.kind === 'data' || record.kind === 'progress') return record;
    if (record.kind === 'slice' && record.index === record.count - 1) {
      const whole = await assemble(stream, seq, record);
      if (whole) return whole;
    }
    seq -= record.kind === 'slice' ? record.index + 1 : 1;
    const before: StoredMessage | undefined = seq > 0 ? await stream.get(seq) : undefined;
    if (!before) return undefined;
    record = decodeRecord(before.payload);
  }
}

async function assemble(
  stream: TxStream,
  lastSeq: number,
  last: SliceRecord,
): Promise<Exclude<TxRecord, SliceRecord> | undefined> {
  const assembler = new SliceAssembler();
  for (let seq = lastSeq - last.index; seq < lastSeq; seq++) {
    const message = await stream.get(seq);
    if (!message) return undefined;
    assembler.accept(decodeRecord(message.payload));
  }
  return assembler.accept(last);
}
