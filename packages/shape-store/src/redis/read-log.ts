import { compareOffsets, type LogOffset } from '@shapecast/log';
import type { LogRead, ShapeHead } from '../shape-store.ts';
import { decodeId, encodeId, encodeOffset, padded, ZERO_ID } from './codec.ts';
import { unavailable } from './connection.ts';
import type { StoreContext } from './context.ts';
import type { ShardKeys } from './keys.ts';
import { readHeads } from './scripts/read-heads.ts';

/** The first page is for the reader at the tail; the ones after it are sized by what it held. */
const FIRST_PAGE = 100;
const PAGE_BYTES = 512 * 1024;
const MAX_PAGE = 5_000;

type RawEntry = [id: Buffer, fields: [name: Buffer, bytes: Buffer]];

/**
 * Reads the log after an offset up to the end of the closed chunk it is in, or up to the visible tail. In pages, so that a
 * chunk of 10 MiB does not block the server in one piece.
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
): Promise<LogRead> {
  const nothing: LogRead = { entries: [], end: after };
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
  const endId = chunkEnd !== undefined && chunkEnd <= visibleId ? chunkEnd : tailId;

  const entries: { offset: LogOffset; bytes: Uint8Array }[] = [];
  let page = firstPage;
  let pageSize = FIRST_PAGE;
  let lastId = ZERO_ID;
  for (;;) {
    let bytesRead = 0;
    for (const [rawId, fields] of page) {
      const position = decodeId(rawId.toString('latin1'));
      const id = encodeId(position);
      if (id > endId) break;
      entries.push({ offset: { tx: position.lsn, op: position.op }, bytes: fields[1] });
      bytesRead += fields[1].length;
      lastId = id;
    }
    if (lastId >= endId || page.length < pageSize) break;
    pageSize = Math.max(10, Math.min(MAX_PAGE, Math.floor((PAGE_BYTES * page.length) / Math.max(1, bytesRead))));
    page = (await context.redis.run('read-log', (client) =>
      client.xrangeBuffer(log, `(${lastId}`, endId, 'COUNT', pageSize),
    )) as RawEntry[];
  }

  const last = entries.at(-1);
  if (last && lastId === endId) return { entries, end: last.offset };
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
