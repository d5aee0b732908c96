import type { Position } from '@shapecast/log';
import type { LogEntry, PendingEdit } from '../shape-store.ts';
import { decodeId, encodeId, ZERO_ID } from './codec.ts';
import { unavailable } from './connection.ts';
import type { StoreContext } from './context.ts';
import type { ShardKeys } from './keys.ts';
import type { ScriptArgument } from './script.ts';
import { copyPending } from './scripts/amend-pending.ts';

const PAGE = 200;
const CALL_BYTES = 1024 * 1024;

type RawEntry = [id: Buffer, fields: [xid: Buffer, bytes: Buffer]];

/** Pending entries that the head of the shape counts; undefined when the attempt is no longer current. */
export async function readPending(
  context: StoreContext,
  keys: ShardKeys,
  handle: string,
  token: string,
  after: Position,
  limit: number,
): Promise<LogEntry[] | undefined> {
  const entries = await page(context, keys, handle, token, encodeId(after), limit);
  return entries?.map(([id, [xid, bytes]]) => ({
    handle,
    position: decodeId(id.toString('latin1')),
    xid: BigInt(xid.toString('latin1')),
    bytes,
  }));
}

/** Repeatable as a whole: what an interrupted call has copied is thrown away by the next. */
export async function amendPending(
  context: StoreContext,
  keys: ShardKeys,
  handle: string,
  token: string,
  edits: readonly PendingEdit[],
): Promise<boolean> {
  const changed = new Map(edits.map(({ position, bytes }) => [encodeId(position), bytes]));
  let from = ZERO_ID;
  let to = ZERO_ID;
  let entries: ScriptArgument[] = [];
  let size = 0;
  const copy = async (last: boolean) => {
    const outcome = await copyPending(context, keys, handle, token, { from, to, last, entries });
    if (outcome === 'busy') throw unavailable('The pending log of a shape is being changed.', { reason: 'busy' });
    [from, entries, size] = [to, [], 0];
    return outcome;
  };
  for (;;) {
    const found = await page(context, keys, handle, token, to, PAGE);
    if (found === undefined) return false;
    for (const [raw, [xid, bytes]] of found) {
      const id = encodeId(decodeId(raw.toString('latin1')));
      const kept = changed.has(id) ? changed.get(id) : bytes;
      to = id;
      if (kept === undefined) continue;
      entries.push(id, xid, Buffer.from(kept.buffer, kept.byteOffset, kept.byteLength));
      size += kept.byteLength;
      if (size >= CALL_BYTES && (await copy(false)) === 'over') return false;
    }
    const outcome = await copy(found.length < PAGE);
    if (outcome === 'over') return false;
    if (outcome === 'done' && found.length < PAGE) return true;
  }
}

async function page(
  { redis }: StoreContext,
  keys: ShardKeys,
  handle: string,
  token: string,
  after: string,
  limit: number,
): Promise<RawEntry[] | undefined> {
  const [head, attempt] = await redis.run('read-pending', (client) =>
    Promise.all([client.hget(keys.heads, handle), client.hget(keys.attempts, handle)]),
  );
  if (head === null || attempt === null) return undefined;
  if ((JSON.parse(attempt) as { readonly token: string }).token !== token) return undefined;
  // A state, a space, and the id of the last entry that counts.
  const stored = head.slice(2, 2 + ZERO_ID.length);
  const log = keys.log(handle);
  return redis.run('read-pending', (client) =>
    client.xrangeBuffer(log, `(${after}`, stored, 'COUNT', limit),
  ) as Promise<RawEntry[]>;
}
