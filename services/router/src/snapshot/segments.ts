import { sharePublication } from '@shapecast/change-source';
import type { Position } from '@shapecast/log';
import { amendMessage } from '@shapecast/protocol';
import { isVisible, type LogEntry, type PendingEdit, type SnapshotVisibility } from '@shapecast/shape-store';

type Visibility = Pick<SnapshotVisibility, 'xmin' | 'xmax' | 'xip' | 'insertLsn'>;

/** Whether a snapshot shows a transaction, so that the log must not repeat it (spec R 10.6.4). */
function shows(snapshot: Visibility, { position, xid }: Pick<LogEntry, 'position' | 'xid'>): boolean {
  return position.lsn <= snapshot.insertLsn && isVisible(snapshot, xid);
}

/**
 * Whether a later snapshot of the same table shows all that an earlier one shows: both are of one server, whose snapshots only
 * grow, and the table was published all the while.
 */
export function continues(earlier: SnapshotVisibility, later: SnapshotVisibility): boolean {
  const grown = later.xmin >= earlier.xmin && later.xmax >= earlier.xmax && later.insertLsn >= earlier.insertLsn;
  if (!grown || later.xip.some((xid) => isVisible(earlier, xid))) return false;
  if (earlier.published === undefined || later.published === undefined) return true;
  return sharePublication(earlier.published, later.published);
}

/**
 * What becomes of a transaction that waits for a snapshot of several segments. Each of them shows what the ones before show: so
 * `shown` by the first means by all, and `kept` when not even the last one shows it. Between them it depends on the key of each
 * row, which is in one segment.
 */
export function fateOf(
  segments: readonly Visibility[],
  entry: Pick<LogEntry, 'position' | 'xid'>,
): 'shown' | 'kept' | 'depends' {
  const [first, last] = [segments[0], segments.at(-1)];
  if (first === undefined || last === undefined) throw new Error('a snapshot without a segment');
  if (shows(first, entry)) return 'shown';
  return shows(last, entry) ? 'depends' : 'kept';
}

/** An entry of a transaction whose fate depends on the keys. */
export interface DividedEntry {
  readonly position: Position;
  readonly xid: bigint;
  readonly bytes: Uint8Array;
  /** Of which change of key this is a half. */
  readonly half?: 'delete' | 'insert';
  /** The segment that its row is in, by number. */
  readonly segment: number;
}

/**
 * What to change in the entries of one transaction, so that those which the segments of their rows show are gone, and the
 * others still are a transaction: `last` on the last one (MS-5), and no half of a change of key refers to the other that is gone.
 */
export function divideTransaction(
  segments: readonly Visibility[],
  entries: readonly DividedEntry[],
): readonly PendingEdit[] {
  const stays = entries.map((entry) => {
    const segment = segments[entry.segment];
    if (segment === undefined) throw new Error('a row is in no segment');
    return !shows(segment, entry);
  });
  const lastKept = stays.lastIndexOf(true);
  return entries.flatMap((entry, i): PendingEdit[] => {
    const { position, bytes, half } = entry;
    if (!stays[i]) return [{ position }];
    const last = i === lastKept && i !== entries.length - 1;
    const alone = half !== undefined && !stays[half === 'delete' ? i + 1 : i - 1];
    return last || alone ? [{ position, bytes: amendMessage(bytes, { last, alone }) }] : [];
  });
}
