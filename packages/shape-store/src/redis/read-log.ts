import { compareOffsets, type LogOffset } from '@shapecast/log';
import type { LogRead, ShapeHead } from '../shape-store.ts';
import { decodeId, encodeId, encodeOffset, padded, ZERO_ID } from './codec.ts';
import { unavailable } from './connection.ts';
import type { StoreContext } from './context.ts';
import type { ShardKeys } from './keys.ts';
import { readHeads } from './scripts/read-heads.ts';

/** The first page is for the reader at the tail, and must not be large whatever its entries are; it sizes the next one. */
const FIRST_PAGE = 20;
const PAGE_BYTES = 512 * 1024;
const MAX_PAGE = 5_000;

type RawEntry = [id: Buffer, fields: [name: Buffer, bytes: Buffer]];

/** An entry as Redis has it: readers of a whole chunk need the bytes of all and the offset of one. */
class StoredEntry {
  readonly #id: Buffer;
  readonly bytes: Uint8Array;

  constructor([id, fields]: RawEntry) {
    this.#id = id;
    this.bytes = fields[1];
  }

  /** The padded id. */
  get id(): string {
    return encodeId(decodeId(this.#id.toString('latin1')));
  }

  get offset(): LogOffset {
    const { lsn, op } = decodeId(this.#id.toString('latin1'));
    return { tx: lsn, op };
  }
}

/**
 * Reads the log after an offset up to the end of the closed chunk it is in, or up to the visible tail, or until `maxBytes` are
 * read. In pages, so that a chunk of 10 MiB does not block the server in one piece.
 *
 * The range is complete if its last entry is the expected one (spec R 14.1): the log is one stream on one node, which may
 * lose a suffix of its history but nothing in the middle (R 12.4.2), and nothing is deleted from a log that readers see. A
 * running count would prove nothing more, and could only be checked for readers that start at a chunk's beginning.
 */
export async function readLog(
  context: StoreContext,
  keys: ShardKeys,
  head: ShapeHead,
  after: LogOffset,
  maxBytes: number,
): Promise<LogRead> {
  const nothing: LogRead = { entries: [], end: after, upTo: after, closed: false };
  if (head.tail.tx <= 0n || compareOffsets(head.tail, after) <= 0) return nothing;
  const afterId = encodeOffset(after);
  const tailId = encodeOffset(head.tail);
  const visibleId = encodeId(head.visible);

  const log = keys.log(head.handle);
  const from = afterId === ZERO_ID ? '-' : `(${afterId}`;
  const [chunkEnds, firstPage] = await context.redis.run('read-log', async (client) => {
    const results = (await client
      .pipeline()
      .zrangebylex(keys.chunks, `(${head.handle} ${afterId}`, `[${head.handle} ~`, 'LIMIT', 0, 1)
      .xrangeBuffer(log, from, tailId, 'COUNT', FIRST_PAGE)
      .exec()) as [Error | null, unknown][];
    for (const [error] of results) if (error) throw error;
    return [results[0]?.[1] as string[], results[1]?.[1] as RawEntry[]] as const;
  });

  // A chunk that was closed by a transaction which the head does not show yet counts as open (spec R 11.5.4).
  const chunkEnd = chunkEnds[0]?.split(' ')[1];
  const closed = chunkEnd !== undefined && chunkEnd <= visibleId;
  const endId = closed ? chunkEnd : tailId;

  // Only the first page was read before the end was known.
  const entries = firstPage.map((raw) => new StoredEntry(raw));
  while (entries.length > 0 && (entries.at(-1) as StoredEntry).id > endId) entries.pop();
  let size = entries.reduce((sum, entry) => sum + entry.bytes.length, 0);
  let pageSize = FIRST_PAGE;
  let page: readonly unknown[] = firstPage;
  let pageBytes = size;
  let lastId = entries.at(-1)?.id ?? ZERO_ID;
  while (lastId < endId && size < maxBytes && page.length === pageSize) {
    const wanted = Math.min(PAGE_BYTES, maxBytes - size);
    pageSize = Math.max(10, Math.min(MAX_PAGE, Math.ceil((wanted * page.length) / Math.max(1, pageBytes))));
    const next = (await context.redis.run('read-log', (client) =>
      client.xrangeBuffer(log, `(${lastId}`, endId, 'COUNT', pageSize),
    )) as RawEntry[];
    pageBytes = 0;
    for (const raw of next) {
      const entry = new StoredEntry(raw);
      entries.push(entry);
      pageBytes += entry.bytes.length;
    }
    size += pageBytes;
    page = next;
    lastId = entries.at(-1)?.id ?? ZERO_ID;
  }

  const last = entries.at(-1);
  const upTo = offsetOf(endId);
  if (last && (lastId === endId || (size >= maxBytes && lastId < endId))) {
    return { entries, end: last.offset, upTo, closed };
  }
  // Data of a dead shape may be gone, and then its readers get nothing rather than an error (spec R 14.8).
  const [now] = await readHeads(context, keys, [head.handle]);
  if (!now || now.state === 'dead') return nothing;
  throw unavailable('The log is shorter than its head said. Read the head again.', {
    reason: 'incomplete',
    handle: head.handle,
    expected: endId,
    found: last ? `${padded(last.offset.tx)}-${padded(last.offset.op)}` : null,
  });
}

function offsetOf(id: string): LogOffset {
  const { lsn, op } = decodeId(id);
  return { tx: lsn, op };
}
