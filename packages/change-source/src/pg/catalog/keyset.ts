import { ShapecastError } from '@shapecast/errors';
import type { SnapshotRequest } from '../../change-source.ts';
import type { KeyPlaces } from '../../keyset.ts';
import { isAfter, lockTable, orderByKey, parseOrder, selectOrder, selectPlaces } from '../sql/keyset.ts';
import type { TextRow } from '../sql/query.ts';
import { beginSnapshot, declareCursor, parenthesized } from '../sql/snapshot.ts';

type Run = (text: string) => Promise<TextRow[][]>;

/** Keys that are compared by one statement. */
const KEYS_PER_QUERY = 500;
/** What reading in the order of the key may cost, by the planner's estimate, of reading the rows as they lie. */
const MAX_COST_RATIO = 3;
/** And what is no cost at all: a few hundred pages. */
const FREE_COST = 1_000;
/** The order is to be the index's: a plan that sorts a large table before its first row is not what is wanted. */
const NO_SORT = 'set local enable_sort = off';

/** Opens a request's cursor in the order of its key, and reads what that order depends on. */
export function openInOrder(request: SnapshotRequest): readonly string[] {
  return [NO_SORT, lockTable(request), declareInOrder(request), selectOrder(request.oid)];
}

function declareInOrder(request: SnapshotRequest): string {
  const { key = [], after } = request.keyset ?? {};
  const conditions = [request.where, after ? isAfter(after) : ''].filter((condition) => condition !== '');
  const where = conditions.length > 1 ? conditions.map(parenthesized).join(' and ') : (conditions[0] ?? '');
  return declareCursor({ ...request, where }, orderByKey(key));
}

/**
 * Whether a large table is worth reading in the order of its key: where the order is well defined, and follows from an index that
 * is about as cheap to follow as the table. Keys that come at random, such as uuids of version 4, cost a page for every
 * row; such a table is rather read twice. Leaves a transaction open, which may have failed.
 */
export async function isWorthOrdering(
  run: Run,
  request: SnapshotRequest,
  options: { readonly serverVersion: number; readonly firstRowTimeoutMs: number; readonly lockTimeoutMs: number },
  signal: AbortSignal,
): Promise<boolean> {
  const explain = (declare: string) => `explain (format json) ${declare}`;
  const begin = beginSnapshot(options.serverVersion, options.firstRowTimeoutMs);
  const plans = [explain(declareCursor(request)), NO_SORT, explain(declareInOrder(request))];
  try {
    const patience = `set local lock_timeout = ${options.lockTimeoutMs}`;
    const results = await run([begin, patience, lockTable(request), selectOrder(request.oid), ...plans].join('; '));
    const [order = [], asItLies = [], , inOrder = []] = results.slice(-4);
    if (parseOrder(order, request.keyset?.key ?? []) === undefined) return false;
    const [plain, ordered] = [parsePlan(asItLies), parsePlan(inOrder)];
    return !sorts(ordered) && ordered['Total Cost'] <= MAX_COST_RATIO * plain['Total Cost'] + FREE_COST;
  } catch {
    signal.throwIfAborted();
    // The role may not ask for it, or the request fails in any order: then reading the rows tells why.
    return false;
  }
}

/** In the transaction that reads the rows, once the cursor has the table locked. Throws when a read cannot be continued. */
export function orderOf(rows: readonly TextRow[], { keyset }: SnapshotRequest): string | undefined {
  const order = parseOrder(rows, keyset?.key ?? []);
  if (keyset?.after === undefined || order === keyset.after.order) return order;
  throw notResumable();
}

function notResumable(): ShapecastError {
  const message = 'Unable to create initial snapshot: the table is not as it was when its first rows were read.';
  return new ShapecastError('SNAPSHOT_FAILED', message, { type: 'not_resumable' });
}

/** How many of the bounds come before each of the keys. */
export async function readKeyPlaces(run: Run, places: KeyPlaces, serverVersion: number, timeoutMs: number) {
  const found: number[] = [];
  for (let from = 0; from < places.keys.length; from += KEYS_PER_QUERY) {
    const keys = places.keys.slice(from, from + KEYS_PER_QUERY);
    const results = await run(
      [beginSnapshot(serverVersion, timeoutMs), selectPlaces({ ...places, keys }), 'commit'].join('; '),
    );
    const rows = results.at(-2) ?? [];
    if (rows.length !== keys.length) throw new Error('not every key has a place');
    for (const [place] of rows) found.push(Number(place));
  }
  return found;
}

interface Plan {
  readonly 'Node Type': string;
  readonly 'Total Cost': number;
  readonly Plans?: readonly Plan[];
}

function parsePlan([row]: readonly TextRow[]): Plan {
  const [{ Plan: plan }] = JSON.parse(row?.[0] ?? '') as [{ readonly Plan: Plan }];
  return plan;
}

/** All at once, before the first row, and on the server's disk. */
function sorts(plan: Plan): boolean {
  return plan['Node Type'].includes('Sort') || (plan.Plans ?? []).some(sorts);
}
