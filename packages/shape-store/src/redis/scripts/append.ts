import type { EntryOrigin } from '../../applied-note.ts';
import type { AppendBatch, LogEntry, ShardState, WriteOutcome } from '../../shape-store.ts';
import { DATA_LOST, PENDING_OVERFLOW } from '../../limits.ts';
import { encodeCursor, encodeId, padded } from '../codec.ts';
import { unavailable } from '../connection.ts';
import { randomToken, type StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { encodeNote } from '../note.ts';
import { defineScript, type ScriptArgument, type ScriptCall } from '../script.ts';

/** Spec R 12.3.1: what keeps a call under about 5 ms of the server's time. */
const MAX_ENTRIES = 500;
const MAX_BYTES = 1024 * 1024;
const MAX_TRANSACTIONS = 2_000;
const ATTEMPTS = 3;

const run = defineScript<WriteOutcome | 'part'>(new URL('./append.lua', import.meta.url), {
  shared: ['head.lua', 'version.lua'],
});

/**
 * Applies a step in as many calls as it needs, all sent at once.
 *
 * Only the last call moves the cursor and the visible position. What the earlier ones stored stays invisible, and if the
 * writer dies before the last call, its successor reads the same messages again from the unmoved cursor and the logs skip
 * what they have. A shape registered between two calls changes `ver`, so the rest of the step is refused; the caller matches
 * it again with the new shape, which then gets all of the step's entries: its `regLsn` is the unmoved cursor. For the same
 * reason the ring needs the step's transactions only when the cursor moves; earlier calls may push theirs, which no snapshot
 * of a shape registered before asks for. Calls that follow a failed one find that `part` is not theirs and do nothing.
 */
export async function append(
  { redis, limits }: StoreContext,
  keys: ShardKeys,
  expected: ShardState,
  batch: AppendBatch,
): Promise<WriteOutcome> {
  const slices = split(batch);
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const token = randomToken();
    const calls = slices.map((slice, index): ScriptCall => {
      const last = index === slices.length - 1;
      const groups = [...slice.groups];
      const args: ScriptArgument[] = [
        expected.epoch,
        expected.owner,
        expected.ver,
        encodeCursor(expected.cursor),
        index === 0 ? '' : `${token}${index}`,
        last ? '' : `${token}${index + 1}`,
        last ? encodeCursor(batch.to) : '',
        last && batch.visible ? encodeId(batch.visible) : '',
        last && batch.watermark !== undefined ? padded(batch.watermark) : '',
        last && batch.xmin !== undefined ? padded(batch.xmin) : '',
        token,
        limits.pendingMaxBytes,
        limits.pendingMaxEntries,
        limits.ringMaxEntries,
        limits.versionsKept,
        JSON.stringify(PENDING_OVERFLOW),
        JSON.stringify(DATA_LOST),
        batch.transactions.length,
        slice.transactions.length,
        groups.length,
      ];
      for (const { lsn, xid } of slice.transactions) args.push(`${padded(lsn)}-${padded(xid)}`);
      for (const [handle] of groups) args.push(handle);
      for (const [, entries] of groups) args.push(entries.length);
      pushNotes(args, groups, batch.appliedMs);
      for (const [, entries] of groups) {
        for (const { position, xid, bytes } of entries) {
          args.push(encodeId(position), String(xid), Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
        }
      }
      const { meta, ring, heads, attempts, chunks, versions, dead } = keys;
      return {
        keys: [meta, ring, heads, attempts, chunks, versions, dead, ...groups.map(([handle]) => keys.log(handle))],
        args,
      };
    });
    const outcome = (await run.many(redis, calls)).find((reply) => reply !== 'ok') ?? 'ok';
    if (outcome !== 'part') return outcome;
    // Only after the server was taught the script between two calls, or beside another step of the same owner.
  }
  throw unavailable('The parts of a step kept missing each other. The call may be repeated.', {
    reason: 'interleaved',
  });
}

/** Shapes with entries of one transaction share its text. */
function pushNotes(
  args: ScriptArgument[],
  groups: readonly (readonly [handle: string, entries: readonly LogEntry[]])[],
  appliedMs: number | undefined,
): void {
  let of: EntryOrigin | undefined;
  let text = '';
  for (const [, entries] of groups) {
    const origin = entries[entries.length - 1]?.origin;
    if (origin !== of) {
      of = origin;
      text = origin === undefined || appliedMs === undefined ? '' : encodeNote(origin, appliedMs);
    }
    args.push(text);
  }
}

interface Slice {
  readonly transactions: AppendBatch['transactions'];
  /** Entries by handle: a script reads and writes the head of a shape once. */
  readonly groups: ReadonlyMap<string, readonly LogEntry[]>;
}

/** Cuts a step where a call would grow too large. Every slice keeps the order of the entries. At least one slice. */
function split(batch: AppendBatch): Slice[] {
  const slices: Slice[] = [];
  let groups = new Map<string, LogEntry[]>();
  let entries = 0;
  let bytes = 0;
  const close = () => {
    const from = slices.length * MAX_TRANSACTIONS;
    slices.push({ transactions: batch.transactions.slice(from, from + MAX_TRANSACTIONS), groups });
    groups = new Map();
    entries = 0;
    bytes = 0;
  };
  for (const entry of batch.entries) {
    if (entries > 0 && (entries === MAX_ENTRIES || bytes + entry.bytes.length > MAX_BYTES)) close();
    const group = groups.get(entry.handle);
    if (group) group.push(entry);
    else groups.set(entry.handle, [entry]);
    entries += 1;
    bytes += entry.bytes.length;
  }
  do close();
  while (slices.length * MAX_TRANSACTIONS < batch.transactions.length);
  return slices;
}
