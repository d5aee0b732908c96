import { maxLsn, type Lsn, type TransactionPart } from '@shapecast/log';
import type { ReplicationHandler } from '../../change-source.ts';
import { MAX_PART_BYTES, MAX_PART_CHANGES } from '../pgoutput/part-assembler.ts';

/** Full batches that may wait behind the one being handled; at this many the socket is paused. */
const MAX_WAITING_BATCHES = 2;

interface Batch {
  readonly parts: TransactionPart[];
  changes: number;
  bytes: number;
}

export interface PartDeliveryDeps {
  readonly handler: ReplicationHandler;
  /** Settles once every relation described so far has its key; undefined when that is so now. */
  readonly ready: () => Promise<void> | undefined;
  readonly inTransaction: () => boolean;
  readonly pause: () => void;
  readonly resume: () => void;
  /** The handler failed; nothing more is delivered. */
  readonly fail: (error: unknown) => void;
}

/**
 * Hands parts to the handler, one call at a time and as many parts as are at hand. While the handler is busy, decoding goes on
 * until two full batches wait; what one socket read holds beyond that (64 KiB) is decoded too, and then reading stops. So
 * memory is bounded by about three batches, whatever the transaction.
 */
export class PartDelivery {
  readonly #deps: PartDeliveryDeps;
  readonly #waiting: Batch[] = [];
  #open: Batch = emptyBatch();
  #idleAt: Lsn | undefined;
  #busy = false;
  #scheduled = false;
  #stopped = false;

  constructor(deps: PartDeliveryDeps) {
    this.#deps = deps;
  }

  push(part: TransactionPart, bytes: number): void {
    const open = this.#open;
    open.parts.push(part);
    open.changes += part.changes.length;
    open.bytes += bytes;
    if (open.changes >= MAX_PART_CHANGES || open.bytes >= MAX_PART_BYTES) {
      this.#waiting.push(open);
      this.#open = emptyBatch();
      if (this.#waiting.length >= MAX_WAITING_BATCHES) this.#deps.pause();
    }
    this.#schedule();
  }

  /** A keepalive outside of a transaction: told to the handler once everything before it was handled. */
  idle(walEnd: Lsn): void {
    this.#idleAt = maxLsn(this.#idleAt ?? walEnd, walEnd);
    this.#schedule();
  }

  /** No further call of the handler; one that runs is left to finish. */
  stop(): void {
    this.#stopped = true;
  }

  /** After the reads that are ready now, so that small transactions that arrived together leave together. */
  #schedule(): void {
    if (this.#scheduled || this.#busy) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#busy = true;
    try {
      for (let batch = this.#take(); batch && !this.#stopped; batch = this.#take()) {
        const ready = this.#deps.ready();
        if (ready) await ready;
        if (this.#stopped) return;
        await this.#deps.handler.onParts(batch.parts, batch.bytes);
      }
      this.#tellIdle();
    } catch (error) {
      this.#stopped = true;
      this.#deps.fail(error);
    } finally {
      this.#busy = false;
    }
  }

  #take(): Batch | undefined {
    const waiting = this.#waiting.shift();
    if (this.#waiting.length < MAX_WAITING_BATCHES) this.#deps.resume();
    if (waiting) return waiting;
    if (this.#open.parts.length === 0) return undefined;
    const open = this.#open;
    this.#open = emptyBatch();
    return open;
  }

  #tellIdle(): void {
    const walEnd = this.#idleAt;
    if (walEnd === undefined || this.#stopped || this.#deps.inTransaction()) return;
    this.#idleAt = undefined;
    this.#deps.handler.onIdle(walEnd);
  }
}

function emptyBatch(): Batch {
  return { parts: [], changes: 0, bytes: 0 };
}
