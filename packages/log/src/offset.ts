import { parseDecimalLsn, type Lsn, ZERO_LSN } from './lsn.ts';

/**
 * Where an entry stands in a shape log: `<tx>_<op>` on the wire (spec H section 9, R 11.1).
 *
 * `tx` 0 is the snapshot: `0_n` is the end of snapshot chunk n and `0_inf` the whole snapshot. From 1 on `tx` is the
 * commit LSN of a transaction and `op` the place within it. `before` (`-1`) sorts below everything.
 */
export interface LogOffset {
  readonly tx: Lsn | -1n;
  /** A non-negative integer, or Infinity, which exists for `0_inf` only. */
  readonly op: number;
}

export const BEFORE_ALL: LogOffset = { tx: -1n, op: 0 };
export const SNAPSHOT_END: LogOffset = { tx: ZERO_LSN, op: Infinity };

export function snapshotChunkEnd(chunk: number): LogOffset {
  return { tx: ZERO_LSN, op: chunk };
}

/**
 * Parses the wire form. `now` is not an offset but a request alias, so the caller handles it first. Leading zeros are
 * accepted and `-1_0` equals `-1` (OF-1). Undefined when the text is malformed.
 */
export function parseOffset(text: string): LogOffset | undefined {
  if (text === '-1' || text === '-1_0') return BEFORE_ALL;
  const match = /^(\d{1,39})_(\d{1,39}|inf)$/.exec(text);
  if (!match) return undefined;
  const tx = parseDecimalLsn(stripZeros(match[1] as string));
  if (tx === undefined) return undefined;
  if (match[2] === 'inf') return { tx, op: Infinity };
  const op = Number(stripZeros(match[2] as string));
  return Number.isSafeInteger(op) ? { tx, op } : undefined;
}

export function formatOffset(offset: LogOffset): string {
  if (offset.tx === -1n) return '-1';
  return `${offset.tx}_${offset.op === Infinity ? 'inf' : offset.op}`;
}

/** Negative when a comes first, 0 when equal, positive when b comes first. Numeric in 64 bits (OF-2). */
export function compareOffsets(a: LogOffset, b: LogOffset): number {
  if (a.tx !== b.tx) return a.tx < b.tx ? -1 : 1;
  if (a.op === b.op) return 0;
  return a.op < b.op ? -1 : 1;
}

function stripZeros(digits: string): string {
  return digits.replace(/^0+(?=\d)/, '');
}
