import { BUCKETS, type LeaderRecord, type Messaging } from '@shapecast/messaging';
import { ShapecastError } from '@shapecast/errors';
import { abortReason, type Clock } from '@shapecast/service-kit';

/** So many looks, a heartbeat apart, find no leader before there is none: NATS may just have come back for everybody. */
const LOOKS = 3;

/** What a replicator says that would replace the history of another database that is still followed. */
const FOREIGN_LEADER =
  'A replicator of another database leads this source: two clusters are pointed at one NATS with one source id. ' +
  'Set another SHAPECAST_SOURCE_ID or another NATS for one of them; if the source has moved to this database, stop the replicators of the old one.';

/**
 * Throws SOURCE_UNAVAILABLE of type `foreign_leader` while a replicator of another database leads the source. Asked for when the source was replicated from
 * another database before: whoever has moved it has stopped the replicators of that one, and whoever has not would take the source from
 * them, and they from it, again and again, with all shapes starting over each time.
 */
export async function refuseBesideLivingLeader(
  deps: { readonly messaging: Messaging; readonly clock: Clock },
  options: {
    readonly sourceId: string;
    readonly holder: string;
    /** Of the database of this process. */
    readonly systemId: string;
    readonly heartbeatMs: number;
  },
  signal: AbortSignal,
): Promise<void> {
  const { name, ttlMs } = BUCKETS.leaders;
  const leaders = await deps.messaging.registries.open<LeaderRecord>(name, { ttlMs });
  for (let look = 1; ; look += 1) {
    const leader = await leaders.get(options.sourceId);
    if (leader !== undefined && isElsewhere(leader.value, options)) {
      throw new ShapecastError('SOURCE_UNAVAILABLE', FOREIGN_LEADER, { type: 'foreign_leader' });
    }
    if (look === LOOKS) return;
    await deps.clock.sleep(options.heartbeatMs, signal).catch(() => {
      throw abortReason(signal);
    });
  }
}

/** Two clusters may call their processes alike, so the holder decides only where an older version does not tell more. */
function isElsewhere(leader: LeaderRecord, own: { readonly systemId: string; readonly holder: string }): boolean {
  return leader.systemId === undefined ? leader.holder !== own.holder : leader.systemId !== own.systemId;
}
