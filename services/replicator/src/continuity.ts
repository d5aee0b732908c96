import type { SlotState, SourceIdentity } from '@shapecast/change-source';
import type { Lsn, RecordChain } from '@shapecast/log';
import type { SourceRecord } from '@shapecast/messaging';

/** What the tx stream of the current incarnation says about itself. */
export interface StreamState {
  readonly chain: RecordChain;
  /** It holds every transaction that commits below. */
  readonly held: Lsn;
}

/** What a session found, and what this process is configured for. */
export interface Present {
  readonly identity: Pick<SourceIdentity, 'systemId' | 'timeline'>;
  /** Flushed WAL position now; that of `identity` is from before a standby began to wait for the lock. */
  readonly walLsn: Lsn;
  readonly slot: SlotState;
  readonly slotName: string;
  readonly shards: number;
}

/** Why the history before cannot be continued. `first` is the only one that is no reason to worry. */
export type Break =
  | 'first'
  | 'database_id_or_timeline_changed'
  | 'slot_created'
  | 'slot_renamed'
  | 'shards_changed'
  | 'stream_lost'
  | 'slot_ahead_of_stream'
  | 'wal_lost';

/**
 * Decides whether the stored history goes on (spec R 6.5): undefined when it does. A promotion always breaks it, which is
 * the strict half of C2: nothing here can prove that the published history is a prefix of the new timeline.
 */
export function findBreak(
  stored: SourceRecord | undefined,
  stream: StreamState | undefined,
  present: Present,
): Break | undefined {
  if (stored === undefined) return 'first';
  const { identity, slot } = present;
  if (stored.systemId !== identity.systemId || stored.timeline !== identity.timeline) {
    return 'database_id_or_timeline_changed'; // C1, C2
  }
  if (slot.created) return 'slot_created'; // C6
  if (stored.slotName !== present.slotName) return 'slot_renamed';
  if (stored.shards !== present.shards) return 'shards_changed'; // R 13.7.1: shards are fixed for an incarnation
  if (stream === undefined) return 'stream_lost'; // R 9.3.8, F111
  if (slot.confirmedLsn > stream.held) return 'slot_ahead_of_stream'; // C3
  if (present.walLsn < stream.chain.position.lsn) return 'wal_lost'; // C4
  return undefined;
}
