import type pg from 'pg';
import { ShapecastError } from '@shapecast/errors';
import type { Clock } from '@shapecast/service-kit';
import type { SubsetRequest, SubsetSink } from '../../change-source.ts';
import { connectionError, pgMessage, rowMessage, sqlState, STANDBY_MESSAGE } from '../errors.ts';
import type { TextRow } from '../sql/query.ts';
import {
  beginSnapshot,
  parseTableState,
  parseVisibility,
  selectTableState,
  selectVisibility,
} from '../sql/snapshot.ts';
import { declareSubset, fetchWithin } from '../sql/subset.ts';
import { FIRST_BATCH_ROWS, lastRow, nextCount, runCancellable } from './cursor.ts';

/** Reads one subset on this connection (spec R 10.9). Errors as in the port. */
export async function readSubset(
  client: pg.PoolClient,
  clock: Clock,
  options: { readonly serverVersion: number },
  request: SubsetRequest,
  sink: SubsetSink,
  signal: AbortSignal,
): Promise<void> {
  const query = new TimedQuery(client, clock, request, signal);
  const begin = beginSnapshot(options.serverVersion, request.timeoutMs);
  const statements = [begin, declareSubset(request), selectVisibility(request), selectTableState(request)];
  const results = await query.prepare(statements.join('; '));
  const { info, oid } = parseVisibility(lastRow(results.slice(0, -1)));
  if (oid !== request.oid) throw schemaChanged(request);
  const { replaced } = parseTableState(lastRow(results));
  if (replaced) throw new ShapecastError('SCHEMA_CHANGED', 'The table changed while its rows were read.');
  let count = FIRST_BATCH_ROWS;
  let rows = await query.fetch(count);
  await sink.onSnapshot(info);
  while (rows.length > 0) {
    await sink.onRows(rows);
    if (rows.length < count) break;
    count = nextCount(rows);
    rows = await query.fetch(count);
  }
  await query.prepare('commit');
}

/** Which part of the request Postgres complains about, and how. */
interface Explanation {
  readonly field: string;
  readonly message: string;
}
type Explain = (error: unknown) => Explanation;

/** Statements that share one time limit; what happens between them is not counted. */
class TimedQuery {
  readonly #client: pg.PoolClient;
  readonly #clock: Clock;
  readonly #request: SubsetRequest;
  readonly #signal: AbortSignal;
  #leftMs: number;

  constructor(client: pg.PoolClient, clock: Clock, request: SubsetRequest, signal: AbortSignal) {
    this.#client = client;
    this.#clock = clock;
    this.#request = request;
    this.#signal = signal;
    this.#leftMs = request.timeoutMs;
  }

  /** Statements that read no rows of the table: what Postgres says about them, it says about the request. */
  prepare(text: string): Promise<TextRow[][]> {
    return this.#run(text, (error) => ({ field: fieldOf(text, error), message: pgMessage(error) }));
  }

  async fetch(rows: number): Promise<TextRow[]> {
    const results = await this.#run(fetchWithin(rows, Math.max(1, Math.floor(this.#leftMs))), (error) => ({
      field: 'where',
      message: rowMessage(error),
    }));
    return results.flat();
  }

  async #run(text: string, explain: Explain): Promise<TextRow[][]> {
    const startedMs = this.#clock.now();
    try {
      return await runCancellable(
        this.#client,
        text,
        (error) => subsetError(error, this.#request, explain),
        this.#signal,
      );
    } finally {
      this.#leftMs -= this.#clock.now() - startedMs;
    }
  }
}

/** What is after the last ORDER BY of the statement is ours; a position is counted in characters, from 1. */
function fieldOf(text: string, error: unknown): string {
  const { position } = error as { readonly position?: unknown };
  const before = text.slice(0, text.lastIndexOf(' order by ') + 1);
  return before !== '' && Number(position) > [...before].length ? 'order_by' : 'where';
}

function subsetError(error: unknown, request: SubsetRequest, explain: Explain): ShapecastError {
  const code = sqlState(error);
  const failed = (type: string, message: string) =>
    new ShapecastError('SNAPSHOT_FAILED', message, { type, ...(code && { code }) }, error);
  const invalid = (explained: Explanation) =>
    new ShapecastError('INVALID_REQUEST', explained.message, { field: explained.field, ...(code && { code }) }, error);
  switch (code) {
    case '42P01': // undefined table
    case '42703': // undefined column
    case '3F000': // invalid schema name
      return new ShapecastError('SCHEMA_CHANGED', 'The table changed while its rows were read.', { code }, error);
    case '42501':
      return failed('insufficient_privileges', `Unable to read the subset: ${pgMessage(error)}`);
    case '57014':
      return failed(
        'query_timeout',
        `Subset query took too long (cancelled after ${request.timeoutMs}ms). ` +
          'Please ensure that subset queries are using an index.',
      );
    case '55P03':
      return failed('table_lock_timeout', 'Subset query timed out while waiting for a table lock');
    case '2201W':
      return invalid({ field: 'limit', message: pgMessage(error) });
    case '2201X':
      return invalid({ field: 'offset', message: pgMessage(error) });
    case '55000':
      return /recovery is in progress/.test(pgMessage(error))
        ? failed('standby', STANDBY_MESSAGE)
        : subsetFailed(error);
    default:
      return code !== undefined && /^(22|42)/.test(code) ? invalid(explain(error)) : subsetFailed(error);
  }
}

/** For failures that say nothing about the request: the connection's, or unknown ones, whose text may hold row values. */
export function subsetFailed(error: unknown): ShapecastError {
  const cause = connectionError(error);
  const type = cause.details['type'] ?? 'unknown';
  const reason = type === 'unknown' ? 'the query failed.' : cause.message;
  return new ShapecastError('SNAPSHOT_FAILED', `Unable to read the subset: ${reason}`, cause.details, cause);
}

function schemaChanged(request: SubsetRequest): ShapecastError {
  const message = `Database table "${request.schema}.${request.table}" has been dropped or renamed`;
  return new ShapecastError('SCHEMA_CHANGED', message, { oid: request.oid });
}
