import type { Cell, Change, Lsn, Relation, Tuple } from '@shapecast/log';
import type { ColumnInfo, RelationInfo } from '@shapecast/shape';

const TEXT_OID = 25;
const FIRST_OID = 16_384;
const FIRST_LSN = 0x1_000_000n;
/** Distance of commit records, and the length of one: a commit's end is not the next commit's start. */
const COMMIT_SPACING = 96n;
const COMMIT_LENGTH = 48n;

export type MemoryRow = Readonly<Record<string, Cell>>;

export interface MemoryTableDefinition {
  readonly schema: string;
  readonly name: string;
  /** All of type text, in catalog order. */
  readonly columns: readonly string[];
  /** Primary key in key order; may be empty. */
  readonly primaryKey: readonly string[];
}

/** Writes of one transaction. A row is found by all columns that `where` names. */
export interface MemoryTransaction {
  insert(table: RelationInfo, row: MemoryRow): void;
  update(table: RelationInfo, where: MemoryRow, set: MemoryRow): void;
  delete(table: RelationInfo, where: MemoryRow): void;
  truncate(table: RelationInfo): void;
}

export interface CommittedTransaction {
  readonly lsn: Lsn;
  readonly endLsn: Lsn;
  readonly xid: bigint;
  /** Of published tables. */
  readonly changes: readonly Change[];
}

interface Table {
  readonly info: RelationInfo;
  readonly relation: Relation;
  rows: Tuple[];
  /** Another number every time the table is published; undefined while it is not. */
  membership: number | undefined;
}

/**
 * A tiny database in memory: text tables, transactions that commit at once, and a log of what they changed in published
 * tables. `MemoryChangeSource` and `MemorySourceDatabase` read it.
 */
export class MemoryDatabase {
  readonly #tables = new Map<number, Table>();
  readonly #listeners = new Set<() => void>();
  #log: CommittedTransaction[] = [];
  #nextOid = FIRST_OID;
  #memberships = 0;
  #nextXid = 1_000n;
  #walLsn = FIRST_LSN as Lsn;

  createTable(definition: MemoryTableDefinition): RelationInfo {
    const oid = this.#nextOid;
    this.#nextOid += 1;
    const { schema, name, primaryKey } = definition;
    const columns = definition.columns.map((column, index): ColumnInfo => {
      const pkIndex = primaryKey.indexOf(column);
      return textColumn(column, index + 1, pkIndex === -1 ? undefined : pkIndex);
    });
    const info: RelationInfo = { oid, schema, name, kind: 'r', columns };
    const keyColumns = primaryKey.map((column) => definition.columns.indexOf(column));
    const relation: Relation = {
      oid,
      schema,
      name,
      replicaIdentity: 'f',
      columns: definition.columns.map((column) => ({ name: column, typeOid: TEXT_OID, typeMod: -1 })),
      keyColumns,
    };
    this.#tables.set(oid, { info, relation, rows: [], membership: undefined });
    return info;
  }

  dropTable(oid: number): void {
    this.#tables.delete(oid);
  }

  /** Runs and commits one transaction. When `write` throws, nothing happened. */
  transaction(write: (transaction: MemoryTransaction) => void): Lsn {
    const before = new Map([...this.#tables.values()].map((table) => [table, table.rows]));
    const changes: Change[] = [];
    try {
      write(this.#writer(changes));
    } catch (error) {
      for (const [table, rows] of before) table.rows = rows;
      throw error;
    }
    const lsn = (this.#walLsn + COMMIT_SPACING) as Lsn;
    this.#walLsn = (lsn + COMMIT_LENGTH) as Lsn;
    const published = changes.filter((change) => this.#tables.get(change.relation.oid)?.membership !== undefined);
    const numbered = published.map((change, index) => ({ ...change, op: 2 * index }));
    this.#log.push({ lsn, endLsn: this.#walLsn, xid: this.#nextXid, changes: numbered });
    this.#nextXid += 1n;
    this.#wake();
    return lsn;
  }

  /** End of the WAL: one past the last commit. */
  get walLsn(): Lsn {
    return this.#walLsn;
  }

  /** Id that the next transaction gets: all before it are over. */
  get nextXid(): bigint {
    return this.#nextXid;
  }

  find(schema: string, name: string): RelationInfo | undefined {
    for (const { info } of this.#tables.values()) if (info.schema === schema && info.name === name) return info;
    return undefined;
  }

  get(oid: number): RelationInfo | undefined {
    return this.#tables.get(oid)?.info;
  }

  publish(oid: number): void {
    const table = this.#tables.get(oid);
    if (!table) return;
    table.membership ??= ++this.#memberships;
  }

  unpublish(oid: number): void {
    const table = this.#tables.get(oid);
    if (table) table.membership = undefined;
  }

  /** Oids of the tables whose changes are in the log. */
  published(): number[] {
    return [...this.#tables].filter(([, { membership }]) => membership !== undefined).map(([oid]) => oid);
  }

  /** By what a table is published; empty when it is not. */
  publishedBy(oid: number): string {
    const membership = this.#tables.get(oid)?.membership;
    return membership === undefined ? '' : `rel:${membership}`;
  }

  /** The rows as they are now. */
  rows(oid: number): readonly Tuple[] {
    return this.#tables.get(oid)?.rows ?? [];
  }

  committedAfter(lsn: Lsn): readonly CommittedTransaction[] {
    return this.#log.filter((transaction) => transaction.lsn > lsn);
  }

  /** Forgets what commits at or before `lsn`. */
  recycle(lsn: Lsn): void {
    this.#log = this.#log.filter((transaction) => transaction.lsn > lsn);
  }

  /** Calls back after every commit until the returned function is called. */
  onCommit(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #wake(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  #writer(changes: Change[]): MemoryTransaction {
    const tableOf = (info: RelationInfo) => {
      const table = this.#tables.get(info.oid);
      if (!table) throw new Error(`no table with oid ${info.oid}`);
      return table;
    };
    return {
      insert: (info, row) => {
        const table = tableOf(info);
        const tuple = info.columns.map((column) => row[column.name] ?? null);
        table.rows = [...table.rows, tuple];
        changes.push({ kind: 'insert', op: 0, relation: table.relation, new: tuple });
      },
      update: (info, where, set) => {
        const table = tableOf(info);
        table.rows = table.rows.map((old) => {
          if (!matches(info, old, where)) return old;
          const tuple = info.columns.map((column, index) => cell(column.name in set ? set[column.name] : old[index]));
          const changed = tuple.flatMap((value, index) => (value === old[index] ? [] : [index]));
          changes.push({ kind: 'update', op: 0, relation: table.relation, new: tuple, old, changed });
          return tuple;
        });
      },
      delete: (info, where) => {
        const table = tableOf(info);
        table.rows = table.rows.filter((old) => {
          if (!matches(info, old, where)) return true;
          changes.push({ kind: 'delete', op: 0, relation: table.relation, old });
          return false;
        });
      },
      truncate: (info) => {
        const table = tableOf(info);
        table.rows = [];
        changes.push({ kind: 'truncate', op: 0, relation: table.relation });
      },
    };
  }
}

function matches(info: RelationInfo, tuple: Tuple, where: MemoryRow): boolean {
  return Object.entries(where).every(
    ([name, value]) => tuple[info.columns.findIndex((column) => column.name === name)] === value,
  );
}

function cell(value: Cell | undefined): Cell {
  return value ?? null;
}

function textColumn(name: string, attnum: number, pkIndex: number | undefined): ColumnInfo {
  return {
    name,
    attnum,
    typeOid: TEXT_OID,
    typeName: 'text',
    typeSchema: 'pg_catalog',
    typeKind: 'b',
    dims: 0,
    typeMod: -1,
    notNull: pkIndex !== undefined,
    generated: 'none',
    ...(pkIndex === undefined ? {} : { pkIndex }),
  };
}
