import {
  MemoryDatabase,
  MemorySourceDatabase,
  type ChangeSource,
  type ReplicationHandler,
  type ReplicationSession,
  type SourceDatabase,
  type SourceProgress,
  type TimelineEnd,
} from '@shapecast/change-source';
import { ShapecastError } from '@shapecast/errors';
import type { Change, Lsn, Relation, TransactionPart } from '@shapecast/log';

/** A transaction as the WAL holds it. */
export interface TestTransaction {
  readonly lsn: Lsn;
  readonly endLsn: Lsn;
  readonly xid: bigint;
  readonly commitTimeUs: bigint;
  readonly changes: readonly Change[];
}

export const testRelation: Relation = {
  oid: 16_384,
  schema: 'public',
  name: 'items',
  replicaIdentity: 'f',
  columns: [
    { name: 'id', typeOid: 23, typeMod: -1 },
    { name: 'note', typeOid: 25, typeMod: -1 },
  ],
  keyColumns: [0],
};

/**
 * A server's WAL with one slot and one lock, whose sessions a test can cut off at any moment. It sends again everything
 * after the confirmed position, in fragments whose sizes the test decides, as Postgres would.
 */
export class TestWal implements ChangeSource {
  readonly transactions: TestTransaction[] = [];
  /** Changes in a fragment; asked anew for every fragment. */
  fragmentChanges: () => number = () => 3;
  /** Transactions at hand per call; asked anew for every call. */
  partsAtHand: () => number = () => 4;
  systemId = 'system-1';
  timeline = 1;
  history: readonly TimelineEnd[] = [];
  /** Called with every position Postgres is told, before it takes effect. */
  onConfirm: (lsn: Lsn) => void = () => undefined;

  /** Next byte, as Postgres keeps it: what commits at or above is sent again. */
  confirmed = 100n as Lsn;
  slotExists = false;
  #end = 100n;
  #xid = 700n;
  #holder: TestSession | undefined;
  #watchers = new Set<() => void>();

  get end(): Lsn {
    return this.#end as Lsn;
  }

  get holder(): TestSession | undefined {
    return this.#holder;
  }

  /** Commits a transaction of `count` inserts. */
  commit(count: number, text = (i: number): string => `row ${i}`): TestTransaction {
    const lsn = (this.#end + 10n) as Lsn;
    const changes = Array.from({ length: count }, (_, i): Change => ({
      kind: 'insert',
      op: 2 * i,
      relation: testRelation,
      new: [String(i), text(i)],
    }));
    const xid = (this.#xid += 1n);
    const transaction = { lsn, endLsn: (lsn + 5n) as Lsn, xid, commitTimeUs: xid * 1_000n, changes };
    this.transactions.push(transaction);
    this.advance(15n);
    return transaction;
  }

  /** Writes WAL that no published table is concerned with. */
  advance(bytes: bigint): void {
    this.#end += bytes;
    this.wake();
  }

  /** The server forgets its slot, and makes a new one at the next connection. */
  dropSlot(): void {
    this.slotExists = false;
  }

  wake(): void {
    for (const watcher of this.#watchers) watcher();
  }

  async open(report: (progress: SourceProgress) => void, signal: AbortSignal): Promise<ReplicationSession> {
    // As Postgres does: a standby introduces itself, and then waits.
    const walLsn = this.end;
    while (this.#holder) {
      signal.throwIfAborted();
      report({ kind: 'waiting_for_lock' });
      await this.wait(signal);
    }
    signal.throwIfAborted();
    const created = !this.slotExists;
    if (created) this.confirmed = this.end;
    this.slotExists = true;
    const session = new TestSession(this, created, walLsn);
    this.#holder = session;
    report({ kind: 'locked' });
    report({ kind: 'ready' });
    return session;
  }

  /** Frees the lock and cuts the session off, as when its process was killed: it hears nothing of it. */
  cutOff(): void {
    this.#holder?.cut();
    this.release(this.#holder);
  }

  release(session: TestSession | undefined): void {
    if (session === this.#holder) this.#holder = undefined;
    this.wake();
  }

  async wait(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#watchers.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#watchers.add(done);
      signal.addEventListener('abort', done);
    });
  }
}

class TestSession implements ReplicationSession {
  readonly identity;
  readonly slot;
  readonly #wal: TestWal;
  #cut = false;
  #broken: ShapecastError | undefined;

  constructor(wal: TestWal, created: boolean, walLsn: Lsn) {
    this.#wal = wal;
    const { systemId, timeline, history } = wal;
    this.identity = { systemId, timeline, history, database: 'test', serverVersion: 170_000, walLsn, walSenderPid: 0 };
    this.slot = { created, confirmedLsn: wal.confirmed };
  }

  cut(): void {
    this.#cut = true;
  }

  /** The connection breaks, and the session is told. */
  break(): void {
    this.#broken = new ShapecastError('SOURCE_UNAVAILABLE', 'The connection to Postgres was lost.');
    this.#wal.wake();
  }

  async stream(handler: ReplicationHandler, signal: AbortSignal): Promise<void> {
    const wal = this.#wal;
    let next = wal.transactions.findIndex((transaction) => transaction.lsn >= this.slot.confirmedLsn);
    if (next < 0) next = wal.transactions.length;
    while (!signal.aborted) {
      if (this.#broken) throw this.#broken;
      const batch = this.#cut ? [] : wal.transactions.slice(next, next + wal.partsAtHand());
      if (batch.length === 0) {
        // Postgres tells its position whenever everything was sent.
        if (!this.#cut) handler.onIdle(wal.end);
        await wal.wait(signal);
        continue;
      }
      next += batch.length;
      const parts = batch.flatMap((transaction) => fragments(transaction, wal.fragmentChanges));
      // Half of a transaction may be at hand while the rest is still on its way.
      const middle = Math.ceil(parts.length / 2);
      for (const group of [parts.slice(0, middle), parts.slice(middle)]) {
        if (group.length > 0 && !signal.aborted && !this.#cut) await handler.onParts(group);
      }
    }
  }

  confirm(lsn: Lsn): void {
    if (this.#cut) return;
    this.#wal.onConfirm(lsn);
    if (lsn + 1n > this.#wal.confirmed) this.#wal.confirmed = (lsn + 1n) as Lsn;
  }

  async close(): Promise<void> {
    this.#wal.release(this);
  }
}

function fragments(transaction: TestTransaction, size: () => number): TransactionPart[] {
  const { lsn, endLsn, xid, commitTimeUs, changes } = transaction;
  const parts: TransactionPart[] = [];
  for (let from = 0; from < changes.length;) {
    const to = Math.min(changes.length, from + Math.max(1, size()));
    const ends = { begin: from === 0, commit: to === changes.length };
    parts.push({ lsn, endLsn, xid, commitTimeUs, ...ends, changes: changes.slice(from, to) });
    from = to;
  }
  return parts;
}

export function testDatabase(
  wal: TestWal,
): SourceDatabase & { readonly published: string[]; readonly repaired: number[] } {
  const published: string[] = [];
  const repaired: number[] = [];
  return {
    published,
    repaired,
    introspect: async () => undefined,
    publication: new MemorySourceDatabase(new MemoryDatabase()).publication,
    publish: async ({ schema, name }) => {
      published.push(`${schema}.${name}`);
      return 'rel:1';
    },
    repairReplicaIdentity: async (oid) => void repaired.push(oid),
    readTables: async () => {},
    listenForDdl: async () => {},
    writers: async () => ({ xids: [], newest: 0n }),
    progress: async () => ({ xmin: 700n + BigInt(wal.transactions.length), walLsn: wal.end }),
    snapshot: async () => undefined,
    placeKeys: async () => [],
    subset: async () => undefined,
    rest: () => undefined,
    close: async () => undefined,
  };
}
