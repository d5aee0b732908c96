import type pg from 'pg';
import { isShapecastError, ShapecastError } from '@shapecast/errors';
import type { Lsn } from '@shapecast/log';
import type { Clock } from '@shapecast/service-kit';
import type { SnapshotRequest, SnapshotSink } from '../../change-source.ts';
import type { KeyPlaces } from '../../keyset.ts';
import { connectionError, pgMessage, rowMessage, sqlState, STANDBY_MESSAGE } from '../errors.ts';
import { readPublishedBy } from '../sql/publication.ts';
import type { TextRow } from '../sql/query.ts';
import {
  beginSnapshot,
  declareCursor,
  fetchFirst,
  fetchMore,
  parseTableState,
  parseVisibility,
  selectTableState,
  selectVisibility,
} from '../sql/snapshot.ts';
import { FIRST_BATCH_ROWS, lastRow, nextCount, runCancellable } from './cursor.ts';
import { isWorthOrdering, openInOrder, orderOf, readKeyPlaces } from './keyset.ts';

const RETRY_MIN_MS = 50;
const RETRY_MAX_MS = 1_000;
/** Of the first page of a file of WAL, the larger one. A commit record has 46 bytes at least where `wal_level` is `logical`. */
const PAGE_HEADER_BYTES = 40n;

export interface SnapshotOptions {
  readonly serverVersion: number;
  readonly publicationName: string;
  readonly firstRowTimeoutMs: number;
  /** How long to wait for somebody who alters the table (spec O F59). */
  readonly lockTimeoutMs: number;
  /** How long to try for a snapshot that shows all that the stream delivered (spec R 10.6.7). */
  readonly safetyTimeoutMs: number;
}

/** Reads one consistent snapshot of the request's rows on this connection (spec R 10.5). Errors as in the port. */
export async function readSnapshot(
  client: pg.PoolClient,
  clock: Clock,
  options: SnapshotOptions,
  request: SnapshotRequest,
  sink: SnapshotSink,
  signal: AbortSignal,
): Promise<void> {
  const run = (text: string) => runCancellable(client, text, (error) => snapshotError(error, options), signal);
  const giveUpMs = clock.now() + options.safetyTimeoutMs;
  const keyset = request.rows ? request.keyset : undefined;
  let ordered = keyset?.after ? true : undefined;
  for (let waitMs = RETRY_MIN_MS; ; waitMs = Math.min(2 * waitMs, RETRY_MAX_MS)) {
    // The rest of some rows may have none for a long time, and others of them have flowed.
    const begin = beginSnapshot(options.serverVersion, keyset?.after ? 0 : options.firstRowTimeoutMs);
    const patience = `set local lock_timeout = ${options.lockTimeoutMs}`;
    const declare = ordered ? openInOrder(request) : request.rows ? [declareCursor(request)] : [];
    const statements = [begin, patience, ...declare, selectVisibility(request), selectTableState(request)];
    const results = await run(statements.join('; '));
    const { info, oid } = parseVisibility(lastRow(results.slice(0, -1)));
    if (oid !== request.oid) throw schemaChanged(request);
    const { replaced, bytes, ...state } = parseTableState(lastRow(results));
    if (ordered === undefined && keyset && bytes >= keyset.minBytes) {
      await run('rollback');
      ordered = await isWorthOrdering(run, request, options, signal);
      await run('rollback');
      continue;
    }
    const order = ordered ? orderOf(results.at(-3) ?? [], request) : undefined;
    const published = await publishedBy(client, request, options);
    const table = { ...state, ...(order === undefined ? {} : { order, shownBelow: shownBelow(info.insertLsn) }) };
    if (!replaced && (await sink.onSnapshot({ ...info, published }, table)) === 'use') break;
    await run('rollback');
    if (clock.now() + waitMs > giveUpMs) throw unsafe();
    await clock.sleep(waitMs, signal);
  }
  if (request.rows) await readRows(run, sink);
  await run('commit');
}

/**
 * The insert position may lie behind the header of a page that nothing was written to yet: an idle server never says that it got
 * there. A commit begins with its record, none of which is shorter than that header.
 */
function shownBelow(insertLsn: Lsn): Lsn {
  return (insertLsn - PAGE_HEADER_BYTES) as Lsn;
}

/** Keys of rows, placed in an order that snapshots were read in. */
export async function readPlaces(
  client: pg.PoolClient,
  options: Pick<SnapshotOptions, 'serverVersion' | 'firstRowTimeoutMs'>,
  places: KeyPlaces,
  signal: AbortSignal,
): Promise<readonly number[]> {
  const run = (text: string) => runCancellable(client, text, (error) => queryFailed(error), signal);
  return readKeyPlaces(run, places, options.serverVersion, options.firstRowTimeoutMs);
}

/** Read in the snapshot itself: what is published later, or for a while before, is something else (spec R 7.12, 15.7). */
async function publishedBy(client: pg.PoolClient, { oid }: SnapshotRequest, options: SnapshotOptions): Promise<string> {
  const { publicationName, serverVersion } = options;
  const { tables } = await readPublishedBy(client, publicationName, serverVersion, [oid]).catch((error: unknown) => {
    throw snapshotError(error, options);
  });
  return tables.get(oid) ?? '';
}

/** Batches grow or shrink towards 1 MiB each. Nothing is fetched before the batch before was taken. */
async function readRows(run: (text: string) => Promise<TextRow[][]>, sink: SnapshotSink): Promise<void> {
  let count = FIRST_BATCH_ROWS;
  let rows = (await run(fetchFirst(count))).flat();
  while (rows.length > 0) {
    await sink.onRows(rows);
    if (rows.length < count) return;
    count = nextCount(rows);
    rows = (await run(fetchMore(count))).flat();
  }
}

/** Spec R 10.8.1. */
function snapshotError(error: unknown, options: SnapshotOptions): ShapecastError {
  const code = sqlState(error);
  const failed = (type: string, message: string) =>
    new ShapecastError('SNAPSHOT_FAILED', message, { type, ...(code && { code }) }, error);
  switch (code) {
    case '42P01': // undefined table
    case '42703': // undefined column
    case '42883': // undefined function
    case '42704': // undefined object
    case '3F000': // invalid schema name
      return new ShapecastError('SCHEMA_CHANGED', 'The table changed while its snapshot was made.', { code }, error);
    case '42501':
      return failed('insufficient_privileges', `Unable to create initial snapshot: ${pgMessage(error)}`);
    case '57014':
      return failed(
        'query_timeout',
        `Snapshot query took too long to return data (cancelled after ${options.firstRowTimeoutMs}ms). ` +
          'Please ensure snapshot queries are using an index to avoid taking up all database connections.',
      );
    case '55P03':
      return failed('table_lock_timeout', 'Snapshot timed out while waiting for a table lock');
    case '55000':
      return /recovery is in progress/.test(pgMessage(error)) ? failed('standby', STANDBY_MESSAGE) : queryFailed(error);
    default:
      // The clause meets a row it cannot be evaluated for. Retrying would fail the same way; somebody has to change one of them.
      return code?.startsWith('22') === true
        ? new ShapecastError('INVALID_REQUEST', rowMessage(error), { field: 'where', code }, error)
        : queryFailed(error);
  }
}

/** For failures that say nothing about the request: the connection's, or unknown ones, whose text may hold row values. */
export function queryFailed(error: unknown): ShapecastError {
  if (isShapecastError(error, 'SNAPSHOT_FAILED')) return error;
  const cause = connectionError(error);
  const type = cause.details['type'] ?? 'unknown';
  const reason = type === 'unknown' ? 'the query failed.' : cause.message;
  return new ShapecastError('SNAPSHOT_FAILED', `Unable to create initial snapshot: ${reason}`, cause.details, cause);
}

function schemaChanged(request: SnapshotRequest): ShapecastError {
  const message = `Database table "${request.schema}.${request.table}" has been dropped or renamed`;
  return new ShapecastError('SCHEMA_CHANGED', message, { oid: request.oid });
}

function unsafe(): ShapecastError {
  const message =
    'Snapshot creation failed because a committed transaction stays invisible, probably waiting for a synchronous standby.';
  return new ShapecastError('SNAPSHOT_FAILED', message, { type: 'invisible_transaction' });
}
