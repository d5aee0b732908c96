import type { KeyTexts, SourceDatabase } from '@shapecast/change-source';
import { POSITION_ZERO, type Lsn, type Position } from '@shapecast/log';
import { parseRowKey } from '@shapecast/protocol';
import type { Clock } from '@shapecast/service-kit';
import type {
  LogEntry,
  PendingEdit,
  ShapeRecord,
  ShapeStore,
  ShardId,
  ShardMeta,
  SnapshotSegment,
} from '@shapecast/shape-store';
import { divideTransaction, fateOf, type DividedEntry } from './segments.ts';
import { decodeMark } from './snapshot-mark.ts';

interface SettleDeps {
  readonly store: Pick<ShapeStore, 'readPending' | 'amendPending'>;
  readonly database: Pick<SourceDatabase, 'placeKeys'>;
}

interface Segmented {
  readonly shard: ShardId;
  readonly shape: ShapeRecord;
  readonly token: string;
  readonly segments: readonly SnapshotSegment[];
}

const PAGE = 500;
/** Entries whose keys are placed together; a larger transaction by itself. */
const PLACED_TOGETHER = 1_000;
const POLL_MS = 250;

/**
 * Returns once all transactions below `lsn` have been applied to the shard: those that the shape takes part in are in its pending
 * log then, and later ones pass every segment.
 */
export async function caughtUp(
  { position, clock }: { readonly position: () => Promise<ShardMeta | undefined>; readonly clock: Clock },
  lsn: Lsn,
  signal: AbortSignal,
): Promise<void> {
  while (((await position())?.watermark ?? 0n) + 1n < lsn) await clock.sleep(POLL_MS, signal);
}

/**
 * Drops from the pending log what the segments of a snapshot show, each for the rows that it read: what only some of them show
 * (ADR 17). What all show is left for the promotion, which knows the first of them. To be called when the shard has caught
 * up with the last, and may be called again. False when the attempt is no longer current.
 *
 * In memory it holds the entries of some transactions, all of which are in the bounded pending log.
 */
export async function settlePending(deps: SettleDeps, segmented: Segmented, signal: AbortSignal): Promise<boolean> {
  const { store } = deps;
  const { shard, shape, token, segments } = segmented;
  const until = segments.at(-1)?.insertLsn ?? (0n as Lsn);
  const edits: PendingEdit[] = [];
  const divided: LogEntry[] = [];
  let after: Position = POSITION_ZERO;
  for (let more = true; more;) {
    signal.throwIfAborted();
    const page = await store.readPending(shard, shape.handle, token, after, PAGE);
    if (page === undefined) return false;
    more = page.length === PAGE;
    for (const entry of page) {
      after = entry.position;
      if (entry.position.lsn > until) more = false;
      else if (fateOf(segments, entry) === 'depends') {
        const begins = divided.at(-1)?.position.lsn !== entry.position.lsn;
        if (begins && divided.length >= PLACED_TOGETHER)
          edits.push(...(await divide(deps, segmented, divided.splice(0), signal)));
        divided.push(entry);
      }
    }
  }
  edits.push(...(await divide(deps, segmented, divided, signal)));
  return edits.length === 0 || store.amendPending(shard, shape.handle, token, edits);
}

interface Message {
  readonly key: string;
  readonly headers: { readonly key_change_to?: string; readonly key_change_from?: string };
}

/** Asks Postgres in which segments the rows are, and decides whole transactions by it. */
async function divide(
  { database }: SettleDeps,
  { shape, segments }: Segmented,
  entries: readonly LogEntry[],
  signal: AbortSignal,
): Promise<readonly PendingEdit[]> {
  const { schema, table } = shape.definition;
  const marks = segments.flatMap(({ after }) => (after === undefined ? [] : [decodeMark(after)]));
  const order = marks.at(-1)?.order;
  if (order === undefined || entries.length === 0) return [];
  const messages = entries.map(({ bytes }) => JSON.parse(Buffer.from(bytes).toString()) as Message);
  const keys = messages.map(({ key }) => keyTexts(parseRowKey(schema, table, key)));
  const places = await database.placeKeys({ order, bounds: marks.map(({ key }) => key), keys }, signal);

  const transactions = new Map<Lsn, DividedEntry[]>();
  for (const [i, { position, xid, bytes }] of entries.entries()) {
    const half = halfOf(messages[i]?.headers);
    const entry = { position, xid, bytes, segment: places[i] as number, ...(half ? { half } : {}) };
    const transaction = transactions.get(position.lsn);
    if (transaction) transaction.push(entry);
    else transactions.set(position.lsn, [entry]);
  }
  return [...transactions.values()].flatMap((transaction) => divideTransaction(segments, transaction));
}

function halfOf(headers: Message['headers'] | undefined): DividedEntry['half'] {
  if (headers?.key_change_to !== undefined) return 'delete';
  return headers?.key_change_from === undefined ? undefined : 'insert';
}

function keyTexts(values: readonly (string | null)[] | undefined): KeyTexts {
  if (values?.every((value) => typeof value === 'string') === true) return values;
  throw new Error('an entry of the pending log has no key of the table');
}
