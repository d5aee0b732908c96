import type { Lsn } from '@shapecast/log';

/** Ends a response that is up to date (MS-9): everything that commits at or below `watermark` is in or before it. */
export function upToDateMessage(watermark: Lsn): string {
  return `{"headers":{"control":"up-to-date","global_last_seen_lsn":"${watermark}"}}`;
}

/** Ends a snapshot and says what it shows (MS-10). */
export function snapshotEndMessage(snapshot: {
  readonly xmin: bigint;
  readonly xmax: bigint;
  readonly xip: readonly bigint[];
}): string {
  const list = snapshot.xip.map((xid) => `"${xid}"`).join(',');
  return `{"headers":{"control":"snapshot-end","xmin":"${snapshot.xmin}","xmax":"${snapshot.xmax}","xip_list":[${list}]}}`;
}

/** The single element of a 409 body (MS-11). */
export const MUST_REFETCH_MESSAGE = '{"headers":{"control":"must-refetch"}}';
