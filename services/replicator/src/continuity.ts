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
  readonly identity: Pick<SourceIdentity, 'systemId' | 'timeline' | 'history'>;
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
  | 'history_diverged'
  | 'requested_by_operator'
  | 'slot_created'
  | 'publication_recreated'
  | 'slot_renamed'
  | 'shards_changed'
  | 'stream_lost'
  | 'slot_ahead_of_stream'
  | 'wal_lost';

/** What is known of the source from before. */
export interface Past {
  /** Undefined when the source was never set up. */
  readonly record: SourceRecord | undefined;
  /** Undefined when the stream of that incarnation is lost. */
  readonly stream: StreamState | undefined;
  /** Postgres sent transactions again that are not what the stream of this incarnation holds (C5). */
  readonly divergedIncarnation: number | undefined;
  /** An operator wants this incarnation to end. */
  readonly unwantedIncarnation?: number | undefined;
}

/** Decides whether the stored history goes on (spec R 6.5): undefined when it does. */
export function findBreak(past: Past, present: Present): Break | undefined {
  const { record, stream, divergedIncarnation, unwantedIncarnation } = past;
  if (record === undefined) return 'first';
  const { identity, slot } = present;
  if (record.systemId !== identity.systemId) return 'database_id_or_timeline_changed'; // C1
  if (!isSameHistory(record.timeline, identity, stream)) return 'database_id_or_timeline_changed'; // C2
  if (divergedIncarnation === record.incarnation) return 'history_diverged'; // C5
  if (unwantedIncarnation === record.incarnation) return 'requested_by_operator'; // O 10.1
  if (slot.created) return 'slot_created'; // C6
  if (record.slotName !== present.slotName) return 'slot_renamed';
  if (record.publicationOid !== undefined && record.publicationOid !== slot.publicationOid) {
    return 'publication_recreated'; // R 6.2.1: tables were missing from it for a while
  }
  if (record.shards !== present.shards) return 'shards_changed'; // R 13.7.1: shards are fixed for an incarnation
  if (stream === undefined) return 'stream_lost'; // R 9.3.8, F111
  if (slot.confirmedLsn > stream.held) return 'slot_ahead_of_stream'; // C3
  if (present.walLsn < stream.chain.position.lsn) return 'wal_lost'; // C4
  return undefined;
}

/**
 * Whether all that the stream says happened before the server left the timeline it was read from: then a promotion changed
 * nothing of it. What the stream says is `held`, more than its last transaction: readers were told that nothing else commits
 * below.
 */
function isSameHistory(timeline: number, identity: Present['identity'], stream: StreamState | undefined): boolean {
  if (timeline === identity.timeline) return true;
  const left = identity.history?.find((end) => end.timeline === timeline);
  return left !== undefined && stream !== undefined && left.endLsn >= stream.held;
}
