import type { Change, Lsn, TransactionPart } from '@shapecast/log';
import type { DescribedRelation, PgoutputSink } from './decoder.ts';
import type { XidWidener } from './xid.ts';

/** Bounds of one part, and of one batch of parts (spec R 9.5.1). */
export const MAX_PART_CHANGES = 500;
export const MAX_PART_BYTES = 256 * 1024;

export interface AssemblerOutput {
  /** `bytes` measures what the part holds in memory. */
  part(part: TransactionPart, bytes: number): void;
  /** A transaction, with changes or without, is over. */
  transactionEnd(lsn: Lsn, endLsn: Lsn): void;
  /** `xid` is the 64-bit id of the transaction it stands in. */
  relation(relation: DescribedRelation, xid: bigint): void;
}

interface OpenTransaction {
  readonly lsn: Lsn;
  readonly xid: bigint;
  readonly commitTimeUs: bigint;
  begin: boolean;
}

/**
 * Makes parts of what the decoder reads: whole transactions, or fragments of at most 500 changes or about 256 KiB. The last
 * change is held back until the next message is known, so that the part with the commit has a change (spec R 9.2.4).
 * Transactions without changes vanish (9.2.5).
 */
export class PartAssembler implements PgoutputSink {
  readonly #output: AssemblerOutput;
  readonly #xids: XidWidener;
  #transaction: OpenTransaction | undefined;
  #changes: Change[] = [];
  #bytes = 0;

  constructor(output: AssemblerOutput, xids: XidWidener) {
    this.#output = output;
    this.#xids = xids;
  }

  /** Between Begin and Commit. */
  get inTransaction(): boolean {
    return this.#transaction !== undefined;
  }

  begin(lsn: Lsn, commitTimeUs: bigint, xid: number): void {
    this.#transaction = { lsn, xid: this.#xids.widen(xid), commitTimeUs, begin: true };
  }

  relation(relation: DescribedRelation): void {
    this.#output.relation(relation, this.#open().xid);
  }

  change(change: Change, bytes: number): void {
    if (
      this.#changes.length >= MAX_PART_CHANGES ||
      (this.#bytes + bytes > MAX_PART_BYTES && this.#changes.length > 0)
    ) {
      this.#emit(undefined);
    }
    this.#changes.push(change);
    this.#bytes += bytes;
  }

  commit(lsn: Lsn, endLsn: Lsn): void {
    if (this.#changes.length > 0) this.#emit(endLsn);
    this.#transaction = undefined;
    this.#output.transactionEnd(lsn, endLsn);
  }

  #emit(endLsn: Lsn | undefined): void {
    const transaction = this.#open();
    const { lsn, xid, commitTimeUs, begin } = transaction;
    const changes = this.#changes;
    const bytes = this.#bytes;
    this.#changes = [];
    this.#bytes = 0;
    transaction.begin = false;
    const commit = endLsn !== undefined;
    this.#output.part({ lsn, endLsn: endLsn ?? lsn, xid, commitTimeUs, begin, commit, changes }, bytes);
  }

  #open(): OpenTransaction {
    if (!this.#transaction) throw new Error('pgoutput: change outside of a transaction');
    return this.#transaction;
  }
}
