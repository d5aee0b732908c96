import type { SnapshotMoment } from '@shapecast/change-source';
import type { Joined } from '@shapecast/log';
import type { HistoryRecord } from '@shapecast/messaging';
import type { TableHistory } from './table-history.ts';

/** JSON has no 64-bit integers: transaction ids are decimal texts. */
export function toRecord(incarnation: number, history: TableHistory): HistoryRecord {
  const { since, seen, filenode, members, columnXids, left, recomputed } = history;
  return {
    v: 1,
    incarnation,
    since: toPair(since),
    seen: toPair(seen),
    filenode,
    members: [...members].map(([oid, member]) =>
      member.joined ? [oid, member.filenode, ...toXids(member.joined)] : [oid, member.filenode],
    ),
    columns: [...columnXids].map(([attnum, xid]) => [attnum, String(xid)]),
    recomputed: [...recomputed].map(([attnum, joined]) => [attnum, ...toXids(joined)]),
    ...(left ? { left: toPair(left) } : {}),
  };
}

/** Undefined for a record of another incarnation, whose shapes are gone, and for one of a version that we do not know. */
export function fromRecord(incarnation: number, record: HistoryRecord): TableHistory | undefined {
  if ((record.v as number) !== 1 || record.incarnation !== incarnation) return undefined;
  const { since, seen, filenode, members, columns, recomputed, left } = record;
  return {
    since: fromPair(since),
    seen: fromPair(seen),
    filenode,
    members: new Map(
      members.map(([oid, node, xid, seenXmax]) => [
        oid,
        { filenode: node, ...(xid === undefined ? {} : { joined: fromXids(xid, seenXmax) }) },
      ]),
    ),
    columnXids: new Map(columns.map(([attnum, xid]) => [attnum, BigInt(xid)])),
    recomputed: new Map(recomputed.map(([attnum, xid, seenXmax]) => [attnum, fromXids(xid, seenXmax)])),
    ...(left ? { left: fromPair(left) } : {}),
  };
}

function toPair({ xmax, running }: SnapshotMoment): [string, number] {
  return [String(xmax), running];
}

function fromPair([xmax, running]: readonly [string, number]): SnapshotMoment {
  return { xmax: BigInt(xmax), running };
}

function toXids({ xid, seenXmax }: Joined): [string, string] {
  return [String(xid), String(seenXmax)];
}

function fromXids(xid: string, seenXmax = xid): Joined {
  return { xid: BigInt(xid), seenXmax: BigInt(seenXmax) };
}
