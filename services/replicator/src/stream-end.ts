import {
  chainAfter,
  comparePositions,
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

/** What a writer that was replaced may have had in flight, and so what may lie behind the last record of its successor. */
export const MOST_IN_FLIGHT = 4_096;

/**
 * Reads the end of a stream; undefined when it holds no record. `begunEpoch` is the newest that somebody meant to start: when the last
 * record is of an older one, and the stream does not fence pipelines, the newer one is looked for before it (ADR 24). Throws
 * STREAM_UNAVAILABLE.
 */
export async function readStreamEnd(stream: TxStream, begunEpoch = 0): Promise<StreamEnd | undefined> {
  const last = await stream.last();
  if (!last) return undefined;
  const { seq } = last;
  const own = await lastOfNewestEpoch(stream, { seq, record: decodeRecord(last.payload) }, begunEpoch);
  const { record } = own;
  const carried = await lastCarried(stream, own);
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

interface Found {
  readonly seq: number;
  readonly record: TxRecord;
}

/** `last`, unless it slipped in behind a newer epoch: then the last record of that one. */
async function lastOfNewestEpoch(stream: TxStream, last: Found, begunEpoch: number): Promise<Found> {
  if (stream.fencesPipelines || last.record.epoch >= begunEpoch) return last;
  let newest = last;
  for (let seq = last.seq - 1; seq > Math.max(0, last.seq - MOST_IN_FLIGHT); seq -= 1) {
    const message = await stream.get(seq);
    if (message === undefined) break;
    const record = decodeRecord(message.payload);
    if (record.epoch > newest.record.epoch) newest = { seq, record };
    // Before the record that starts the newest epoch nothing is newer.
    if (record.epoch >= begunEpoch || (record.kind === 'leader' && record.epoch === newest.record.epoch)) break;
  }
  return newest;
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
  const { prev } = record;
  // What slipped in behind an epoch is not what the epoch after it goes on from.
  const fits = (found: Exclude<TxRecord, SliceRecord>): boolean =>
    found === from.record || seq === from.seq || sameChain(chainAfter(found), prev);
  for (let steps = 0; steps < MOST_IN_FLIGHT; steps += 1) {
    if ((record.kind === 'data' || record.kind === 'progress') && fits(record)) return record;
    if (record.kind === 'slice' && record.index === record.count - 1) {
      const whole = await assemble(stream, seq, record);
      if (whole && fits(whole)) return whole;
    }
    seq -= record.kind === 'slice' ? record.index + 1 : 1;
    const before: StoredMessage | undefined = seq > 0 ? await stream.get(seq) : undefined;
    if (!before) return undefined;
    record = decodeRecord(before.payload);
  }
  return undefined;
}

function sameChain(a: RecordChain, b: RecordChain): boolean {
  return comparePositions(a.position, b.position) === 0 && a.progressLsn === b.progressLsn;
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
