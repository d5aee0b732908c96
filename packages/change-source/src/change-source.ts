import type { Cell, Lsn, Relation, TransactionPart, UnusableChange } from '@shapecast/log';
import type { KeysetRequest } from './keyset.ts';

/** Who answers on the replication connection; compared with what was seen before to prove continuity (spec R 6.5). */
export interface SourceIdentity {
  readonly systemId: string;
  readonly timeline: number;
  readonly database: string;
  /** `server_version_num`, for example 170005. */
  readonly serverVersion: number;
  /** Flushed WAL position at connection time. */
  readonly walLsn: Lsn;
  /** Backend that sends WAL to this session; 0 when there is none (memory). */
  readonly walSenderPid: number;
  /** Where the timelines before this one ended; absent when that cannot be read, or when there were none. */
  readonly history?: readonly TimelineEnd[];
}

/** A timeline that was left for another one, by a promotion or a recovery to a point in time. */
export interface TimelineEnd {
  readonly timeline: number;
  /** First position that is not part of it any more: below, both have the same WAL. */
  readonly endLsn: Lsn;
}

/** The slot as the session found or made it. */
export interface SlotState {
  /** Slot or publication did not exist and were created now: what was missed in between cannot be recovered (C6, 5 step 7). */
  readonly created: boolean;
  /** Postgres resends everything that commits at or after this. */
  readonly confirmedLsn: Lsn;
  /** Oid of the publication that the slot is read through; absent in memory. Another one published other tables for a while. */
  readonly publicationOid?: number;
}

export interface ReplicationHandler {
  /**
   * Consecutive transactions or fragments, in commit order, as many as were at hand. No further call is made, and the
   * socket is paused, until the returned promise settles: this is the backpressure (spec R 8.3.1). Status updates go on. `bytes` is what
   * they took to be sent, where that is known.
   */
  onParts(parts: readonly TransactionPart[], bytes?: number): Promise<void>;
  /**
   * The server's WAL end, told by a keepalive, at a moment when no transaction is half received and every part received
   * was handed over (spec R 8.4.2 a and b).
   */
  onIdle(walEnd: Lsn): void;
  /**
   * A relation is described, for the first time in the session or anew, before a part with its changes is handed over. Must
   * not throw.
   */
  onRelation?(relation: Relation): void;
  /** A change came without what it takes to know its rows, and is handed over as unusable. Must not throw. */
  onUnusable?(reason: UnusableChange['reason']): void;
}

/** An exclusive replication session: it holds the source's lock until closed. */
export interface ReplicationSession {
  readonly identity: SourceIdentity;
  readonly slot: SlotState;
  /**
   * Streams from the slot's confirmed position until `signal` aborts (then resolves) or the connection is lost (then
   * rejects with SOURCE_UNAVAILABLE or SOURCE_MISCONFIGURED). May be called once.
   */
  stream(handler: ReplicationHandler, signal: AbortSignal): Promise<void>;
  /**
   * Lets Postgres recycle WAL before `lsn` + 1: every transaction that commits at or before it is durable elsewhere.
   * Told with the next status update, which this causes at once when it is due. Values that do not grow are ignored.
   */
  confirm(lsn: Lsn): void;
  /** Sends a last status update, closes the connection, frees the lock. */
  close(): Promise<void>;
}

/** What a waiting or connecting session reports, for health and logs. */
export type SourceProgress =
  | { readonly kind: 'waiting_for_lock' }
  | { readonly kind: 'locked' }
  | { readonly kind: 'creating_slot'; readonly blockedMs: number }
  | { readonly kind: 'ready' };

/**
 * What is known of the holder of the lock from elsewhere than Postgres (spec R 4.6). Hints that make a take-over faster: the
 * lock alone decides.
 */
export interface HolderWatch {
  /** Calls back when the holder said that it leaves, so that the lock is about to be free. The returned function ends it. */
  onLeaving(callback: () => void): () => void;
  /** Walsender of a holder that is gone, or gave no sign of life for too long; undefined while all is well or nothing is known. */
  silentWalSender(): number | undefined;
  /** Other sources that said that they are replicated from such a database. Asked before the lock is. */
  neighbours?(identity: SourceIdentity): Promise<readonly NeighbourSource[]>;
}

/** Another source that is, or was, replicated from a database of the same name on a server with the same identity, perhaps a copy. */
export interface NeighbourSource {
  readonly source: string;
  readonly slotName: string;
  /** Backend that reads from its slot, as its leader says; undefined when nobody leads it at the moment. */
  readonly walSenderPid: number | undefined;
}

/** Decoded changes of one source database. */
export interface ChangeSource {
  /**
   * Connects, takes the lock (waiting as long as another holds it), creates publication and slot when missing. Throws
   * SOURCE_UNAVAILABLE (retry) or SOURCE_MISCONFIGURED with one sentence on what to change (wal_level, role, ...).
   */
  open(
    report: (progress: SourceProgress) => void,
    signal: AbortSignal,
    holder?: HolderWatch,
  ): Promise<ReplicationSession>;
}

/** Visibility of a snapshot: which transactions it shows, and an upper bound for their commit LSNs (spec R 10.5.2). */
export interface SnapshotInfo {
  readonly xmin: bigint;
  readonly xmax: bigint;
  /** Transactions in progress, 64-bit. */
  readonly xip: readonly bigint[];
  /** WAL insert position, read after the snapshot was fixed: every visible transaction committed at or below it. */
  readonly insertLsn: Lsn;
  /**
   * By what the table is published as the snapshot shows it: names, separated by blanks, each of which stands for a stretch of time
   * and never comes again. Empty when it is not. Absent for subsets.
   */
  readonly published?: string;
}

export interface SnapshotRequest {
  readonly schema: string;
  readonly table: string;
  readonly oid: number;
  /** Columns to fetch, in this order. */
  readonly columns: readonly string[];
  /** Canonical SQL, or empty. */
  readonly where: string;
  /** False for `log=changes_only`: only the visibility is wanted. */
  readonly rows: boolean;
  /** Read in the order of the key, if that can be. */
  readonly keyset?: KeysetRequest;
}

/** What else is known of a table once a snapshot of it is fixed. */
export interface SnapshotTable {
  /** What the planner expects the whole table to have; absent when nobody has counted. */
  readonly estimatedRows?: number;
  /** The rows come in the order of the key. Names that order, and the table as it is now; equal as long as a read can go on. */
  readonly order?: string;
  /**
   * Every transaction that the snapshot shows commits below this: as `insertLsn`, but nothing has to be written for the stream to
   * get there. Comes with `order`.
   */
  readonly shownBelow?: Lsn;
}

export interface SnapshotSink {
  /**
   * The snapshot is fixed. Answer `use` to read its rows; `retry` to roll back and try with a new snapshot after a short
   * wait, because this one may miss a transaction that the stream has already delivered (spec R 10.6.7).
   */
  onSnapshot(info: SnapshotInfo, table: SnapshotTable): Promise<'use' | 'retry'>;
  /** A bounded batch of rows, cells in the order of `columns`, in the stream's text form. The cursor waits for the promise. */
  onRows(rows: readonly (readonly Cell[])[]): Promise<void>;
}

/** Some rows of a table as they are now, in an order (spec H 13, R 10.9). */
export interface SubsetRequest {
  readonly schema: string;
  readonly table: string;
  readonly oid: number;
  /** Columns to fetch, in this order. */
  readonly columns: readonly string[];
  /** Canonical SQL. Rows meet all of them, each taken as a whole (SU-5). */
  readonly conditions: readonly string[];
  /** Without `nulls` they come last when ascending and first when descending, as Postgres has it. */
  readonly orderBy: readonly {
    readonly column: string;
    readonly descending: boolean;
    readonly nulls?: 'first' | 'last';
  }[];
  /** Decimal integers. */
  readonly limit?: string;
  readonly offset?: string;
  /** How long Postgres may work on it in all; the time that the sink takes does not count (SU-12). */
  readonly timeoutMs: number;
}

export interface SubsetSink {
  /** Comes once, with the first rows at hand: most of what can fail has not. */
  onSnapshot(info: SnapshotInfo): Promise<void>;
  /** As for a snapshot. */
  onRows(rows: readonly (readonly Cell[])[]): Promise<void>;
}
