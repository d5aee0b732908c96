import { ShapecastError } from '@shapecast/errors';
import type { Cell, Lsn, Tuple } from '@shapecast/log';
import type { RelationInfo } from '@shapecast/shape';
import type { SnapshotInfo, SnapshotRequest, SnapshotSink, SubsetRequest, SubsetSink } from '../change-source.ts';
import { keyOf, type KeyPlaces, type KeyTexts } from '../keyset.ts';
import type { SourceDatabase, TableSight, TableSights, TableToPublish, Writers } from '../source-database.ts';
import type { SourcePublication } from '../source-publication.ts';
import type { MemoryDatabase, MemoryRow } from './memory-database.ts';
import { MemoryPublication } from './memory-publication.ts';

const BATCH_ROWS = 500;
const MAX_RETRIES = 20;

export interface MemorySourceDatabaseOptions {
  /** Decides which rows a where clause selects; needed as soon as a request has one. */
  readonly matches?: (where: string, row: MemoryRow, table: RelationInfo) => boolean;
}

/** Catalog and snapshots of a `MemoryDatabase`. */
export class MemorySourceDatabase implements SourceDatabase {
  readonly publication: SourcePublication;
  readonly #database: MemoryDatabase;
  readonly #matches: NonNullable<MemorySourceDatabaseOptions['matches']>;

  constructor(database: MemoryDatabase, options: MemorySourceDatabaseOptions = {}) {
    this.#database = database;
    this.publication = new MemoryPublication(database);
    this.#matches = options.matches ?? onlyWithoutWhere;
  }

  async introspect(schema: string, table: string, signal: AbortSignal): Promise<RelationInfo | undefined> {
    signal.throwIfAborted();
    return this.#database.find(schema, table);
  }

  async publish(table: TableToPublish, signal: AbortSignal): Promise<string> {
    signal.throwIfAborted();
    this.#require(table.oid, table.schema, table.name);
    this.#database.publish(table.oid);
    return this.#database.publishedBy(table.oid);
  }

  /** Replica identity is always full here. */
  async repairReplicaIdentity(_oid: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
  }

  /** Tables have nothing below them here, and are dropped but never altered. */
  async readTables(
    { oids, known }: { readonly oids: readonly number[]; readonly known: ReadonlyMap<number, string> },
    onSights: (sights: TableSights) => void,
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted();
    const tables = oids.flatMap((oid): TableSight[] => {
      const relation = this.#database.get(oid);
      if (relation === undefined) return [];
      const digest = JSON.stringify(relation);
      const details = { relation, columnXids: new Map(relation.columns.map(({ attnum }) => [attnum, 1n])) };
      const sight = { oid, digest, filenode: oid, members: new Map(), incomplete: false };
      return [known.get(oid) === digest ? sight : { ...sight, details }];
    });
    const gone = oids.filter((oid) => this.#database.get(oid) === undefined);
    onSights({ moment: { xmax: this.#database.nextXid, running: 0 }, tables, gone });
  }

  /** There are no event triggers here. */
  async listenForDdl(_onDdl: () => void, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
  }

  async progress(signal: AbortSignal): Promise<{ readonly xmin: bigint; readonly walLsn: Lsn }> {
    signal.throwIfAborted();
    return { xmin: this.#database.nextXid, walLsn: this.#database.walLsn };
  }

  /** What has committed shows at once here. */
  async writers(_oid: number, signal: AbortSignal): Promise<Writers> {
    signal.throwIfAborted();
    return { xids: [], newest: this.#database.nextXid - 1n };
  }

  async snapshot(request: SnapshotRequest, sink: SnapshotSink, signal: AbortSignal): Promise<void> {
    for (let attempt = 0; attempt <= MAX_RETRIES; attempt += 1) {
      signal.throwIfAborted();
      const table = this.#require(request.oid, request.schema, request.table);
      const order = orderOf(table, this.#database.rows(table.oid), request);
      const rows = order === undefined ? this.#select(table, request) : inOrder(this.#select(table, request), request);
      const estimatedRows = this.#database.rows(table.oid).length;
      const about = { estimatedRows, ...(order === undefined ? {} : { order, shownBelow: this.#database.walLsn }) };
      if (
        (await sink.onSnapshot({ ...this.#visibility(), published: this.#database.publishedBy(table.oid) }, about)) ===
        'retry'
      )
        continue;
      if (request.rows) await deliver(rows, sink, signal);
      return;
    }
    throw new ShapecastError('SNAPSHOT_FAILED', 'Snapshot creation failed because no snapshot was accepted.');
  }

  async placeKeys({ bounds, keys }: KeyPlaces, signal: AbortSignal): Promise<readonly number[]> {
    signal.throwIfAborted();
    return keys.map((key) => bounds.filter((bound) => compareKeys(key, bound) > 0).length);
  }

  async subset(request: SubsetRequest, sink: SubsetSink, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const table = this.#require(request.oid, request.schema, request.table);
    const { columns, orderBy, limit, offset = '0' } = request;
    const sorted = this.#filter(table, request.conditions).sort(order(ordinalsOf(table, orderBy), orderBy));
    const end = limit === undefined ? Infinity : Number(offset) + Number(limit);
    const rows = project(
      sorted.slice(Number(offset), end),
      ordinalsOf(
        table,
        columns.map((column) => ({ column })),
      ),
    );
    await sink.onSnapshot(this.#visibility());
    await deliver(rows, sink, signal);
  }

  rest(): void {}

  async close(): Promise<void> {}

  #select(table: RelationInfo, request: SnapshotRequest): Cell[][] {
    const ordinals = ordinalsOf(
      table,
      request.columns.map((column) => ({ column })),
    );
    return project(this.#filter(table, request.where === '' ? [] : [request.where]), ordinals);
  }

  #filter(table: RelationInfo, conditions: readonly string[]): Tuple[] {
    return this.#database.rows(table.oid).filter((tuple) => {
      if (conditions.length === 0) return true;
      const row = Object.fromEntries(table.columns.map((column, index) => [column.name, tuple[index] ?? null]));
      return conditions.every((condition) => this.#matches(condition, row, table));
    });
  }

  #visibility(): SnapshotInfo {
    const { nextXid, walLsn } = this.#database;
    return { xmin: nextXid, xmax: nextXid, xip: [], insertLsn: walLsn };
  }

  #require(oid: number, schema: string, name: string): RelationInfo {
    const table = this.#database.get(oid);
    if (table?.schema === schema && table.name === name) return table;
    const message = `Database table "${schema}.${name}" has been dropped or renamed`;
    throw new ShapecastError('SCHEMA_CHANGED', message, { oid });
  }
}

async function deliver(
  rows: readonly Cell[][],
  sink: Pick<SnapshotSink, 'onRows'>,
  signal: AbortSignal,
): Promise<void> {
  for (let from = 0; from < rows.length; from += BATCH_ROWS) {
    signal.throwIfAborted();
    await sink.onRows(rows.slice(from, from + BATCH_ROWS));
  }
}

function ordinalsOf(table: RelationInfo, columns: readonly { readonly column: string }[]): number[] {
  const ordinals = columns.map(({ column }) => table.columns.findIndex(({ name }) => name === column));
  if (ordinals.includes(-1))
    throw new ShapecastError('SCHEMA_CHANGED', 'The table changed while its snapshot was made.');
  return ordinals;
}

function project(rows: readonly Tuple[], ordinals: readonly number[]): Cell[][] {
  return rows.map((tuple) => ordinals.map((ordinal) => tuple[ordinal] ?? null));
}

/** As Postgres orders text in the "C" collation. */
function order(ordinals: readonly number[], orderBy: SubsetRequest['orderBy']): (a: Tuple, b: Tuple) => number {
  return (a, b) => {
    for (const [i, { descending, nulls }] of orderBy.entries()) {
      const [left, right] = [a[ordinals[i] as number] ?? null, b[ordinals[i] as number] ?? null];
      if (left === right) continue;
      const nullsFirst = (nulls ?? (descending ? 'first' : 'last')) === 'first';
      if (left === null) return nullsFirst ? -1 : 1;
      if (right === null) return nullsFirst ? 1 : -1;
      return Buffer.compare(Buffer.from(left), Buffer.from(right)) * (descending ? -1 : 1);
    }
    return 0;
  };
}

function orderOf({ oid }: RelationInfo, rows: readonly Tuple[], request: SnapshotRequest): string | undefined {
  const { keyset } = request;
  if (keyset === undefined || !request.rows) return undefined;
  const bytes = rows.reduce((sum, row) => sum + row.reduce((size, cell) => size + (cell?.length ?? 0), 0), 0);
  return keyset.after || bytes >= keyset.minBytes ? `memory ${oid}` : undefined;
}

function inOrder(rows: readonly Cell[][], { columns, keyset }: SnapshotRequest): Cell[][] {
  const { key = [], after } = keyset ?? {};
  const keyed = rows.map((row) => ({ row, key: keyOf(row, columns, key) ?? [] }));
  const wanted = keyed.filter((one) => after === undefined || compareKeys(one.key, after.key) > 0);
  return wanted.sort((a, b) => compareKeys(a.key, b.key)).map(({ row }) => row);
}

/** As Postgres compares text in the "C" collation. */
function compareKeys(a: KeyTexts, b: KeyTexts): number {
  for (const [i, text] of a.entries()) {
    const compared = Buffer.compare(Buffer.from(text), Buffer.from(b[i] ?? ''));
    if (compared !== 0) return compared;
  }
  return 0;
}

function onlyWithoutWhere(where: string): boolean {
  throw new Error(`MemorySourceDatabase was given no way to evaluate ${where}`);
}
