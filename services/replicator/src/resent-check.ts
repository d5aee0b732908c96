import type { Lsn, TransactionPart } from '@shapecast/log';
import { fingerprintOf, type Fingerprint, type StoredTransactions } from './stored-transactions.ts';

/** How what Postgres sends again differs from what the stream holds. */
export interface Divergence {
  readonly kind: 'other_transaction' | 'other_size' | 'not_stored' | 'not_sent_again';
  readonly lsn: Lsn;
}

export interface ResentRange {
  /** Position of the slot: Postgres sends again what commits at or after it. */
  readonly from: Lsn;
  /** Commit of the last transaction in the stream. */
  readonly to: Lsn;
}

/**
 * Compares transactions that Postgres sends again with those the stream holds, one by one as they come (spec R 6.5 C5). Both
 * are in commit order, so neither is kept. Once something new arrives, all has been compared and it is done. The first
 * difference is the answer; after it nothing more may be asked.
 */
export class ResentCheck {
  readonly #stored: StoredTransactions;
  readonly #range: ResentRange;
  /** Next one in the stream that was not sent again yet; undefined at the end of the stream. */
  #next: Fingerprint | undefined;
  #begun = false;
  /** The transaction that is being sent; undefined in `stored` when the stream does not go back so far. */
  #current: { readonly lsn: Lsn; readonly stored: Fingerprint | undefined } | undefined;
  #compared = 0;
  #done = false;

  constructor(stored: StoredTransactions, range: ResentRange) {
    this.#stored = stored;
    this.#range = range;
    this.#done = range.to < range.from;
  }

  get done(): boolean {
    return this.#done;
  }

  /** Transactions that turned out to be the same. */
  get compared(): number {
    return this.#compared;
  }

  /** Parts as Postgres sends them, in order. */
  async check(parts: readonly TransactionPart[]): Promise<Divergence | undefined> {
    await this.#begin();
    for (const part of parts) {
      if (this.#done) return undefined;
      if (part.changes.length === 0) continue; // R 9.2.5
      const divergence = part.lsn > this.#range.to ? this.#finish() : await this.#checkPart(part);
      if (divergence) return divergence;
    }
    return undefined;
  }

  /** Postgres has sent everything that commits below `walEnd`. */
  async passed(walEnd: Lsn): Promise<Divergence | undefined> {
    if (this.#done || walEnd <= this.#range.to) return undefined;
    await this.#begin();
    return this.#finish();
  }

  async #checkPart(part: TransactionPart): Promise<Divergence | undefined> {
    const sent = fingerprintOf(part);
    if (this.#current?.lsn !== sent.lsn) {
      const divergence = await this.#meet(sent);
      if (divergence) return divergence;
    }
    const stored = this.#current?.stored;
    if (!stored || !part.commit) return undefined;
    // The stream may end inside its last transaction, which then goes on with what comes now.
    const same = stored.whole ? stored.lastOp === sent.lastOp : stored.lastOp <= sent.lastOp;
    if (!same) return { kind: 'other_size', lsn: sent.lsn };
    this.#compared += 1;
    return undefined;
  }

  /** Finds the stored transaction that this one should be. */
  async #meet(sent: Fingerprint): Promise<Divergence | undefined> {
    const next = this.#next;
    const beforeStream = !this.#stored.complete && this.#compared === 0 && (!next || sent.lsn < next.lsn);
    if (beforeStream) {
      this.#current = { lsn: sent.lsn, stored: undefined };
      return undefined;
    }
    if (!next || sent.lsn < next.lsn) return { kind: 'not_stored', lsn: sent.lsn };
    if (sent.lsn > next.lsn) return { kind: 'not_sent_again', lsn: next.lsn };
    // The upper half of the id is ours, made from a sample; Postgres sends the lower one.
    const same = BigInt.asUintN(32, sent.xid ^ next.xid) === 0n && sent.commitTimeUs === next.commitTimeUs;
    if (!same) return { kind: 'other_transaction', lsn: sent.lsn };
    this.#current = { lsn: sent.lsn, stored: next };
    await this.#advance();
    return undefined;
  }

  #finish(): Divergence | undefined {
    if (this.#next !== undefined) return { kind: 'not_sent_again', lsn: this.#next.lsn };
    this.#done = true;
    return undefined;
  }

  async #begin(): Promise<void> {
    if (this.#begun || this.#done) return;
    this.#begun = true;
    do await this.#advance();
    while (this.#next !== undefined && this.#next.lsn < this.#range.from);
  }

  async #advance(): Promise<void> {
    const { done, value } = await this.#stored.transactions.next();
    this.#next = done ? undefined : value;
  }
}
