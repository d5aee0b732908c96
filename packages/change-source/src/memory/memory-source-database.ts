import { ShapecastError } from '@shapecast/errors';
import type { Cell, Lsn } from '@shapecast/log';
import type { RelationInfo } from '@shapecast/shape';
import type { SnapshotInfo, SnapshotRequest, SnapshotSink } from '../change-source.ts';
import type { SourceDatabase } from '../source-database.ts';
import type { MemoryDatabase, MemoryRow } from './memory-database.ts';

const BATCH_ROWS = 500;
const MAX_RETRIES = 20;

export interface MemorySourceDatabaseOptions {
  /** Decides which rows a where clause selects; needed as soon as a request has one. */
  readonly matches?: (where: string, row: MemoryRow, table: RelationInfo) => boolean;
}

/** Catalog and snapshots of a `MemoryDatabase`. */
export class MemorySourceDatabase implements SourceDatabase {
  readonly #database: MemoryDatabase;
  readonly #matches: NonNullable<MemorySourceDatabaseOptions['matches']>;

  constructor(database: MemoryDatabase, options: MemorySourceDatabaseOptions = {}) {
    this.#database = database;
    this.#matches = options.matches ?? onlyWithoutWhere;
  }

  async introspect(schema: string, table: string, signal: AbortSignal): Promise<RelationInfo | undefined> {
    signal.throwIfAborted();
    return this.#database.find(schema, table);
  }

  async publish(
    table: { readonly oid: number; readonly schema: string; readonly name: string },
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted();
    this.#require(table.oid, table.schema, table.name);
    this.#database.publish(table.oid);
  }

  async progress(signal: AbortSignal): Promise<{ readonly xmin: bigint; readonly walLsn: Lsn }> {
    signal.throwIfAborted();
    return { xmin: this.#database.nextXid, walLsn: this.#database.walLsn };
  }

  async snapshot(request: SnapshotRequest, sink: SnapshotSink, signal: AbortSignal): Promise<void> {
    for (let attempt = 0; attempt <= MAX_RETRIES; attempt += 1) {
      signal.throwIfAborted();
      const table = this.#require(request.oid, request.schema, request.table);
      const rows = this.#select(table, request);
      const { nextXid, walLsn } = this.#database;
      const info: SnapshotInfo = { xmin: nextXid, xmax: nextXid, xip: [], insertLsn: walLsn };
      if ((await sink.onSnapshot(info)) === 'retry') continue;
      for (let from = 0; request.rows && from < rows.length; from += BATCH_ROWS) {
        signal.throwIfAborted();
        await sink.onRows(rows.slice(from, from + BATCH_ROWS));
      }
      return;
    }
    throw new ShapecastError('SNAPSHOT_FAILED', 'Snapshot creation failed because no snapshot was accepted.');
  }

  async close(): Promise<void> {}

  #select(table: RelationInfo, request: SnapshotRequest): Cell[][] {
    const ordinals = request.columns.map((name) => table.columns.findIndex((column) => column.name === name));
    if (ordinals.includes(-1))
      throw new ShapecastError('SCHEMA_CHANGED', 'The table changed while its snapshot was made.');
    const rows = this.#database.rows(table.oid);
    const selected = rows.filter((tuple) => {
      if (request.where === '') return true;
      const row = Object.fromEntries(table.columns.map((column, index) => [column.name, tuple[index] ?? null]));
      return this.#matches(request.where, row, table);
    });
    return selected.map((tuple) => ordinals.map((ordinal) => tuple[ordinal] ?? null));
  }

  #require(oid: number, schema: string, name: string): RelationInfo {
    const table = this.#database.get(oid);
    if (table?.schema === schema && table.name === name) return table;
    const message = `Database table "${schema}.${name}" has been dropped or renamed`;
    throw new ShapecastError('SCHEMA_CHANGED', message, { oid });
  }
}

function onlyWithoutWhere(where: string): boolean {
  throw new Error(`MemorySourceDatabase was given no way to evaluate ${where}`);
}
