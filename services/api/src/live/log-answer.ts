import { compareOffsets, lsn, maxLsn, ZERO_LSN, type LogOffset, type Lsn } from '@shapecast/log';
import { upToDateMessage } from '@shapecast/protocol';
import type { LogRead, ShapeHead } from '@shapecast/shape-store';

/** The messages of a log answer and what its headers say. Shared by all requests that it answers. */
export interface LogAnswer {
  readonly messages: readonly Uint8Array[];
  /** `electric-offset`. */
  readonly end: LogOffset;
  readonly upToDate: boolean;
  /** False when the body has nothing but `up-to-date`. */
  readonly entries: boolean;
}

const OPEN = Buffer.from('[');
const COMMA = Buffer.from(',');
const CLOSE = Buffer.from(']');
const bodies = new WeakMap<LogAnswer, Buffer>();

/**
 * Builds the answer to a request at `after` out of a head and the entries read with it. `live` answers vouch for their last
 * entry only, others for what the service had processed when the head was read, which was before the entries (MS-9).
 */
export function logAnswer(head: ShapeHead, after: LogOffset, read: LogRead, live: boolean): LogAnswer {
  const entries = read.entries.length > 0;
  // Nothing after `after` means that it is the tail, in whatever form the request wrote it.
  const end = entries ? read.end : compareOffsets(head.tail, after) > 0 ? after : head.tail;
  const upToDate = compareOffsets(end, head.tail) >= 0;
  const messages = read.entries.map((entry) => entry.bytes);
  if (upToDate) messages.push(upToDateBytes(live && entries ? offsetLsn(end) : serviceLsn(head, end)));
  return { messages, end, upToDate, entries };
}

/** The JSON body, made once however many requests it answers. */
export function answerBody(answer: LogAnswer): Buffer {
  const known = bodies.get(answer);
  if (known !== undefined) return known;
  const parts: Uint8Array[] = [OPEN];
  for (const message of answer.messages) {
    if (parts.length > 1) parts.push(COMMA);
    parts.push(message);
  }
  parts.push(CLOSE);
  const body = Buffer.concat(parts);
  bodies.set(answer, body);
  return body;
}

/** The answer without news: one `up-to-date` at the tail (LV-2, OF-7). */
export function noNews(head: ShapeHead): LogAnswer {
  return { messages: [upToDateBytes(serviceLsn(head, head.tail))], end: head.tail, upToDate: true, entries: false };
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
