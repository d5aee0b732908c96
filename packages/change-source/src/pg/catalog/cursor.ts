import type pg from 'pg';
import { abortReason } from '@shapecast/service-kit';
import type { TextRow } from '../sql/query.ts';
import { requestCancel } from './cancel.ts';

export const FIRST_BATCH_ROWS = 100;
const MAX_BATCH_ROWS = 2_000;
const TARGET_BATCH_BYTES = 1024 * 1024;

/** How many rows to fetch after these, so that a batch has about 1 MiB. */
export function nextCount(rows: readonly TextRow[]): number {
  let bytes = 0;
  for (const row of rows) for (const cell of row) bytes += (cell?.length ?? 0) + 8;
  return Math.max(1, Math.min(MAX_BATCH_ROWS, Math.floor((TARGET_BATCH_BYTES * rows.length) / bytes)));
}

/**
 * Rows of every statement in `text`. Aborting cancels it in Postgres and rejects with the signal's reason; other errors are
 * wrapped with `wrap`.
 */
export async function runCancellable(
  client: pg.PoolClient,
  text: string,
  wrap: (error: unknown) => Error,
  signal: AbortSignal,
): Promise<TextRow[][]> {
  signal.throwIfAborted();
  const onAbort = () => requestCancel(client);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const results: unknown = await client.query({ text, rowMode: 'array' });
    const list = (Array.isArray(results) ? results : [results]) as pg.QueryArrayResult<TextRow>[];
    return list.map((result) => result.rows);
  } catch (error) {
    if (signal.aborted) throw abortReason(signal);
    throw wrap(error);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

export function lastRow(results: readonly TextRow[][]): TextRow {
  const row = results.at(-1)?.[0];
  if (!row) throw new Error('statement returned no row');
  return row;
}
