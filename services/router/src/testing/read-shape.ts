import { BEFORE_ALL, compareOffsets, formatOffset, SNAPSHOT_END, type LogOffset } from '@shapecast/log';
import type { ShapeStore } from '@shapecast/shape-store';
import type { PlacedShape } from './harness.ts';

interface Message {
  readonly key?: string;
  readonly value?: Readonly<Record<string, string | null>>;
  readonly headers: Readonly<Record<string, unknown>> & { readonly last?: boolean };
}

export interface ReadShape {
  readonly snapshot: readonly Message[];
  readonly log: readonly { readonly offset: string; readonly message: Message; readonly text: string }[];
  /** What a client holds after applying all of it. */
  readonly rows: ReadonlyMap<string, Readonly<Record<string, string | null>>>;
}

/** Reads a live shape from beginning to end and applies it, as strictly as a client could. */
export async function readShape(store: ShapeStore, { shard, handle }: PlacedShape): Promise<ReadShape> {
  const head = await store.readHead(shard, handle);
  if (head?.state !== 'live')
    throw new Error(`the shape is ${head?.state ?? 'unknown'}: ${head?.error?.message ?? ''}`);
  const snapshot: Message[] = [];
  for (let chunk = 0; chunk < head.closedChunks; chunk += 1) {
    for (let part = 0, closed = false; !closed;) {
      const read = await store.readSnapshot(shard, handle, chunk, part, 1_000_000);
      if (read === undefined) throw new Error(`snapshot chunk ${chunk} is missing`);
      for (const bytes of read.parts) snapshot.push(...(JSON.parse(`[${Buffer.from(bytes).toString()}]`) as Message[]));
      part = read.nextPart;
      closed = read.closed;
    }
  }
  const rows = new Map<string, Readonly<Record<string, string | null>>>();
  for (const { key, value } of snapshot) if (key !== undefined && value) rows.set(key, value);

  const log: { offset: string; message: Message; text: string }[] = [];
  let after: LogOffset = SNAPSHOT_END;
  for (;;) {
    const read = await store.readLog(shard, head, after);
    for (const { offset, bytes } of read.entries) {
      if (compareOffsets(offset, after) <= 0) throw new Error(`offset ${formatOffset(offset)} does not grow`);
      after = offset;
      const text = Buffer.from(bytes).toString();
      const message = JSON.parse(text) as Message;
      log.push({ offset: formatOffset(offset), message, text });
      apply(rows, message);
    }
    if (read.entries.length === 0 || compareOffsets(read.end, head.tail) >= 0) break;
  }
  if (compareOffsets(after, BEFORE_ALL) < 0) throw new Error('unreachable');
  // Compacted history refers to no transaction.
  checkLast(log.filter(({ message }) => message.headers['lsn'] !== undefined));
  return { snapshot, log, rows };
}

function apply(rows: Map<string, Readonly<Record<string, string | null>>>, { key, value, headers }: Message): void {
  if (key === undefined || value === undefined) throw new Error('a log entry without key');
  const known = rows.get(key);
  switch (headers['operation']) {
    case 'insert':
      if (known) throw new Error(`insert of ${key}, which is there`);
      rows.set(key, value);
      break;
    case 'update':
      if (!known) throw new Error(`update of ${key}, which is not there`);
      rows.set(key, { ...known, ...value });
      break;
    case 'delete':
      if (!rows.delete(key)) throw new Error(`delete of ${key}, which is not there`);
      break;
    default:
      throw new Error(`unknown operation ${String(headers['operation'])}`);
  }
}

/** `last` is on the last entry of every transaction and on no other (MS-5). */
function checkLast(log: ReadShape['log']): void {
  log.forEach(({ offset, message }, i) => {
    const next = log[i + 1];
    const ends = next === undefined || next.message.headers['lsn'] !== message.headers['lsn'];
    if (ends !== (message.headers.last === true))
      throw new Error(`last is ${String(message.headers.last)} at ${offset}`);
  });
}
