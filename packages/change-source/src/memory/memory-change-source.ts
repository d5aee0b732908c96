import { ShapecastError } from '@shapecast/errors';
import { maxLsn, type Lsn, type TransactionPart } from '@shapecast/log';
import { abortReason } from '@shapecast/service-kit';
import type {
  ChangeSource,
  ReplicationHandler,
  ReplicationSession,
  SlotState,
  SourceIdentity,
  SourceProgress,
} from '../change-source.ts';
import type { GuardedSlot, SlotHold, SlotReport } from '../guarded-slot.ts';
import type { CommittedTransaction, MemoryDatabase } from './memory-database.ts';

const MAX_PART_CHANGES = 500;

/** Changes of a `MemoryDatabase`, with its one slot and its one lock. */
export class MemoryChangeSource implements ChangeSource, GuardedSlot {
  readonly #database: MemoryDatabase;
  readonly #waiting: (() => void)[] = [];
  #holder: MemorySession | 'guard' | undefined;
  #confirmedLsn: Lsn | undefined;

  constructor(database: MemoryDatabase) {
    this.#database = database;
  }

  async open(report: (progress: SourceProgress) => void, signal: AbortSignal): Promise<ReplicationSession> {
    signal.throwIfAborted();
    while (this.#holder) {
      report({ kind: 'waiting_for_lock' });
      signal.throwIfAborted();
      await this.#lockFreed(signal);
    }
    const created = this.#confirmedLsn === undefined;
    this.#confirmedLsn ??= this.#database.walLsn;
    const session: MemorySession = new MemorySession(this.#database, {
      slot: { created, confirmedLsn: this.#confirmedLsn },
      confirm: (lsn) => {
        this.#confirmedLsn = maxLsn(this.#confirmedLsn ?? lsn, lsn);
        this.#database.recycle(lsn);
      },
      ended: () => this.#free(session),
    });
    this.#holder = session;
    report({ kind: 'locked' });
    report({ kind: 'ready' });
    return session;
  }

  /** Breaks the connection of the session that holds the lock, as a network failure would. */
  disconnect(): void {
    if (this.#holder === 'guard') return;
    this.#holder?.break(new ShapecastError('SOURCE_UNAVAILABLE', 'The database closed the connection.'));
  }

  /** Drops the slot: the next session finds it newly created. */
  dropSlot(): void {
    this.#confirmedLsn = undefined;
  }

  async report(): Promise<SlotReport | undefined> {
    const confirmedLsn = this.#confirmedLsn;
    if (confirmedLsn === undefined) return undefined;
    const { walLsn } = this.#database;
    return {
      walLsn,
      confirmedLsn,
      restartLsn: confirmedLsn,
      locked: this.#holder !== undefined,
      walStatus: 'reserved',
    };
  }

  /** Time does not pass in memory: who holds the lock now goes on holding it. */
  async drop(_patienceMs: number, signal: AbortSignal): Promise<SlotHold | undefined> {
    signal.throwIfAborted();
    if (this.#holder !== undefined) return undefined;
    this.#holder = 'guard';
    this.#confirmedLsn = undefined;
    return { lost: new AbortController().signal, release: async () => this.#free('guard') };
  }

  #free(holder: MemorySession | 'guard'): void {
    if (this.#holder !== holder) return;
    this.#holder = undefined;
    for (const wake of this.#waiting.splice(0)) wake();
  }

  #lockFreed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = () => reject(abortReason(signal));
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(() => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      });
    });
  }
}

interface SessionHooks {
  readonly slot: SlotState;
  confirm(lsn: Lsn): void;
  ended(): void;
}

class MemorySession implements ReplicationSession {
  readonly identity: SourceIdentity;
  readonly slot: SlotState;
  readonly #database: MemoryDatabase;
  readonly #hooks: SessionHooks;
  readonly #broken = new AbortController();
  #streaming = false;
  #wake = () => {};

  constructor(database: MemoryDatabase, hooks: SessionHooks) {
    this.#database = database;
    this.#hooks = hooks;
    this.slot = hooks.slot;
    this.identity = {
      systemId: 'memory',
      timeline: 1,
      database: 'memory',
      serverVersion: 180000,
      walLsn: database.walLsn,
      walSenderPid: 0,
    };
  }

  async stream(handler: ReplicationHandler, signal: AbortSignal): Promise<void> {
    if (this.#streaming) throw new Error('stream() was called twice');
    this.#streaming = true;
    const stopped = AbortSignal.any([signal, this.#broken.signal]);
    const ended = new Promise<void>((resolve) => {
      if (stopped.aborted) resolve();
      stopped.addEventListener('abort', () => resolve(), { once: true });
    });
    const stopListening = this.#database.onCommit(() => this.#wake());
    try {
      await Promise.race([this.#deliver(handler, stopped), ended]);
    } finally {
      stopListening();
    }
    if (!signal.aborted && this.#broken.signal.aborted) throw abortReason(this.#broken.signal);
  }

  confirm(lsn: Lsn): void {
    if (!this.#broken.signal.aborted) this.#hooks.confirm(lsn);
  }

  break(reason: Error): void {
    this.#broken.abort(reason);
    this.#hooks.ended();
  }

  async close(): Promise<void> {
    this.break(new ShapecastError('SOURCE_UNAVAILABLE', 'The session was closed.'));
  }

  async #deliver(handler: ReplicationHandler, stopped: AbortSignal): Promise<void> {
    let delivered = this.slot.confirmedLsn;
    let idleAt: Lsn | undefined;
    while (!stopped.aborted) {
      const awake = new Promise<void>((resolve) => (this.#wake = resolve));
      const walEnd = this.#database.walLsn;
      const transactions = this.#database.committedAfter(delivered);
      for (const parts of batches(transactions)) {
        await handler.onParts(parts);
        if (stopped.aborted) return;
      }
      delivered = maxLsn(delivered, transactions.at(-1)?.lsn ?? delivered);
      if (walEnd !== idleAt) handler.onIdle(walEnd);
      idleAt = walEnd;
      // A turn of the event loop, so that a handler that answers at once cannot starve everybody else.
      await new Promise((resolve) => setImmediate(resolve));
      await Promise.race([awake, aborted(stopped)]);
    }
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** Small transactions together, large ones in parts of their own. */
function* batches(transactions: readonly CommittedTransaction[]): Generator<TransactionPart[]> {
  let batch: TransactionPart[] = [];
  let size = 0;
  for (const transaction of transactions) {
    for (const part of partsOf(transaction)) {
      batch.push(part);
      size += part.changes.length;
      if (size < MAX_PART_CHANGES) continue;
      yield batch;
      batch = [];
      size = 0;
    }
  }
  if (batch.length > 0) yield batch;
}

function* partsOf({ lsn, endLsn, xid, changes }: CommittedTransaction): Generator<TransactionPart> {
  for (let from = 0; from < changes.length; from += MAX_PART_CHANGES) {
    const to = from + MAX_PART_CHANGES;
    yield {
      lsn,
      endLsn,
      xid,
      commitTimeUs: 0n,
      begin: from === 0,
      commit: to >= changes.length,
      changes: changes.slice(from, to),
    };
  }
}
