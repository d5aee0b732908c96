import type { Joined, Lsn } from '@shapecast/log';
import { isVisible, type EntryOrigin, type ShapeRecord } from '@shapecast/shape-store';
import type { EncodedMessage, SharedEncoder } from './encoded-change.ts';

/** A transaction as the matcher sees it: identity, and the headers its messages share. */
export interface OpenTransaction {
  readonly lsn: Lsn;
  /** `lsn` as the nearest double, for comparisons that every change makes. */
  readonly about: number;
  readonly xid: bigint;
  /** First message of the record in which it began, for `ShardCursor.openTxSeq`. */
  readonly seq: number;
  readonly headers: string;
  readonly origin: EntryOrigin;
}

/** A shape in a shard's index, with room for what the step at hand has to remember of it. */
export class RoutedShape {
  record: ShapeRecord;
  /** Set while the shape's table is compiled for the relation at hand. */
  encoder: SharedEncoder | undefined;
  /** What its table's index knows it by; undefined while it is in none. */
  ticket: number | undefined;
  /** Its clause has failed on a row. */
  failed = false;
  /** The transaction that `held` belongs to. */
  transaction: OpenTransaction | undefined;
  /** Its newest entry of that transaction, which is the last one unless another follows (MS-5). */
  held: EncodedMessage | undefined;
  /** The record's; here because of a million shapes each change looks at another one, and every step to it is a cache miss. */
  handle: string;
  /** Transactions that commit later are the shape's, whoever they are; infinite when that cannot be said. */
  #since: number;
  #asked: OpenTransaction | undefined;
  #answer = false;

  constructor(record: ShapeRecord) {
    this.record = record;
    this.handle = record.handle;
    this.#since = sinceOf(record);
  }

  /**
   * Whether the shape takes part in a transaction: not when the shard had started it before the shape was registered (R
   * 10.6.2), nor when the snapshot shows it (R 10.6.4). While the snapshot is unknown the store filters.
   */
  accepts(transaction: OpenTransaction): boolean {
    if (transaction.about > this.#since) return true;
    if (transaction === this.#asked) return this.#answer;
    this.#asked = transaction;
    this.#answer = this.#decide(transaction);
    return this.#answer;
  }

  /**
   * Whether the snapshot that the shape starts from shows a table that joined the shape's. While the snapshot is unknown
   * that is not known either, and true.
   */
  sees({ xid, seenXmax }: Joined): boolean {
    const { snapshot } = this.record;
    return snapshot === undefined || xid < snapshot.xmin || snapshot.xmax > seenXmax;
  }

  update(record: ShapeRecord): void {
    this.record = record;
    this.handle = record.handle;
    this.#since = sinceOf(record);
    this.#asked = undefined;
  }

  #decide({ lsn, xid }: OpenTransaction): boolean {
    const { regLsn, snapshot } = this.record;
    if (lsn <= regLsn) return false;
    return snapshot === undefined || lsn > snapshot.insertLsn || !isVisible(snapshot, xid);
  }
}

/** A double is exact up to 8 PiB of WAL, and rounded alike beyond: one step more is certainly later. */
function sinceOf({ regLsn, snapshot }: ShapeRecord): number {
  if (snapshot === undefined) return Infinity;
  const since = regLsn > snapshot.insertLsn ? regLsn : snapshot.insertLsn;
  return Number(since);
}
