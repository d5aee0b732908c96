import type { LogOffset, Lsn, Position } from '@shapecast/log';
import type { Fingerprint, ShapeDefinition } from '@shapecast/shape';
import type { AppliedNote, EntryOrigin } from './applied-note.ts';
import type { EntryMerger } from './compaction.ts';
import type { HomeClaim, HomeOutcome, StoreHome } from './home.ts';
import type { StoreNodeHealth } from './store-health.ts';
import type { ShapeInspection, ShapeReadSight } from './shape-inspection.ts';

/** Names one shard. All its keys live on one node, so that a call is atomic and a loss is a prefix (spec R 12.4.2). */
export interface ShardId {
  readonly source: string;
  readonly incarnation: number;
  readonly shard: number;
}

/** How far a shard has consumed the tx stream. */
export interface ShardCursor {
  /** Sequence of the last message that was consumed completely; 0 before the first. */
  readonly seq: number;
  /** Position of the last operation applied. */
  readonly position: Position;
  /**
   * While a transaction is applied half-way: the sequence of the message with its begin. A new owner reads again from
   * there, to rebuild what it has to remember of the transaction (which entry is the last of a shape); entries that a
   * log already has are skipped. 0 between transactions.
   */
  readonly openTxSeq: number;
}

/** The condition of every write: what the caller believed when it computed the write. */
export interface ShardState {
  /** Grows with every change of owner. */
  readonly epoch: number;
  /** Random token of the acquiring session: an epoch number can become current again after a failover (R 13.3.1a). */
  readonly owner: string;
  /** Version of the set of shapes: a counter and a random token, changed whenever a shape comes, goes or changes state. */
  readonly ver: string;
  readonly cursor: ShardCursor;
}

export interface ShardMeta extends ShardState {
  /** Position of the last transaction applied completely. Nothing past it may be served. */
  readonly visible: Position;
  /** Everything that commits at or below it is visible (`global_last_seen_lsn`, R 14.4). */
  readonly watermark: Lsn;
}

/** What came of a conditional write. Each stale field has its own remedy, so it is a value and not an error. */
export type WriteOutcome = 'ok' | 'epoch' | 'ver' | 'cursor';

/** One operation of one shape, serialised. */
export interface LogEntry {
  readonly handle: string;
  readonly position: Position;
  /** For the filter of shapes whose snapshot is not known yet. */
  readonly xid: bigint;
  /** JSON bytes of the message. */
  readonly bytes: Uint8Array;
  /** Not kept with the entry: that of the newest goes into the note of the shape, if the step says when it was applied. */
  readonly origin?: EntryOrigin | undefined;
}

/**
 * A step of a shard: the entries of any number of consecutive transactions, or of a fragment of a large one. Entries are
 * in commit order per handle.
 */
export interface AppendBatch {
  readonly entries: readonly LogEntry[];
  /** Transactions of which a first part is applied by this step, for the safety ring (R 10.6.7), also when they touch no shape. */
  readonly transactions: readonly { readonly lsn: Lsn; readonly xid: bigint }[];
  readonly to: ShardCursor;
  /** Set when the step ends on a transaction boundary: everything up to it becomes visible together. */
  readonly visible?: Position;
  /** From a progress record or the last commit. Never moves back. */
  readonly watermark?: Lsn;
  /** From a progress record: ring entries of older transactions are dropped. */
  readonly xmin?: bigint;
  /** When the step is sent, in milliseconds since 1970: for the notes of the shapes that get entries. */
  readonly appliedMs?: number;
}

export type ShapeState = 'creating' | 'snapshotting' | 'promoting' | 'live' | 'dead';

/** Visibility of the snapshot a shape starts from. 64-bit ids. */
export interface SnapshotVisibility {
  readonly xmin: bigint;
  readonly xmax: bigint;
  readonly xip: readonly bigint[];
  readonly insertLsn: Lsn;
  /** By what the table was published then (`SnapshotInfo.published`); absent when that is not known. */
  readonly published?: string;
}

/** A shape as a router needs it. */
export interface ShapeRecord {
  readonly handle: string;
  readonly digest: string;
  readonly definition: ShapeDefinition;
  readonly fingerprint: Fingerprint;
  readonly state: ShapeState;
  /** Largest commit LSN the shard had started to apply when the shape was registered; only later ones are routed to it (R 10.6.2). */
  readonly regLsn: Lsn;
  /** JSON bytes at which a chunk closes, fixed at creation (R 11.5.2). */
  readonly chunkBytes: number;
  /** How the messages of the log are written, for as long as the shape lives (R 11.2.2). */
  readonly logFormat: number;
  /** Known once the snapshot is fixed. */
  readonly snapshot?: SnapshotVisibility;
  /** Of the request that made it, if that was traced. */
  readonly traceparent?: string;
}

/** What a reader needs, read in one atomic step (R 14.1). */
export interface ShapeHead {
  readonly handle: string;
  readonly state: ShapeState;
  /** Offset of the last visible entry; `0_inf` when there is none (also while the snapshot runs). */
  readonly tail: LogOffset;
  readonly visible: Position;
  readonly watermark: Lsn;
  /** Snapshot chunks that can no longer grow. */
  readonly closedChunks: number;
  /** The last snapshot chunk is closed; `closedChunks` is their number. */
  readonly snapshotComplete: boolean;
  /** The snapshot has begun to deliver: chunk 0 can be read, if only in part. */
  readonly snapshotStarted: boolean;
  /** Why a dead shape died, and for a failed creation what to answer. */
  readonly error?: ShapeFailure;
  /** Of the entry at `tail`. Absent also when nobody noted anything, when what is noted cannot be read, and for dead shapes. */
  readonly note?: AppliedNote;
}

export interface ShapeFailure {
  /** A code of `@shapecast/errors`. */
  readonly code: string;
  readonly message: string;
}

export interface CreateRequest {
  readonly digest: string;
  readonly definition: ShapeDefinition;
  readonly fingerprint: Fingerprint;
  /** JSON bytes at which a chunk closes; kept for the life of the handle (R 11.5.2). */
  readonly chunkBytes: number;
  /** How the messages of the log will be written; 1 unless given. */
  readonly logFormat?: number;
  /** Old entries of the log may be merged (R 11.6.1). Not part of the identity: whoever makes the shape decides. */
  readonly compaction?: boolean;
  /** W3C trace context of the request that wants it, if that is traced; kept for whoever takes its snapshot (spec O 6.4.1). */
  readonly traceparent?: string | undefined;
  /** What is known elsewhere of the handles that the shard has issued, should the store have lost them (R 15.2.2). */
  readonly issued?: IssuedHandles;
}

/** Second halves of handles, in microseconds since 1970. */
export interface IssuedHandles {
  /** Of a handle that was issued. */
  readonly newest: number;
  /** Above every handle that may have been issued since that became known. */
  readonly ceiling: number;
}

/** A shape was read. */
export interface ShapeReadTime {
  readonly handle: string;
  /** How long ago, in milliseconds. */
  readonly agoMs: number;
  /** Somebody waits for its next change. */
  readonly waiting: boolean;
}

/** How much a shard has, and what of it was read longest ago; of one moment. */
export interface ShardUse {
  /** Shapes that are not dead. */
  readonly alive: number;
  /** Bytes of dead shapes that are still held: they go without anything more being done. */
  readonly dyingBytes: number;
  /** Live shapes that were read, the longest ago first, then by handle. */
  readonly shapes: readonly {
    readonly handle: string;
    /** Milliseconds since 1970, by the store's clock. */
    readonly readAt: number;
    readonly heldBytes: number;
  }[];
}

/** What some of the shapes of a shard weigh. One may be counted twice while others come and go. */
export interface ShardWeight {
  /** Shapes that are not dead, and their bytes as the store holds them. */
  readonly alive: number;
  readonly bytes: number;
  /** Bytes of dead shapes that are still held. */
  readonly dyingBytes: number;
  /** For the rest; absent when this was the last of it. */
  readonly cursor?: string;
}

/** How full one of the servers is that hold the shards. */
export interface StoreMemory {
  /** Which one; the only one may have any name. */
  readonly node: string;
  /** Whether a shard was there when this was read. */
  holds(shard: ShardId): boolean;
  readonly usedBytes: number;
  readonly maxBytes: number;
  /** At its limit it deletes data on its own, instead of refusing more: logs would lose entries (spec O F146). */
  readonly evicts: boolean;
}

/** What one step of a search for data without an owner came to. */
export interface OrphanStep {
  readonly looked: number;
  readonly deleted: number;
  /** For the next step; absent when all was looked at. */
  readonly cursor?: string;
}

/** What a shape weighs. */
export interface ShapeUse {
  readonly handle: string;
  readonly state: ShapeState;
  /** JSON bytes of the entries of the log. */
  readonly logBytes: number;
  /** JSON bytes of the snapshot. */
  readonly snapshotBytes: number;
  /** Bytes of both as the store holds them: less than their sum once they are compressed. */
  readonly heldBytes: number;
  /** JSON bytes of changes that wait for the snapshot; absent once the shape is live. */
  readonly pendingBytes?: number;
  /** The snapshot is complete, and `sealSnapshot` has not been through it. */
  readonly snapshotToSeal: boolean;
  readonly compaction: boolean;
}

/** Some of the shapes of a shard. A shape may be on two pages; one that is there from the first page to the last is on one. */
export interface ShapePage {
  readonly shapes: readonly ShapeUse[];
  /** For the next page; absent when this was the last. */
  readonly cursor?: string;
}

/** What a call that seals came to. */
export interface SealStep {
  /** Absent when nothing was sealed by this call. */
  readonly sealed?: { readonly handle: string; readonly jsonBytes: number; readonly heldBytes: number };
  /** To go on with; absent when all chunks were looked at. */
  readonly cursor?: string;
}

export interface LogRead {
  readonly entries: readonly { readonly offset: LogOffset; readonly bytes: Uint8Array }[];
  /** Offset of the last entry returned, or the requested offset when there is none. */
  readonly end: LogOffset;
  /** Where the range ends. Beyond `end` when the read stopped at its size: go on from `end`, with the same head. */
  readonly upTo: LogOffset;
  /** `upTo` is the end of a closed chunk, so that this range never changes. */
  readonly closed: boolean;
  /** Where the rest is, for the call that goes on. */
  readonly place?: string;
}

export interface SnapshotRead {
  /** Pieces of the chunk's JSON: rows separated by commas, without brackets. Pieces do not end inside a row. */
  readonly parts: readonly Uint8Array[];
  /** Index to continue from. */
  readonly nextPart: number;
  /** No part follows. */
  readonly closed: boolean;
}

/** Transactions that a shard applied and that a new snapshot might not show yet (spec R 10.6.7). */
export interface SafetyRing {
  readonly entries: readonly { readonly lsn: Lsn; readonly xid: bigint }[];
  /** Transactions that the ring does not name had this xid or an older one; 0 when it names all that could matter. */
  readonly floor: bigint;
  /**
   * Set while even that is not known: the shard stands behind transactions that it never saw (a new shard does). The value
   * names that place, for `boundRing`.
   */
  readonly skipped?: string;
}

/** A piece of a snapshot chunk. */
export interface SnapshotPart {
  readonly chunk: number;
  readonly bytes: Uint8Array;
  readonly close: boolean;
  readonly mark?: string;
}

/** What came of the wish to begin a snapshot attempt. `over`: the shape is gone, or past its snapshot. */
export type AttemptStart =
  | 'begun'
  /** Another attempt has a lease that has not run out. */
  | 'alive'
  /** Another attempt ended without finishing, and this one goes on where it was (`readInterrupted`). */
  | 'resumed'
  /** Another attempt ended without finishing, and readers may have seen rows of it: the shape must be rotated. */
  | 'readable'
  | 'over';

/** One of the reads that a snapshot is put together from: each goes on where the one before broke off. */
export interface SnapshotSegment extends SnapshotVisibility {
  /** The newest mark when it began; absent for the first. */
  readonly after?: string;
}

/** Of a snapshot that was broken off and goes on. */
export interface InterruptedSnapshot {
  /** The newest. */
  readonly mark: string;
  /** At least one; what the first shows, all show. */
  readonly segments: readonly SnapshotSegment[];
}

/** A change of an entry that waits for the snapshot: other bytes, or, without, that it goes. */
export interface PendingEdit {
  readonly position: Position;
  readonly bytes?: Uint8Array;
}

/** `unseen`: nothing was recorded, because the snapshot does not show what the shape cannot do without (`snapshotDoubts`). */
export type VisibilityOutcome = 'known' | 'unseen' | 'over';

/** A transaction that ends a shape unless the snapshot that it will start from shows it: a truncation. */
export interface SnapshotDoubt {
  readonly handle: string;
  readonly lsn: Lsn;
  readonly xid: bigint;
}

/** The set of shapes of a shard as of one version. */
export interface ShardShapes {
  readonly ver: string;
  readonly shapes: readonly ShapeRecord[];
  /** Handles of shapes that are alive, but whose definition somebody has deleted: nothing can be routed to them. */
  readonly damaged?: readonly string[];
}

/** Shapes that changed between two versions; dead ones are listed with state `dead`. */
export interface ShardDelta {
  readonly ver: string;
  readonly changed: readonly ShapeRecord[];
}

/**
 * Shape logs, grouped in shards (spec R 12). Writers are routers; every write names the state it was computed from, and
 * at most one writer makes progress (I8). Readers are API pods. Every call may throw STORE_UNAVAILABLE; a call whose
 * answer was lost is simply repeated.
 */
export interface ShapeStore {
  // ---- whose it is
  /**
   * Marks the store as that of the installation, for a source, or renews the mark. One of another installation is left alone, unless
   * the claim says that it is to be replaced and nobody has renewed it since.
   */
  claimHome(source: string, claim: HomeClaim): Promise<HomeOutcome>;
  /** The mark; undefined for a store that has none, or has lost it. */
  readHome(source: string): Promise<StoreHome | undefined>;
  /** Removes the mark: of a source that is gone for good. */
  forgetHome(source: string): Promise<void>;

  // ---- the owner of a shard
  /**
   * Takes the shard over: the epoch grows and earlier owners can no longer write. Creates the shard when it is new. Tells whether the
   * store may have lost what it had acknowledged since an owner last acquired the shard or vouched for it (`maybeLost`).
   */
  acquire(shard: ShardId, owner: string): Promise<ShardMeta & { readonly maybeLost: boolean }>;
  /** Gives the shard up, if `epoch` and `owner` are still current. */
  release(shard: ShardId, state: Pick<ShardState, 'epoch' | 'owner'>): Promise<void>;
  readMeta(shard: ShardId): Promise<ShardMeta | undefined>;
  loadShapes(shard: ShardId): Promise<ShardShapes>;
  /**
   * What changed since `ver`; undefined when that version is too old for it, 'regressed' when it is none of those that led to what there
   * is now: the store has lost history. In both cases all has to be loaded.
   */
  loadDelta(shard: ShardId, ver: string): Promise<ShardDelta | 'regressed' | undefined>;
  /**
   * Names the connection that a shard is reached by. Another one after everything that may have taken back what the store had
   * acknowledged: a restart, a fail-over.
   */
  connectionOf(shard: ShardId): string;
  /**
   * The owner has found everything as it knows it, on this server: nothing was lost up to now. False when the shard is not in that state.
   */
  vouch(shard: ShardId, state: ShardState): Promise<boolean>;
  /**
   * Has `getOrCreate` wait with new shapes until the owner's next append, but for half a second at most: so that neither keeps the
   * other from getting on (spec O F134). Does nothing unless `epoch` and `owner` are current.
   */
  hold(shard: ShardId, state: Pick<ShardState, 'epoch' | 'owner'>): Promise<void>;
  /**
   * Applies a step. Changes nothing unless the shard is in the state `expected`. Entries that a log already has are
   * skipped, entries of unknown or dead handles dropped; entries of shapes that are not live go to a hidden pending log.
   * The implementation splits large batches; a reader sees a transaction as a whole in any case.
   */
  append(shard: ShardId, expected: ShardState, batch: AppendBatch): Promise<WriteOutcome>;

  // ---- life of a shape
  /** The handle for this definition, created in state `creating` when there is none. Atomic: N callers get one handle (R 10.7.1). */
  getOrCreate(shard: ShardId, request: CreateRequest): Promise<{ readonly handle: string; readonly created: boolean }>;
  /** The current handle of a definition. */
  find(shard: ShardId, digest: string): Promise<string | undefined>;
  /**
   * Starts a snapshot attempt: state becomes `snapshotting` and `token` its fence; later calls with another token are
   * refused. The attempt has a lease of `ShapeStoreLimits.leaseMs` by the store's clock, which each of its calls renews;
   * until it runs out no other attempt begins (spec R 10.7.4). The lease decides who tries, the token who writes.
   *
   * An attempt whose pieces were marked can be gone on with, at most `ShapeStoreLimits.resumptions` times, by a store that has
   * surely lost nothing since it began.
   */
  snapshotBegin(shard: ShardId, handle: string, token: string): Promise<AttemptStart>;
  /** Renews the lease. False when the attempt is no longer current (so are the next ones). */
  snapshotBeat(shard: ShardId, handle: string, token: string): Promise<boolean>;
  /** Gives the lease up: another attempt may begin at once. */
  snapshotYield(shard: ShardId, handle: string, token: string): Promise<boolean>;
  /** Of an attempt that was begun with 'resumed'. Undefined when it is no longer current. */
  readInterrupted(shard: ShardId, handle: string, token: string): Promise<InterruptedSnapshot | undefined>;
  /** Records the visibility before rows are read; for a resumed attempt, that of one more segment. */
  snapshotKnown(
    shard: ShardId,
    handle: string,
    token: string,
    visibility: SnapshotVisibility,
  ): Promise<VisibilityOutcome>;
  /**
   * Remembers doubts about shapes whose snapshot is not known yet, for whoever takes it; to be called before the cursor moves
   * past the transactions. Returns handles whose snapshot is known by now and does not show the transaction.
   */
  snapshotDoubts(shard: ShardId, doubts: readonly SnapshotDoubt[]): Promise<readonly string[]>;
  /**
   * Appends a piece (rows separated by commas, no leading or trailing comma; at most 1 MiB) to the open snapshot chunk.
   * `chunk` is the open chunk's number and a check; `close` ends it. A snapshot can be gone on with behind a piece that has a
   * `mark`, which says to the caller where that is.
   */
  snapshotPart(shard: ShardId, handle: string, token: string, part: SnapshotPart): Promise<boolean>;
  /**
   * Entries that wait for the snapshot, after a position, at most `limit`. Undefined when the attempt is no longer current.
   */
  readPending(
    shard: ShardId,
    handle: string,
    token: string,
    after: Position,
    limit: number,
  ): Promise<readonly LogEntry[] | undefined>;
  /**
   * Changes entries that wait for the snapshot, all or, when the attempt is no longer current, none. Edits are in order; those of
   * entries that are not there are passed over.
   */
  amendPending(shard: ShardId, handle: string, token: string, edits: readonly PendingEdit[]): Promise<boolean>;
  /** Every chunk is closed: state becomes `promoting`. */
  snapshotDone(shard: ShardId, handle: string, token: string): Promise<boolean>;
  /** The attempt failed: the shape is removed and its rows deleted, waiters read `failure` from its head (R 10.7.5). */
  snapshotFailed(shard: ShardId, handle: string, token: string, failure: ShapeFailure): Promise<boolean>;
  /**
   * Moves up to `limit` pending entries into the log through the snapshot's filter (R 10.6.4). Returns how many are left;
   * the call that empties the pending log makes the shape `live`. Undefined when the shape is not `promoting`.
   */
  promote(shard: ShardId, handle: string, limit: number): Promise<number | undefined>;
  /** Ends a handle for ever; the definition is free for a new one. False when it was dead or unknown already. */
  rotate(shard: ShardId, handle: string, failure: ShapeFailure): Promise<boolean>;
  /** Ring entries with a commit LSN at or below `upTo`. */
  readRing(shard: ShardId, upTo: Lsn): Promise<SafetyRing>;
  /** The cursor is about to move over transactions that no step names: the ring is no longer complete. */
  skipRing(shard: ShardId): Promise<void>;
  /**
   * Every transaction that had committed when the shard stood at `skipped` has an xid of at most `newest`. Does nothing when the
   * shard has skipped others since.
   */
  boundRing(shard: ShardId, skipped: string, newest: bigint): Promise<void>;
  /** Deletes data of handles that died longer ago than `graceMs`, a bounded number per call. Returns how many. */
  sweep(shard: ShardId, graceMs: number): Promise<number>;

  /**
   * How far the shard has come for sure: what its store held when this was called, it would hold after a crash as well (spec R 12.4.3).
   * May take seconds, in which other shards are asked for with it. Undefined when nothing is sure: the shard does not exist, or what
   * would keep it, disk or replicas, is late.
   */
  durableCursor(shard: ShardId): Promise<ShardCursor | undefined>;
  /** Second half of the newest handle of a shard, in microseconds since 1970; 0 when it has issued none. */
  issuedHandles(shard: ShardId): Promise<number>;

  // ---- use and room (spec R 12.6, 15.5)
  /**
   * Remembers when shapes were last read; what is known and newer stays. That somebody waits is believed for `waitingMs`. Handles
   * that are unknown or dead are passed over.
   */
  recordReads(shard: ShardId, reads: readonly ShapeReadTime[], waitingMs: number): Promise<void>;
  /** `waiting`: whether shapes that somebody waits for count as well. At most `limit` shapes. */
  leastRead(shard: ShardId, limit: number, waiting: 'skip' | 'include'): Promise<ShardUse>;
  /** One step of weighing a shard: some of its shapes. */
  weigh(shard: ShardId, cursor?: string): Promise<ShardWeight>;
  /** How full the store is, for each of its servers that has a limit. */
  memory(): Promise<readonly StoreMemory[]>;
  /** How its servers are doing, of those that can be reached and say it. */
  health(): Promise<readonly StoreNodeHealth[]>;
  /**
   * One step of a search through all data of a source: deletes what belongs to incarnations before `incarnation`, and what no
   * shape owns, once nobody has touched it for `graceMs` (R 6.5.1, 15.4.3). Repeatable, and safe beside everything else.
   */
  sweepOrphans(
    source: string,
    options: { readonly incarnation: number; readonly graceMs: number },
    cursor?: string,
  ): Promise<OrphanStep>;
  /** One step of a search through the records of a shard: removes those that belong to no shape, and ends shapes that lack one. */
  sweepRecords(shard: ShardId, cursor?: string): Promise<OrphanStep>;

  // ---- upkeep; what readers see does not change, and any process may do it
  /** A page of the shapes of a shard, dead ones too. */
  scanShapes(shard: ShardId, cursor?: string): Promise<ShapePage>;
  /** When shapes of a shard were last read, in order; also of unknown ones, which never were. For people who look. */
  whenRead(shard: ShardId, handles: readonly string[]): Promise<readonly ShapeReadSight[]>;
  /** All that is known of some shapes of a shard, dead ones too, in order. For people who look: a few hundred at a time. */
  inspectShapes(shard: ShardId, handles: readonly string[]): Promise<readonly (ShapeInspection | undefined)[]>;
  /** Compresses the next chunk of a log that is closed and visible, at most one per call (R 12.2.2). */
  seal(shard: ShardId, cursor?: string): Promise<SealStep>;
  /** Compresses chunk `chunk` of a snapshot that is complete. Returns the chunk to go on with, undefined after the last. */
  sealSnapshot(shard: ShardId, handle: string, chunk: number): Promise<number | undefined>;
  /**
   * Merges entries of one more chunk of a shape made with `compaction`, if it is old enough (R 11.6). 'more' when another one
   * may follow. Chunks must be sealed first.
   */
  compact(shard: ShardId, handle: string, merge: () => EntryMerger): Promise<'done' | 'more'>;

  // ---- readers
  /** Undefined when the handle is unknown or its data is gone. */
  readHead(shard: ShardId, handle: string): Promise<ShapeHead | undefined>;
  /** What the table was like when the shape was made. Undefined when the handle is unknown or its data is gone. */
  readFingerprint(shard: ShardId, handle: string): Promise<Fingerprint | undefined>;
  /** Heads of many handles of one shard in one round trip, in order. */
  readHeads(shard: ShardId, handles: readonly string[]): Promise<readonly (ShapeHead | undefined)[]>;
  /**
   * Entries after `after` up to the end of the closed chunk that holds the first of them, or up to the visible tail when
   * that chunk is open (R 11.5.4), never past `head.visible`. Throws STORE_UNAVAILABLE when the range is not complete
   * (R 14.1), SHAPE_DATA_LOST when a live shape says that it is there and it is not (R 14.8). For a dead shape whose data is
   * gone: no entries. Stops when `maxBytes` of JSON are read, or somewhat more, but always returns an entry if there is one.
   *
   * Whoever goes on with a range gives back the `place` of the read before: the range may have been compacted meanwhile, and
   * its entries must come from one version of it (R 11.6.5). The old version stays for the grace that `sweep` is given; then
   * the read throws STORE_UNAVAILABLE, and has to begin again.
   */
  readLog(shard: ShardId, head: ShapeHead, after: LogOffset, maxBytes?: number, place?: string): Promise<LogRead>;
  /**
   * Parts of snapshot chunk `chunk` from `fromPart` on, about `maxBytes` at most. Undefined when the chunk has not begun, or
   * when the shape is dead and its data gone. Throws SHAPE_DATA_LOST when a closed chunk of a live shape is not there.
   */
  readSnapshot(
    shard: ShardId,
    handle: string,
    chunk: number,
    fromPart: number,
    maxBytes: number,
  ): Promise<SnapshotRead | undefined>;

  /** False while the connection is down. */
  connected(): boolean;
  close(): Promise<void>;
}

/** Visible in the snapshot, and therefore not to be repeated by the log (R 10.6.4). */
export function isVisible(snapshot: Pick<SnapshotVisibility, 'xmin' | 'xmax' | 'xip'>, xid: bigint): boolean {
  return xid < snapshot.xmin || (xid < snapshot.xmax && !snapshot.xip.includes(xid));
}
