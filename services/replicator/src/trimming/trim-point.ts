import { chainAfter, decodeRecord, type Lsn, type TxRecord } from '@shapecast/log';
import type { StoredMessage, TxStream } from '@shapecast/messaging';

/** A message of the tx stream. */
export interface StreamPoint {
  readonly seq: number;
  readonly publishedMs: number;
}

/** A stretch of the tx stream, both ends included. */
export interface StreamRange {
  readonly firstSeq: number;
  readonly lastSeq: number;
}

/**
 * The last place before which every transaction commits below `lsn`: the message with the begin of the first one that does not. Found by
 * what the records say of the ones before them and not by sequences, which mean something else once a stream has lost its tail and was
 * refilled (spec R 9.6.4). Undefined when there is none.
 */
export function pointBelowLsn(stream: TxStream, range: StreamRange, lsn: Lsn): Promise<StreamPoint | undefined> {
  return lastWhere(stream, range, (_message, record) => record.prev.position.lsn < lsn);
}

/** The last place that was stored at or before `ms`. */
export function pointStoredBefore(stream: TxStream, range: StreamRange, ms: number): Promise<StreamPoint | undefined> {
  return lastWhere(stream, range, (message) => message.publishedMs <= ms);
}

/** Commit LSN of the last transaction that the stream holds, or holds a part of, as far as its last message tells. */
export function lastLsn(last: StoredMessage): Lsn {
  const record = decodeRecord(last.payload);
  return (record.kind === 'slice' ? record.prev : chainAfter(record)).position.lsn;
}

/** The last message that `holds`, which is true up to some message and false from there on. Never the middle of a sliced record. */
async function lastWhere(
  stream: TxStream,
  { firstSeq, lastSeq }: StreamRange,
  holds: (message: StoredMessage, record: TxRecord) => boolean,
): Promise<StreamPoint | undefined> {
  let [low, high] = [firstSeq, lastSeq];
  let found: StreamPoint | undefined;
  while (low <= high) {
    const middle = Math.floor((low + high) / 2);
    const message = await stream.get(middle);
    const record = message && decodeRecord(message.payload);
    if (message === undefined || record === undefined) low = middle + 1;
    else if (holds(message, record)) {
      const { publishedMs } = message;
      found = { seq: record.kind === 'slice' ? middle - record.index : middle, publishedMs };
      low = middle + 1;
    } else high = middle - 1;
  }
  return found;
}
