import { lsn, type Lsn } from '@shapecast/log';
import type { SubsetMetadata } from '@shapecast/messaging';

/** Transaction ids go round after this many. */
const ROUND = 2n ** 32n;
/**
 * Messages have the low half of an id. One that is at most this far ahead of the snapshot is taken for a later one, and else for
 * one of an earlier round: so many transactions do not begin while a shape is being checked.
 */
const AHEAD = 2n ** 26n;

/** What a snapshot of the database shows. */
export interface Moment {
  readonly lsn: Lsn;
  /** Whether it shows what a transaction did whose message has this low half of its id, and this commit LSN. */
  shows(xid: number | undefined, commitLsn: bigint | undefined): boolean;
}

export function momentOf({ xmax, xip_list, database_lsn }: SubsetMetadata): Moment {
  const at = lsn(BigInt(database_lsn));
  const end = BigInt(xmax) % ROUND;
  const running = new Set(xip_list.map((xid) => Number(BigInt(xid) % ROUND)));
  return {
    lsn: at,
    shows(xid, commitLsn) {
      if (commitLsn !== undefined && commitLsn > at) return false;
      // It stands for several, by compaction, which is about what is old.
      if (xid === undefined) return true;
      const ahead = (BigInt(xid) - end + ROUND) % ROUND;
      return !running.has(xid) && ahead >= AHEAD;
    },
  };
}
