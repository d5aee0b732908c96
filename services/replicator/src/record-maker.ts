import { encodeRecord, maxLsn, ZERO_LSN, type Lsn, type RecordChain, type TransactionPart } from '@shapecast/log';
import { encodeParts, type Message } from './message.ts';
import { endOf, PartQueue } from './packing.ts';

export interface RecordMakerOptions {
  readonly incarnation: number;
  readonly epoch: number;
  /** What the record before the first one left. */
  readonly chain: RecordChain;
  /** The stream ends inside a transaction, which goes on with what Postgres sends again. */
  readonly open: boolean;
  /** Largest message and most changes in one (spec R 9.5.1). */
  readonly maxFragmentBytes: number;
  readonly maxFragmentChanges: number;
  /** Largest encoded change (spec R 9.5.3). */
  readonly maxChangeBytes: number;
}

/** What comes of the parts that wait. */
export interface Made {
  /** At least one, in order. */
  readonly messages: readonly Message[];
  /** What they carry; empty for a progress record. */
  readonly parts: readonly TransactionPart[];
}

/**
 * Makes records of parts that wait, each chained to the one before. Decides what a record holds, and when there is a progress record;
 * when one is made is the business of who sends them.
 */
export class RecordMaker {
  readonly #options: RecordMakerOptions;
  readonly #onOversize: (rows: number) => void;
  readonly #queue = new PartQueue();
  /** Of the last record made, and whether that ends inside a transaction. */
  #chain: RecordChain;
  #open: boolean;
  /** End of the last commit in a record, and the server's WAL end at the last idle moment. */
  #encodedEnd: Lsn = ZERO_LSN;
  #idleEnd: Lsn = ZERO_LSN;
  #progress: { readonly xmin: bigint } | undefined;

  /** `onOversize` is told of rows that are left out because they are too large. */
  constructor(options: RecordMakerOptions, onOversize: (rows: number) => void) {
    this.#options = options;
    this.#onOversize = onOversize;
    this.#chain = options.chain;
    this.#open = options.open;
  }

  /** Of the parts that wait; how long they look, not how long they will be. */
  get bytes(): number {
    return this.#queue.bytes;
  }

  /** Changes that wait. */
  get changes(): number {
    return this.#queue.changes;
  }

  push(part: TransactionPart): void {
    this.#queue.push(part);
  }

  /** Every transaction that commits below `walEnd` was pushed (spec R 8.4.2). */
  idle(walEnd: Lsn): void {
    this.#idleEnd = maxLsn(this.#idleEnd, walEnd);
  }

  /** Whether a progress record would tell consumers anything new. */
  get progressWanted(): boolean {
    return this.#progressLsn() > this.#chain.progressLsn || this.#queue.changes > 0;
  }

  /** A progress record comes at the next transaction boundary, with the LSN reached then. One waits at a time. */
  wantProgress(xmin: bigint): void {
    this.#progress = { xmin };
  }

  /**
   * The next record, or those that it is cut into; undefined when there is none that should go now. With `fullOnly` a small one waits
   * for more to go with it.
   */
  next(seq: number, { maxPayloadBytes, fullOnly }: { maxPayloadBytes: number; fullOnly: boolean }): Made | undefined {
    if (this.#progress && !this.#open) return { messages: [this.#makeProgress(this.#progress.xmin, seq)], parts: [] };
    const { maxFragmentBytes, maxFragmentChanges, incarnation, epoch, maxChangeBytes } = this.#options;
    const full = this.#queue.bytes >= maxFragmentBytes || this.#queue.changes >= maxFragmentChanges;
    if (!full && fullOnly) return undefined;
    const parts = this.#queue.take({ maxBytes: maxFragmentBytes, maxChanges: maxFragmentChanges });
    const last = parts.at(-1);
    if (!last) return undefined;
    const maxBytes = Math.min(maxFragmentBytes, maxPayloadBytes);
    const limits = { maxBytes, maxChangeBytes, onOversize: this.#onOversize };
    const messages = encodeParts(parts, { incarnation, epoch, prev: this.#chain }, limits);
    this.#chain = messages.at(-1)?.chain ?? this.#chain;
    this.#open = !last.commit;
    const end = parts.findLast((part) => part.commit);
    if (end) this.#encodedEnd = endOf(end);
    return { messages, parts };
  }

  #makeProgress(xmin: bigint, seq: number): Message {
    this.#progress = undefined;
    const { incarnation, epoch } = this.#options;
    const lsn = this.#progressLsn();
    const payload = encodeRecord({ kind: 'progress', incarnation, epoch, prev: this.#chain, lsn, xmin });
    this.#chain = { position: this.#chain.position, progressLsn: lsn };
    // Repeated at the same LSN when nothing happens, so the sequence makes the id unique.
    const id = `${incarnation}:${epoch}:${lsn}:progress:${seq}`;
    return { payload, id, chain: this.#chain, held: lsn };
  }

  /** Everything that commits below this is in a record. The idle WAL end counts once nothing waits any more. */
  #progressLsn(): Lsn {
    const reached = maxLsn(this.#chain.progressLsn, this.#encodedEnd);
    return this.#queue.changes === 0 && !this.#open ? maxLsn(reached, this.#idleEnd) : reached;
  }
}
