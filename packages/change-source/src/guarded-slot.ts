import type { Lsn } from '@shapecast/log';

/** What Postgres says about the slot of a source, and about who uses it. */
export interface SlotReport {
  /** End of WAL at this moment. */
  readonly walLsn: Lsn;
  /** Everything that commits below it may be forgotten as far as the slot is concerned. */
  readonly confirmedLsn: Lsn;
  /** Postgres keeps all WAL from here on for the slot. Older than the confirmed position while a transaction is open. */
  readonly restartLsn: Lsn;
  /** `max_slot_wal_keep_size`; absent when nothing is limited. */
  readonly keepBytes?: bigint;
  /** Somebody holds the lock of the source: a replicator that leads, or is about to. */
  readonly locked: boolean;
  /** What Postgres says of the WAL that it keeps: `lost` is not among it, because a slot that is lost keeps none. */
  readonly walStatus: WalStatus;
  /** WAL that may still be written before the slot is in danger of being lost; absent when nothing is limited. */
  readonly safeBytes?: bigint;
}

/** Within `max_wal_size`; beyond that, and kept for slots; to be removed with the next checkpoint. */
export type WalStatus = 'reserved' | 'extended' | 'unreserved';

/** The lock of a source without a slot: as long as it is held, nobody sets up another one. */
export interface SlotHold {
  /** Aborts when the lock is gone, because its connection is. */
  readonly lost: AbortSignal;
  /** Frees the lock. A second call is a no-op. */
  release(): Promise<void>;
}

/** The slot of a source as seen from outside of its session: who keeps an eye on it may hold no session, and no other server. */
export interface GuardedSlot {
  /** Undefined when there is no slot, or one for which nothing is kept. Throws SOURCE_UNAVAILABLE or SOURCE_MISCONFIGURED. */
  report(signal: AbortSignal): Promise<SlotReport | undefined>;
  /**
   * Takes the lock of the source, ends whoever uses the slot without it, and drops the slot if there is one. Undefined when
   * somebody else holds the lock and goes on holding it for `patienceMs`: then the slot is theirs to drop. Throws
   * SOURCE_UNAVAILABLE or SOURCE_MISCONFIGURED when it stays, with the lock free again.
   */
  drop(patienceMs: number, signal: AbortSignal): Promise<SlotHold | undefined>;
}
