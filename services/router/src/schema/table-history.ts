import type { SnapshotMoment, TableMember, TableSight } from '@shapecast/change-source';
import type { Joined } from '@shapecast/log';

/** A table below another one, as it was when last looked at. */
interface Member {
  /** Absent when it was created there, so that the stream has every row it ever held. */
  readonly joined?: Joined;
  readonly filenode: number;
}

/**
 * What has happened to a table, as far as no change in the stream tells of it (spec R 7.15): tables came under it with rows, or
 * left; its rows were written anew with other values. Each is kept with the time since when it shows, so that it can be held
 * against the snapshot of any shape, also of one that another router owned meanwhile.
 */
export interface TableHistory {
  /** Of the first look. What was before that nobody knows. */
  readonly since: SnapshotMoment;
  /** Of the look that this is from. */
  readonly seen: SnapshotMoment;
  readonly filenode: number;
  readonly members: ReadonlyMap<number, Member>;
  /** By `attnum`: see `TableDetails`. */
  readonly columnXids: ReadonlyMap<number, bigint>;
  /** A look found that tables had left from below: shapes from before it may have their rows. */
  readonly left?: SnapshotMoment;
  /** Columns whose values were computed anew, by `attnum`. */
  readonly recomputed: ReadonlyMap<number, Joined>;
}

/**
 * The history after one more look, the same object when nothing has happened. `shown` are tables that the stream has shown to be
 * below this one since the look before. A look from before the history changes nothing.
 */
export function extendHistory(
  before: TableHistory | undefined,
  sight: TableSight,
  moment: SnapshotMoment,
  shown: ReadonlySet<number> = NOTHING_SHOWN,
): TableHistory {
  if (before !== undefined && isOlder(moment, before.seen)) return before;
  const members = new Map([...sight.members].map(([oid, member]) => [oid, toMember(member, moment, before, oid)]));
  const columnXids = sight.details?.columnXids ?? before?.columnXids ?? new Map<number, bigint>();
  const base = { since: before?.since ?? moment, seen: moment, filenode: sight.filenode, members, columnXids };
  if (before === undefined) return { ...base, recomputed: new Map() };
  const hasLeft = [...before.members.keys(), ...shown].some((oid) => !members.has(oid));
  const left = hasLeft ? moment : before.left;
  const recomputed = recomputedColumns(before, base);
  const same =
    !hasLeft &&
    recomputed === before.recomputed &&
    sight.filenode === before.filenode &&
    sameMembers(members, before.members) &&
    sameXids(columnXids, before.columnXids);
  return same ? before : { ...base, recomputed, ...(left === undefined ? {} : { left }) };
}

/** Whether a snapshot was taken before another one (`SnapshotMoment`). */
export function isOlder(a: SnapshotMoment, b: SnapshotMoment): boolean {
  return a.xmax < b.xmax || (a.xmax === b.xmax && a.running > b.running);
}

const NOTHING_SHOWN: ReadonlySet<number> = new Set();

/** One that was known to be there keeps the snapshot it was first seen with. */
function toMember(
  { joinedXid, filenode }: TableMember,
  { xmax }: SnapshotMoment,
  before: TableHistory | undefined,
  oid: number,
): Member {
  if (joinedXid === undefined) return { filenode };
  const known = before?.members.get(oid)?.joined;
  return { filenode, joined: known?.xid === joinedXid ? known : { xid: joinedXid, seenXmax: xmax } };
}

/**
 * `ALTER COLUMN ... TYPE ... USING` may keep the type, and yet give every row another value; likewise `SET EXPRESSION`. Both write the
 * rows to a new place and touch the description of the column. Each alone is harmless: `VACUUM FULL`, a new default.
 */
function recomputedColumns(
  before: TableHistory,
  now: Pick<TableHistory, 'seen' | 'filenode' | 'members' | 'columnXids'>,
): TableHistory['recomputed'] {
  const rewritten =
    before.filenode !== now.filenode ||
    [...now.members].some(([oid, { filenode }]) => (before.members.get(oid)?.filenode ?? filenode) !== filenode);
  if (!rewritten) return before.recomputed;
  const touched = [...now.columnXids].filter(([attnum, xid]) => (before.columnXids.get(attnum) ?? xid) !== xid);
  if (touched.length === 0) return before.recomputed;
  const recomputed = new Map(before.recomputed);
  for (const [attnum, xid] of touched) recomputed.set(attnum, { xid, seenXmax: now.seen.xmax });
  return recomputed;
}

function sameMembers(a: ReadonlyMap<number, Member>, b: ReadonlyMap<number, Member>): boolean {
  return (
    a.size === b.size &&
    [...a].every(([oid, { joined, filenode }]) => {
      const other = b.get(oid);
      return other !== undefined && other.filenode === filenode && other.joined?.xid === joined?.xid;
    })
  );
}

function sameXids(a: ReadonlyMap<number, bigint>, b: ReadonlyMap<number, bigint>): boolean {
  return a.size === b.size && [...a].every(([attnum, xid]) => b.get(attnum) === xid);
}
