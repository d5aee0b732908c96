import type pg from 'pg';
import { ShapecastError } from '@shapecast/errors';
import { abortReason, type Clock } from '@shapecast/service-kit';
import type { TableDetails, TableSight, TableSights } from '../../source-database.ts';
import { readDigests, readRelations, type DescribedTable } from '../sql/catalog.ts';
import { readTrees } from '../sql/inheritance.ts';
import { requestCancel } from './cancel.ts';

/** Of the whole transaction (spec R 10.3.6). */
const LIMIT_MS = 5_000;
/** Tables of one statement; those of which more is to be told than whether they changed. */
const BATCH = 2_000;
const DETAILED_BATCH = 500;

export interface TablesRequest {
  readonly oids: readonly number[];
  /** Digests by oid. */
  readonly known: ReadonlyMap<number, string>;
}

/** As the port says. Errors of the database pass unchanged; the connection is then in an unknown state. */
export async function readTables(
  client: pg.PoolClient,
  clock: Clock,
  publication: string,
  { oids, known }: TablesRequest,
  onSights: (sights: TableSights) => void,
  signal: AbortSignal,
): Promise<void> {
  const limit = new AbortController();
  const stopClock = clock.after(LIMIT_MS, () => limit.abort(tooSlow()));
  const ending = AbortSignal.any([signal, limit.signal]);
  const onAbort = () => requestCancel(client);
  ending.addEventListener('abort', onAbort, { once: true });
  try {
    ending.throwIfAborted();
    // The server's own limit is for the case that cancelling does not reach it.
    await client.query(
      `begin isolation level repeatable read read only; set local statement_timeout = ${2 * LIMIT_MS}`,
    );
    for (let from = 0; from < oids.length; from += BATCH) {
      ending.throwIfAborted();
      await readBatch(client, publication, oids.slice(from, from + BATCH), known, onSights);
    }
    await client.query('commit');
  } catch (error) {
    if (ending.aborted) throw abortReason(ending);
    throw error;
  } finally {
    stopClock();
    ending.removeEventListener('abort', onAbort);
  }
}

async function readBatch(
  client: pg.PoolClient,
  publication: string,
  oids: readonly number[],
  known: ReadonlyMap<number, string>,
  onSights: (sights: TableSights) => void,
): Promise<void> {
  const digests = await readDigests(client, oids);
  const { moment, trees } = await readTrees(client, publication, [...digests.keys()]);
  const sights: TableSight[] = [];
  const changed: TableSight[] = [];
  for (const [oid, digest] of digests) {
    const tree = trees.get(oid);
    if (tree !== undefined) (known.get(oid) === digest ? sights : changed).push({ oid, digest, ...tree });
  }
  onSights({ moment, tables: sights, gone: oids.filter((oid) => !digests.has(oid)) });
  for (let from = 0; from < changed.length; from += DETAILED_BATCH) {
    const batch = changed.slice(from, from + DETAILED_BATCH);
    const described = await readRelations(
      client,
      batch.map(({ oid }) => oid),
    );
    const tables = batch.flatMap((sight): TableSight[] => {
      const table = described.get(sight.oid);
      return table === undefined ? [] : [{ ...sight, details: detailsOf(table, moment.xmax) }];
    });
    onSights({ moment, tables, gone: [] });
  }
}

function detailsOf({ relation, versions }: DescribedTable, xmax: bigint): TableDetails {
  return { relation, columnXids: new Map([...versions].map(([attnum, xid]) => [attnum, widened(xid, xmax)])) };
}

/** The 64-bit form of a 32-bit id that was assigned already: the newest one that fits. */
function widened(xid: number, xmax: bigint): bigint {
  const last = xmax - 1n;
  return last - BigInt.asUintN(32, last - BigInt(xid));
}

function tooSlow(): ShapecastError {
  return new ShapecastError('SOURCE_UNAVAILABLE', `The catalog was not read within ${LIMIT_MS} ms.`, {
    type: 'query_timeout',
  });
}
