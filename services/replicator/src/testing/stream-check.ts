import {
  chainAfter,
  comparePositions,
  RecordDecoder,
  SliceAssembler,
  type Change,
  type Lsn,
  type RecordChain,
  type TxRecord,
} from '@shapecast/log';
import type { TxStream } from '@shapecast/messaging';

/** A transaction put together from the records of a stream. */
interface StreamedTransaction {
  readonly lsn: Lsn;
  readonly changes: Change[];
  complete: boolean;
}

export interface StreamContent {
  readonly transactions: StreamedTransaction[];
  /** Records as a consumer sees them, slices put together. */
  readonly records: TxRecord[];
  readonly epochs: number[];
  readonly chain: RecordChain | undefined;
  readonly passed: number;
}

/**
 * Reads a whole stream as a router would and throws at the first thing a router must not see: a hole, a duplicate, a
 * broken chain, an epoch that goes back, a transaction inside another (spec R 9.6.2). On a NATS cluster records of an epoch that is
 * over may be stored, which routers pass over: `passed` counts them.
 */
export async function readContent(stream: TxStream): Promise<StreamContent> {
  const decoder = new RecordDecoder();
  const assembler = new SliceAssembler({ decoder });
  const content = { transactions: [] as StreamedTransaction[], records: [] as TxRecord[], epochs: [] as number[] };
  let chain: RecordChain | undefined;
  let passed = 0;
  const { firstSeq, lastSeq } = await stream.info();
  for (let seq = firstSeq; seq <= lastSeq; seq++) {
    const message = await stream.get(seq);
    if (message?.seq !== seq) throw new Error(`sequence ${seq} is missing`);
    const raw = decoder.decode(message.payload);
    if (!stream.fencesPipelines && raw.epoch < (content.epochs.at(-1) ?? 0)) {
      passed += 1;
      continue;
    }
    // What was trimmed took the beginning of its epoch along.
    if (seq === firstSeq && seq > 1) content.epochs.push(raw.epoch);
    checkEpoch(content.epochs, raw);
    const record = assembler.accept(raw);
    if (!record) continue;
    if (chain && !sameChain(chain, record.prev)) throw new Error(`the chain is broken at sequence ${seq}`);
    if (record.kind === 'data') for (const part of record.parts) addPart(content.transactions, part);
    if (record.kind === 'progress' && record.lsn < record.prev.progressLsn) throw new Error('progress went back');
    if (record.kind === 'progress' && content.transactions.at(-1)?.complete === false) {
      throw new Error(`a progress record interrupts a transaction at sequence ${seq}`);
    }
    content.records.push(record);
    chain = chainAfter(record);
  }
  return { ...content, chain, passed };
}

function addPart(
  transactions: StreamedTransaction[],
  part: { lsn: Lsn; begin: boolean; commit: boolean; changes: readonly Change[] },
): void {
  let current = transactions.at(-1);
  if (part.begin) {
    if (current?.complete === false) throw new Error(`transaction ${part.lsn} begins inside ${current.lsn}`);
    if (current && current.lsn >= part.lsn) throw new Error(`transaction ${part.lsn} comes again`);
    current = { lsn: part.lsn, changes: [], complete: false };
    transactions.push(current);
  }
  if (!current || current.complete || current.lsn !== part.lsn) throw new Error(`${part.lsn} goes on from nowhere`);
  if (part.changes.length === 0) throw new Error('a part is empty');
  for (const change of part.changes) {
    const before = current.changes.at(-1);
    if (before && before.op >= change.op) throw new Error(`operation ${part.lsn}_${change.op} comes again`);
    current.changes.push(change);
  }
  current.complete = part.commit;
}

function checkEpoch(epochs: number[], record: TxRecord): void {
  const last = epochs.at(-1) ?? 0;
  if (record.epoch < last) throw new Error(`epoch ${record.epoch} writes after epoch ${last}`);
  if (record.epoch > last && record.kind !== 'leader') throw new Error('an epoch starts without a leader record');
  if (record.epoch > last) epochs.push(record.epoch);
}

function sameChain(a: RecordChain, b: RecordChain): boolean {
  return comparePositions(a.position, b.position) === 0 && a.progressLsn === b.progressLsn;
}
