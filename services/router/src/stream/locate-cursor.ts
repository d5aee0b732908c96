import { chainAfter, comparePositions, RecordDecoder, type Lsn, type Position, type TxRecord } from '@shapecast/log';
import type { TxStream } from '@shapecast/messaging';

/** How many records a new shard looks back, so that its safety ring knows the latest transactions (spec R 10.6.7). */
const NEW_SHARD_LOOK_BACK = 256;

/** A place to read on from: the record at `seq` follows `position`. */
export interface StreamPlace {
  readonly seq: number;
  readonly position: Position;
}

/**
 * Finds by position where to read on (spec R 9.6.4): the latest record whose predecessors end at or before `position`. What
 * it shares with the past is skipped by the reader. Sequences are no guide once a stream has lost its tail and was refilled.
 * Undefined when everything stored lies later: then records are missing.
 */
export async function locateCursor(stream: TxStream, position: Position): Promise<number | undefined> {
  const decoder = new RecordDecoder();
  const info = await stream.info();
  let low = info.firstSeq;
  let high = info.lastSeq;
  let found: number | undefined;
  while (low <= high) {
    const middle = Math.floor((low + high) / 2);
    const record = await recordAt(stream, decoder, middle);
    // Trimmed just now.
    if (record === undefined) low = middle + 1;
    else if (comparePositions(record.prev.position, position) <= 0) {
      found = record.kind === 'slice' ? middle - record.index : middle;
      low = middle + 1;
    } else high = middle - 1;
  }
  if (found === undefined && info.lastSeq < info.firstSeq) return info.lastSeq + 1;
  return found;
}

/** Whether the stream goes on after `seq` where a cursor says it stands. */
export async function followsCursor(
  stream: TxStream,
  cursor: { readonly seq: number; readonly position: Position },
): Promise<boolean> {
  const info = await stream.info();
  if (cursor.seq > info.lastSeq) return false;
  const decoder = new RecordDecoder();
  if (cursor.seq < info.lastSeq) {
    const next = await recordAt(stream, decoder, cursor.seq + 1);
    return next !== undefined && comparePositions(next.prev.position, cursor.position) === 0;
  }
  const last = await recordAt(stream, decoder, cursor.seq);
  // Nothing is stored any more, or the end of a sliced record: what follows will tell.
  if (last === undefined || last.kind === 'slice') return true;
  return comparePositions(chainAfter(last).position, cursor.position) === 0;
}

/**
 * Whether the stream tells of nothing up to somewhere behind `watermark`: it is not the stream that the watermark is from, but a
 * later one under the same number, as there is when NATS was restored from a backup of before (spec O F112).
 */
export async function beginsBehind(stream: TxStream, watermark: Lsn): Promise<boolean> {
  const first = await recordAt(stream, new RecordDecoder(), 1);
  return first !== undefined && first.prev.progressLsn > watermark + 1n;
}

/** The oldest place from which whole records can be read. Undefined while the stream is empty. */
export async function firstPlace(stream: TxStream): Promise<StreamPlace | undefined> {
  const info = await stream.info();
  return placeFrom(stream, info.firstSeq, info.lastSeq);
}

/** Where a shard without any history begins: near the end, because its first shape comes later. */
export async function newShardPlace(stream: TxStream): Promise<StreamPlace | undefined> {
  const info = await stream.info();
  const from = Math.max(info.firstSeq, info.lastSeq - NEW_SHARD_LOOK_BACK + 1);
  return (await placeFrom(stream, from, info.lastSeq)) ?? (await placeFrom(stream, info.firstSeq, info.lastSeq));
}

async function placeFrom(stream: TxStream, from: number, to: number): Promise<StreamPlace | undefined> {
  const decoder = new RecordDecoder();
  for (let seq = from; seq <= to; seq += 1) {
    const record = await recordAt(stream, decoder, seq);
    if (record === undefined || (record.kind === 'slice' && record.index > 0)) continue;
    return { seq, position: record.prev.position };
  }
  return undefined;
}

async function recordAt(stream: TxStream, decoder: RecordDecoder, seq: number): Promise<TxRecord | undefined> {
  const message = await stream.get(seq);
  return message === undefined ? undefined : decoder.decode(message.payload);
}
