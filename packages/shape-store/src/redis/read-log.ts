import { compareOffsets, type LogOffset } from '@shapecast/log';
import type { Redis } from 'ioredis';
import type { LogRead, ShapeHead } from '../shape-store.ts';
import { decodeHead, decodeId, encodeId, encodeOffset, ZERO_ID } from './codec.ts';
import { unavailable } from './connection.ts';
import type { StoreContext } from './context.ts';
import { dataLost } from './data-lost.ts';
import type { ShardKeys } from './keys.ts';
import { readHeads } from './scripts/read-heads.ts';
import { afterMember, decodeMember, lastMember, type IndexedChunk } from './sealed/blob.ts';
import { readBlob } from './sealed/read-blob.ts';

/** The first page is for the reader at the tail, and must not be large whatever its entries are; it sizes the next one. */
const FIRST_PAGE = 20;
const PAGE_BYTES = 512 * 1024;
const MAX_PAGE = 5_000;
/** A range that is sealed while it is read is gone from where the first attempt looks for it. */
const ATTEMPTS = 2;

type RawEntry = [id: Buffer, fields: [name: Buffer, bytes: Buffer]];

/** An entry, of the stream or of a blob. Readers of a whole chunk need the bytes of all and the offset of one. */
interface Entry {
  /** Padded. */
  readonly id: string;
  readonly offset: LogOffset;
  readonly bytes: Uint8Array;
}

class StreamEntry implements Entry {
  readonly #id: Buffer;
  readonly bytes: Uint8Array;

  constructor([id, fields]: RawEntry) {
    this.#id = id;
    this.bytes = fields[1];
  }

  get id(): string {
    return encodeId(decodeId(this.#id.toString('latin1')));
  }

  get offset(): LogOffset {
    return offsetOf(this.#id.toString('latin1'));
  }
}

/** What a reader asked for; ids are padded. */
interface Range {
  readonly handle: string;
  readonly after: string;
  readonly tail: string;
  readonly visible: string;
  readonly maxBytes: number;
  /** End of the chunk that the reader is in the middle of. */
  readonly chunk?: string;
}

/** What was read, or the end of the range when it is not there. */
type Attempt = LogRead | { readonly incomplete: string };

/**
 * Reads the log after an offset up to the end of the closed chunk it is in, or up to the visible tail, or until `maxBytes` are
 * read. In pages, so that a chunk of 10 MiB does not block the server in one piece.
 *
 * The range is complete if its last entry is the expected one (spec R 14.1). The log is one stream on one node, which may lose a
 * suffix of its history but nothing in the middle (R 12.4.2); and what sealing takes out of it are whole chunks, while a range lies
 * within one: of a range that was sealed meanwhile the end is missing, and the second attempt finds it in its blob. Head and index
 * of chunks check each other, since operators delete keys. A running count would prove nothing more, and could only be checked for
 * readers that start at a chunk's beginning.
 */
export async function readLog(
  context: StoreContext,
  keys: ShardKeys,
  head: ShapeHead,
  after: LogOffset,
  maxBytes: number,
  place?: string,
): Promise<LogRead> {
  const { handle } = head;
  const nothing: LogRead = { entries: [], end: after, upTo: after, closed: false };
  if (head.tail.tx <= 0n || compareOffsets(head.tail, after) <= 0) return nothing;
  const [tail, visible] = [encodeOffset(head.tail), encodeId(head.visible)];
  const [chunk, token, block] = place?.split(' ') ?? [];
  const range: Range = { handle, after: encodeOffset(after), tail, visible, maxBytes, ...(chunk ? { chunk } : {}) };

  for (let attempt = 1; ; attempt += 1) {
    const result =
      chunk !== undefined && token !== undefined
        ? await goOn(context, keys, range, { chunk, token, block: Number(block) })
        : await readRange(context, keys, range);
    if (!('incomplete' in result)) return result;
    // Data of a dead shape may be gone, and then its readers get nothing rather than an error (spec R 14.8).
    const [now] = await readHeads(context, keys, [handle]);
    if (!now || now.state === 'dead') return nothing;
    // Compacted and swept while it was read, or the store went back: the reader begins again.
    const wentBack = compareOffsets(now.tail, head.tail) < 0;
    if (token !== undefined || wentBack) throw incomplete(handle, result.incomplete);
    // With a head in between that says it must be there.
    if (attempt === ATTEMPTS) throw dataLost(handle, { expected: result.incomplete });
  }
}

async function readRange(context: StoreContext, keys: ShardKeys, range: Range): Promise<Attempt> {
  const { handle, after, tail, visible, maxBytes } = range;
  const log = keys.log(handle);
  const [firstPage, headText, members] = await inOneTrip<[RawEntry[], string | null, string[]]>(context, (pipeline) =>
    pipeline
      .xrangeBuffer(log, after === ZERO_ID ? '-' : `(${after}`, tail, 'COUNT', FIRST_PAGE)
      .hget(keys.heads, handle)
      .zrangebylex(keys.chunks, afterMember(handle, after), lastMember(handle), 'LIMIT', 0, 1),
  );
  const chunk = members[0] === undefined ? undefined : decodeMember(members[0]);
  if (isContradiction(headText, chunk, after)) return { incomplete: tail };
  // A chunk that was closed by a transaction which the head does not show yet counts as open (spec R 11.5.4).
  const closed = chunk !== undefined && chunk.end <= visible;
  const endId = closed ? chunk.end : tail;
  if (range.chunk !== undefined && range.chunk !== chunk?.end) throw compactedMeanwhile(handle);

  if (chunk?.blob) {
    const { blob, end } = chunk;
    // The end of the compacted chunk is not where the reader's range ends: entries of the range may have moved beyond that.
    if (blob.compacted && !closed) throw compactedMeanwhile(handle);
    const found = await readBlob(context, keys, handle, blob.token, { after, upTo: endId, maxBytes });
    return toRead(found?.entries ?? [], endId, closed, maxBytes, `${end} ${blob.token} ${found?.nextBlock}`);
  }

  // Only the first page was read before the end was known.
  const entries: Entry[] = firstPage.map((raw) => new StreamEntry(raw));
  while (entries.length > 0 && (entries.at(-1) as Entry).id > endId) entries.pop();
  let size = entries.reduce((sum, entry) => sum + entry.bytes.length, 0);
  let pageSize = FIRST_PAGE;
  let pageLength = firstPage.length;
  let pageBytes = size;
  let lastId = entries.at(-1)?.id ?? ZERO_ID;
  while (lastId < endId && size < maxBytes && pageLength === pageSize) {
    const wanted = Math.min(PAGE_BYTES, maxBytes - size);
    pageSize = Math.max(10, Math.min(MAX_PAGE, Math.ceil((wanted * pageLength) / Math.max(1, pageBytes))));
    const next = (await context.redis.run('read-log', (client) =>
      client.xrangeBuffer(log, `(${lastId}`, endId, 'COUNT', pageSize),
    )) as RawEntry[];
    pageBytes = 0;
    for (const raw of next) {
      const entry = new StreamEntry(raw);
      entries.push(entry);
      pageBytes += entry.bytes.length;
    }
    size += pageBytes;
    pageLength = next.length;
    lastId = entries.at(-1)?.id ?? ZERO_ID;
  }
  return toRead(entries, endId, closed, maxBytes, closed ? chunk.end : undefined);
}

/** Runs commands in the order given, though not as one step. */
function inOneTrip<Replies extends unknown[]>(
  { redis }: StoreContext,
  add: (pipeline: ReturnType<Redis['pipeline']>) => ReturnType<Redis['pipeline']>,
): Promise<Replies> {
  return redis.run('read-log', async (client) => {
    const results = (await add(client.pipeline()).exec()) as [Error | null, unknown][];
    for (const [error] of results) if (error) throw error;
    return results.map(([, reply]) => reply) as Replies;
  });
}

/** Reads on in a blob, whether or not a chunk still names it. */
async function goOn(
  context: StoreContext,
  keys: ShardKeys,
  { handle, after, tail, visible, maxBytes }: Range,
  place: { readonly chunk: string; readonly token: string; readonly block: number },
): Promise<Attempt> {
  const closed = place.chunk <= visible;
  const upTo = closed ? place.chunk : tail;
  const range = { after, upTo, maxBytes, fromBlock: place.block };
  const found = await readBlob(context, keys, handle, place.token, range);
  return toRead(found?.entries ?? [], upTo, closed, maxBytes, `${place.chunk} ${place.token} ${found?.nextBlock}`);
}

/** What was read, if its last entry is the last of the range, or if it is as much as was wanted. */
function toRead(
  entries: readonly Entry[],
  endId: string,
  closed: boolean,
  maxBytes: number,
  place: string | undefined,
): Attempt {
  const last = entries.at(-1);
  if (last === undefined) return { incomplete: endId };
  const upTo = offsetOf(endId);
  if (last.id === endId) return { entries, end: last.offset, upTo, closed };
  let size = 0;
  for (const { bytes } of entries) size += bytes.length;
  if (size < maxBytes || last.id > endId) return { incomplete: endId };
  return { entries, end: last.offset, upTo, closed, ...(place === undefined ? {} : { place }) };
}

/** Whether the index does not have, or not as sealed, the chunk that the head says it must. The head was read first. */
function isContradiction(headText: string | null, chunk: IndexedChunk | undefined, after: string): boolean {
  const head = headText === null ? undefined : decodeHead(headText);
  if (head?.state !== 'live') return false;
  if (chunk === undefined) return head.lastChunk > after;
  return chunk.blob === undefined && head.sealedTo > after;
}

function incomplete(handle: string, expected: string): Error {
  return unavailable('The log is shorter than its head said. Read the head again.', {
    reason: 'incomplete',
    handle,
    expected,
  });
}

function compactedMeanwhile(handle: string): Error {
  return unavailable('The range was compacted while it was read. Read it again.', { reason: 'compacted', handle });
}

function offsetOf(id: string): LogOffset {
  const { lsn, op } = decodeId(id);
  return { tx: lsn, op };
}
