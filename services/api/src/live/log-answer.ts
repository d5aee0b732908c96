import { compareOffsets, lsn, maxLsn, ZERO_LSN, type LogOffset, type Lsn } from '@shapecast/log';
import { upToDateMessage } from '@shapecast/protocol';
import type { LogRead, ShapeHead } from '@shapecast/shape-store';

/** What a look at a log came to. Shared by all requests that it answers. */
export interface LogAnswer {
  readonly head: ShapeHead;
  /** The entries after the request's offset; if there are many, the first of them. */
  readonly first: LogRead;
  /** `electric-offset`: where the answer ends, which may be beyond `first`. */
  readonly end: LogOffset;
  readonly upToDate: boolean;
  /** False when the body has nothing but `up-to-date`. */
  readonly entries: boolean;
  /** The control message after the entries. */
  readonly closing: Uint8Array | undefined;
}

const OPEN = Buffer.from('[');
const COMMA = Buffer.from(',');
const CLOSE = Buffer.from(']');

/**
 * Builds the answer to a request at `after` out of a head and the entries read with it. `live` answers vouch for their last
 * entry only, others for what the service had processed when the head was read, which was before the entries (MS-9).
 */
export function logAnswer(head: ShapeHead, after: LogOffset, first: LogRead, live: boolean): LogAnswer {
  const entries = first.entries.length > 0;
  // Nothing after `after` means that it is the tail, in whatever form the request wrote it.
  const end = entries ? first.upTo : compareOffsets(head.tail, after) > 0 ? after : head.tail;
  const upToDate = compareOffsets(end, head.tail) >= 0;
  const closing = upToDate ? upToDateBytes(live && entries ? offsetLsn(end) : serviceLsn(head, end)) : undefined;
  return { head, first, end, upToDate, entries, closing };
}

/** The answer without news: one `up-to-date` at the tail (LV-2, OF-7). */
export function noNews(head: ShapeHead): LogAnswer {
  const { tail } = head;
  return {
    head,
    first: { entries: [], end: tail, upTo: tail, closed: false },
    end: tail,
    upToDate: true,
    entries: false,
    closing: upToDateBytes(serviceLsn(head, tail)),
  };
}

/** Whether `first` is all there is. */
export function isComplete({ first }: LogAnswer): boolean {
  return compareOffsets(first.end, first.upTo) >= 0;
}

/** The bytes of an answer's JSON body that `read` stands for: from its first read on, and if it is the last one to its end. */
export function bodyPart({ first, closing }: LogAnswer, read: LogRead): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const { bytes } of read.entries) parts.push(COMMA, bytes);
  if (compareOffsets(read.end, first.upTo) >= 0) {
    if (closing !== undefined) parts.push(COMMA, closing);
    parts.push(CLOSE);
  }
  if (read !== first) return Buffer.concat(parts);
  if (parts[0] === COMMA) parts[0] = OPEN;
  else parts.unshift(OPEN);
  return Buffer.concat(parts);
}

/**
 * The position this shape's log has been followed to. A shape that is not live yet still holds transactions back which it
 * will deliver later, so it can vouch for its tail only.
 */
function serviceLsn(head: ShapeHead, end: LogOffset): Lsn {
  return head.state === 'live' ? maxLsn(head.watermark, offsetLsn(end)) : offsetLsn(end);
}

function offsetLsn(offset: LogOffset): Lsn {
  return offset.tx === -1n ? ZERO_LSN : lsn(offset.tx);
}

function upToDateBytes(value: Lsn): Uint8Array {
  return Buffer.from(upToDateMessage(value));
}
