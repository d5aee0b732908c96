import { formatLsn } from '@shapecast/log';
import { subsetSubject, type Rpc, type SubsetMetadata, type SubsetQuery } from '@shapecast/messaging';
import type { Clock } from '@shapecast/service-kit';
import type { ShapeDefinition } from '@shapecast/shape';
import type { ShapeHead, ShapeStore, ShardId } from '@shapecast/shape-store';
import { AdminError } from '../admin-error.ts';
import { momentOf, type Moment } from './moment.ts';
import { readMessages } from './read-log.ts';
import { Rows, type Difference, type RowMessage } from './rows.ts';

interface CheckDeps {
  readonly store: Pick<ShapeStore, 'readHead' | 'readMeta' | 'readSnapshot' | 'readLog'>;
  readonly rpc: Pick<Rpc, 'stream'>;
  readonly clock: Clock;
}

/** What a check of a shape found (spec O 10.1). Keys of rows are in it, other values are not. */
export interface ShapeCheck {
  readonly handle: string;
  readonly consistent: boolean;
  /** What both were read at. */
  readonly snapshot: { readonly lsn: string; readonly xmin: string; readonly xmax: string; readonly running: number };
  readonly rows: { readonly database: number; readonly log: number };
  readonly differences: { readonly missing: number; readonly extra: number; readonly changed: number };
  /** The first of them. */
  readonly keys: readonly Difference[];
}

const MOST_KEYS = 100;
/** Of what Postgres says, and of the log: both are in memory while they are compared. */
const MAX_BYTES = 64 * 1024 * 1024;
/** For a frame of rows; Postgres may work on a query for as long. */
const FRAME_MS = 35_000;
/** Until the shard has applied what the snapshot shows. */
const CATCH_UP_MS = 30_000;
const LOOK_MS = 100;

/**
 * Compares the rows that a shape consists of with those that the database has: one snapshot there, read by a router as a subset is,
 * and the log up to what that snapshot shows. A transaction that it does not show is left out of the log, too.
 */
export async function checkShape(
  { store, rpc, clock }: CheckDeps,
  shard: ShardId,
  { handle, definition }: { readonly handle: string; readonly definition: ShapeDefinition },
  signal: AbortSignal,
): Promise<ShapeCheck> {
  if (definition.log !== 'full') {
    throw notCheckable('The shape has only changes: what it starts from is not in its log.');
  }
  const { rows: truth, metadata } = await readDatabase(rpc, shard.source, definition, signal);
  const moment = momentOf(metadata);
  const head = await headAt({ store, clock }, shard, handle, moment, signal);
  const rows = await readShape(store, shard, head, moment, definition, signal);
  const counts = { missing: 0, extra: 0, changed: 0 };
  const keys: Difference[] = [];
  for (const difference of rows.differencesFrom(truth)) {
    counts[difference.kind] += 1;
    if (keys.length < MOST_KEYS) keys.push(difference);
  }
  return {
    handle,
    consistent: counts.missing + counts.extra + counts.changed === 0,
    snapshot: {
      ...{ lsn: formatLsn(moment.lsn), xmin: metadata.xmin, xmax: metadata.xmax },
      running: metadata.xip_list.length,
    },
    rows: { database: truth.size, log: rows.size },
    differences: counts,
    keys,
  };
}

async function readDatabase(
  rpc: Pick<Rpc, 'stream'>,
  source: string,
  definition: ShapeDefinition,
  signal: AbortSignal,
) {
  const { schema, table, oid, columns, keyColumns, hasPrimaryKey, where } = definition;
  const query: SubsetQuery = {
    ...{ schema, table, oid, columns, keyColumns, hasPrimaryKey },
    ...{ shapeWhere: where, subsetWhere: '', orderBy: [] },
  };
  const rows = new Rows(hasPrimaryKey);
  let metadata: SubsetMetadata | undefined;
  let bytes = 0;
  for await (const frame of rpc.stream(subsetSubject(source), query, { timeoutMs: FRAME_MS, signal })) {
    const text = Buffer.from(frame).toString();
    if (metadata === undefined) {
      metadata = JSON.parse(text) as SubsetMetadata;
      continue;
    }
    bytes += frame.length;
    if (bytes > MAX_BYTES) throw tooLarge();
    for (const row of JSON.parse(`[${text}]`) as RowMessage[]) rows.apply(row);
  }
  if (metadata === undefined) throw new Error('a subset came without its snapshot');
  return { rows, metadata };
}

/** The head of the shape once its shard has applied everything that the snapshot shows. */
async function headAt(
  { store, clock }: Pick<CheckDeps, 'store' | 'clock'>,
  shard: ShardId,
  handle: string,
  { lsn }: Moment,
  signal: AbortSignal,
): Promise<ShapeHead> {
  const giveUpAt = clock.now() + CATCH_UP_MS;
  for (;;) {
    const watermark = (await store.readMeta(shard))?.watermark ?? 0n;
    const head = await store.readHead(shard, handle);
    if (head === undefined || head.state === 'dead') throw ended();
    if (head.state === 'live' && watermark + 1n >= lsn) {
      // Read after the watermark, so it has what that promises.
      return head;
    }
    if (clock.now() >= giveUpAt) {
      const message = 'The shard did not come to what the database shows in time: look at its lag, and try again.';
      throw new AdminError({ status: 503, code: 'shard_behind', message, retryAfterS: 10 });
    }
    await clock.sleep(LOOK_MS, signal);
  }
}

async function readShape(
  store: CheckDeps['store'],
  shard: ShardId,
  head: ShapeHead,
  moment: Moment,
  { hasPrimaryKey }: ShapeDefinition,
  signal: AbortSignal,
): Promise<Rows> {
  const rows = new Rows(hasPrimaryKey);
  const messages = readMessages(store, shard, head, signal);
  let bytes = 0;
  for (;;) {
    const next = await messages.next();
    if (next.done === true) {
      if (next.value === 'gone') throw ended();
      return rows;
    }
    const { message } = next.value;
    bytes += next.value.bytes;
    if (bytes > MAX_BYTES) throw tooLarge();
    const { txids, lsn } = message.headers;
    const shown = moment.shows(txids?.length === 1 ? txids[0] : undefined, lsn === undefined ? undefined : BigInt(lsn));
    if (shown) rows.apply(message);
  }
}

function ended(): AdminError {
  return new AdminError({ status: 409, code: 'shape_ended', message: 'The shape ended while it was checked.' });
}

function tooLarge(): AdminError {
  return notCheckable(`The shape is larger than ${MAX_BYTES / 1024 / 1024} MiB, which is the most that is compared.`);
}

function notCheckable(message: string): AdminError {
  return new AdminError({ status: 409, code: 'not_checkable', message });
}
