import { addToDigest, rowHash, type Row } from '../model/cells.ts';
import type { TrackedShape } from '../model/shape.ts';
import { trackedTable } from '../model/tables.ts';
import { filled, type DecodedTransaction } from './pgoutput.ts';

/** Of one row: a row that came has no `before`, one that went no `after`. A key that changes is both, as two. */
interface RowChange {
  readonly table: string;
  readonly key: string;
  readonly before: Row | undefined;
  readonly after: Row | undefined;
}

export interface TrueTransaction {
  readonly lsn: bigint;
  readonly xid: bigint;
  readonly changes: readonly RowChange[];
  /** Tables that it truncated. */
  readonly truncated: readonly string[];
}

/** What a snapshot shows (`snapshot-end` of the protocol). 64-bit ids. */
export interface Visibility {
  readonly xmin: bigint;
  readonly xmax: bigint;
  readonly xip: readonly bigint[];
}

/** What a shape held at a moment. `unknown`: it is longer ago than what is kept. */
export type DigestAt = number | 'unknown';

/** Row changes that are kept, to know what was when. */
const KEPT_CHANGES = 600_000;

/** The stream of the checker's slot makes no sense: a bug of the checker, never of what it checks. */
export class LostCount extends Error {}

/**
 * What Postgres held at every commit, from a logical slot of its own. `position` says up to where it is known: every
 * transaction that commits at or below it was given.
 */
export class Truth {
  position = 0n;
  /** By `performance.now()`: everything that had been committed then is known. */
  knownAt = -Infinity;
  transactions = 0;
  changes = 0;
  readonly #asked: { readonly at: number; readonly flushed: bigint }[] = [];
  readonly #tables = new Map<string, Map<string, Row>>();
  /** In commit order; the oldest go. */
  readonly #kept: TrueTransaction[] = [];
  #keptChanges = 0;
  /** Commit LSN of the last transaction. */
  #applied = 0n;
  /** Nothing at or below it is kept. */
  #floor = 0n;
  readonly #views = new Map<TrackedShape, View>();
  /** Of the tables, by table. */
  readonly #truncations = new Map<string, TrueTransaction[]>();

  /** Takes a transaction; one that is known already is passed over, for Postgres tells again after a crash. */
  apply(decoded: DecodedTransaction): TrueTransaction | undefined {
    if (decoded.lsn <= this.#applied) return undefined;
    const changes: RowChange[] = [];
    const truncated: string[] = [];
    for (const change of decoded.changes) {
      const rows = this.#rows(change.table);
      switch (change.kind) {
        case 'truncate':
          truncated.push(change.table);
          for (const [key, before] of rows) changes.push({ table: change.table, key, before, after: undefined });
          rows.clear();
          break;
        case 'insert':
          this.#set(rows, change.table, undefined, change.after, changes);
          break;
        case 'delete':
          this.#set(rows, change.table, this.#known(rows, change.table, change.before), undefined, changes);
          break;
        case 'update': {
          const before = this.#known(rows, change.table, change.before ?? (change.after as Row));
          this.#set(rows, change.table, before, filled(change.after, before), changes);
        }
      }
    }
    const transaction = { lsn: decoded.lsn, xid: BigInt(decoded.xid), changes, truncated };
    this.#applied = decoded.lsn;
    if (decoded.lsn > this.position) this.position = decoded.lsn;
    this.transactions += 1;
    this.changes += changes.length;
    for (const [shape, view] of this.#views) view.take(transaction, shape);
    for (const table of truncated) this.#truncations.set(table, [...this.truncations(table), transaction]);
    this.#kept.push(transaction);
    this.#keptChanges += changes.length;
    while (this.#keptChanges > KEPT_CHANGES && this.#kept.length > 1) {
      const oldest = this.#kept.shift() as TrueTransaction;
      this.#keptChanges -= oldest.changes.length;
      this.#floor = oldest.lsn;
    }
    return transaction;
  }

  /** No transaction that was not given commits at or below `lsn`. */
  advance(lsn: bigint): void {
    if (lsn > this.position) this.position = lsn;
    const reached = this.#asked.findLastIndex(({ flushed }) => flushed - 1n <= this.position);
    if (reached >= 0) this.knownAt = (this.#asked.splice(0, reached + 1).at(-1) as { at: number }).at;
  }

  /** Everything that had been committed at `at` commits below `flushed`. In the order of both. */
  expect(at: number, flushed: bigint): void {
    this.#asked.push({ at, flushed });
    this.advance(0n);
  }

  truncations(table: string): readonly TrueTransaction[] {
    return this.#truncations.get(table) ?? [];
  }

  /** Transactions of a stretch, for people. */
  between(above: bigint, upTo: bigint): readonly TrueTransaction[] {
    return this.#kept.filter(({ lsn }) => lsn > above && lsn <= upTo);
  }

  /**
   * Digest of the shape with every transaction that commits at or below `lsn`, and with those that the snapshot it started
   * from shows already (spec R 1, I1).
   */
  digestAt(shape: TrackedShape, lsn: bigint, snapshot?: Visibility): DigestAt {
    return this.#view(shape).at(lsn, snapshot);
  }

  /** Commit LSN of the last transaction at or below `lsn` that changed what the shape shows. */
  lastChange(shape: TrackedShape, lsn: bigint): bigint {
    return this.#view(shape).lastChange(lsn);
  }

  /** The rows behind `digestAt`, by key. Slow. Undefined when they are not known any more. */
  rowsAt(shape: TrackedShape, lsn: bigint, snapshot?: Visibility): Map<string, Row> | undefined {
    if (lsn < this.#floor) return undefined;
    const rows = new Map(this.#rows(shape.table));
    for (const transaction of [...this.#kept].reverse()) {
      if (transaction.lsn <= lsn) break;
      if (snapshot !== undefined && isVisible(snapshot, transaction.xid)) continue;
      for (const change of [...transaction.changes].reverse()) {
        if (change.table !== shape.table) continue;
        if (change.before === undefined) rows.delete(change.key);
        else rows.set(change.key, change.before);
      }
    }
    const shown = new Map<string, Row>();
    for (const [key, row] of rows) {
      const visible = shape.show(row);
      if (visible !== undefined) shown.set(key, visible);
    }
    return shown;
  }

  #view(shape: TrackedShape): View {
    const known = this.#views.get(shape);
    if (known !== undefined) return known;
    const before = this.rowsAt(shape, this.#floor) ?? new Map<string, Row>();
    let digest = 0;
    for (const row of before.values()) digest = addToDigest(digest, rowHash(row));
    const view = new View(this.#floor, digest);
    for (const transaction of this.#kept) view.take(transaction, shape);
    this.#views.set(shape, view);
    return view;
  }

  #rows(table: string): Map<string, Row> {
    const known = this.#tables.get(table);
    if (known !== undefined) return known;
    const rows = new Map<string, Row>();
    this.#tables.set(table, rows);
    return rows;
  }

  /** The whole row that Postgres names by its key. */
  #known(rows: Map<string, Row>, table: string, named: Row): Row {
    const row = rows.get(keyOf(table, named));
    if (row === undefined) throw new LostCount(`${table} has no row ${keyOf(table, named)}`);
    return row;
  }

  #set(
    rows: Map<string, Row>,
    table: string,
    before: Row | undefined,
    after: Row | undefined,
    changes: RowChange[],
  ): void {
    const [from, to] = [before && keyOf(table, before), after && keyOf(table, after)];
    if (before !== undefined && from !== undefined && from !== to) {
      rows.delete(from);
      changes.push({ table, key: from, before, after: undefined });
    }
    if (after === undefined || to === undefined) return;
    rows.set(to, after);
    changes.push({ table, key: to, before: from === to ? before : undefined, after });
  }
}

/** Visible in a snapshot. */
export function isVisible({ xmin, xmax, xip }: Visibility, xid: bigint): boolean {
  return xid < xmin || (xid < xmax && !xip.includes(xid));
}

function keyOf(table: string, row: Row): string {
  return JSON.stringify(trackedTable(table).key.map((column) => row[column]));
}

/** What one shape held when, as digests. */
class View {
  readonly #floor: bigint;
  readonly #steps: { readonly lsn: bigint; readonly xid: bigint; readonly before: number; readonly digest: number }[] =
    [];
  readonly #start: number;

  constructor(floor: bigint, digest: number) {
    this.#floor = floor;
    this.#start = digest;
  }

  take({ lsn, xid, changes }: TrueTransaction, shape: TrackedShape): void {
    const before = this.#steps.at(-1)?.digest ?? this.#start;
    let digest = before;
    for (const change of changes) {
      if (change.table !== shape.table) continue;
      const [from, to] = [shape.show(change.before), shape.show(change.after)];
      if (from !== undefined) digest = addToDigest(digest, -rowHash(from));
      if (to !== undefined) digest = addToDigest(digest, rowHash(to));
    }
    if (digest !== before) this.#steps.push({ lsn, xid, before, digest });
  }

  at(lsn: bigint, snapshot: Visibility | undefined): DigestAt {
    if (lsn < this.#floor) return 'unknown';
    const index = this.#upTo(lsn);
    let digest = this.#steps[index - 1]?.digest ?? this.#start;
    if (snapshot === undefined) return digest;
    for (const step of this.#steps.slice(index)) {
      if (isVisible(snapshot, step.xid)) digest = addToDigest(digest, addToDigest(step.digest, -step.before));
    }
    return digest;
  }

  lastChange(lsn: bigint): bigint {
    return this.#steps[this.#upTo(lsn) - 1]?.lsn ?? 0n;
  }

  /** Number of steps at or below `lsn`. */
  #upTo(lsn: bigint): number {
    let [low, high] = [0, this.#steps.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#steps[middle] as { lsn: bigint }).lsn <= lsn) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
