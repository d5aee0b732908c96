import type pg from 'pg';
import { isShapecastError, ShapecastError } from '@shapecast/errors';
import type { Clock, Logger } from '@shapecast/service-kit';
import { connectionError, pgMessage, sqlState } from '../errors.ts';
import type { LazyPool } from '../lazy-pool.ts';
import type { TableToPublish } from '../../source-database.ts';
import {
  addToPublication,
  publishGeneratedColumns,
  readMemberships,
  readPublication,
  readTableTree,
  readWriters,
  setLocalTimeouts,
  setReplicaIdentityFull,
  type TableRow,
} from '../sql/publication.ts';
import { rowsOf } from '../sql/query.ts';

const GAP_POLL_MS = 50;
/** Budget of one relation's change (spec R 7.4). */
const STATEMENT_TIMEOUT_MS = 5_000;

export interface PublisherOptions {
  readonly publicationName: string;
  readonly lockTimeoutMs: number;
  readonly gapTimeoutMs: number;
}

/** What one look at the catalog found. */
interface Findings {
  /** Tables that have to be members and are not: the table itself, and what it has below it that is not a partition. */
  readonly missing: readonly TableRow[];
  /** Of those that are. */
  readonly memberships: string;
  /** The relations that hold rows: the table, or the leaves of a partitioned one. */
  readonly leaves: readonly TableRow[];
  readonly root: TableRow;
  readonly ownsPublication: boolean;
  /**
   * There are stored generated columns that the publication does not carry, though the server could. Then Postgres would
   * refuse the application's updates of the table, whether a shape wants those columns or not.
   */
  readonly lacksGenerated: boolean;
}

/** Adds tables to the publication and closes the gap that leaves (spec R 7.4, 7.6, 7.12). One change at a time. */
export class Publisher {
  readonly #admin: LazyPool;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #options: PublisherOptions;
  /** Memberships whose gap was closed; a table that was removed and added again has another one. */
  readonly #closedGaps = new Map<number, string>();
  #lastChange: Promise<unknown> = Promise.resolve();

  constructor(admin: LazyPool, clock: Clock, log: Logger, options: PublisherOptions) {
    this.#admin = admin;
    this.#clock = clock;
    this.#log = log;
    this.#options = options;
  }

  async publish(table: TableToPublish, signal: AbortSignal): Promise<void> {
    try {
      let findings = await this.#admin.use(signal, (db) => this.#look(db, table));
      if (isComplete(findings)) {
        if (this.#closedGaps.get(table.oid) === findings.memberships) return;
      } else {
        await this.#inTurn(() => this.#admin.use(signal, (db) => this.#change(db, table)));
        findings = await this.#admin.use(signal, (db) => this.#look(db, table));
      }
      await this.#closeGap(findings, signal);
    } catch (error) {
      signal.throwIfAborted();
      throw isShapecastError(error) ? error : connectionError(error);
    }
  }

  async repairReplicaIdentity(oid: number, signal: AbortSignal): Promise<void> {
    try {
      await this.#inTurn(() => this.#admin.use(signal, (db) => this.#repair(db, oid)));
    } catch (error) {
      signal.throwIfAborted();
      throw isShapecastError(error) ? error : connectionError(error);
    }
  }

  async #repair(db: pg.PoolClient, oid: number): Promise<void> {
    const table = (await readTableTree(db, oid)).find((member) => member.oid === oid);
    if (table?.kind !== 'r' || table.replicaIdentity === 'f') return;
    await this.#transaction(db, () => setFull(db, table));
    this.#log.info({ table: qualified(table) }, 'replica identity set to full');
  }

  async #look(db: pg.PoolClient, table: TableToPublish): Promise<Findings> {
    const { publicationName } = this.#options;
    const publication = await readPublication(db, publicationName);
    if (!publication) throw misconfigured(`Publication "${publicationName}" not found in the database`);
    if (!publication.allOperations) {
      throw misconfigured(
        `Publication "${publicationName}" does not publish all required operations: INSERT, UPDATE, DELETE, TRUNCATE`,
      );
    }
    const tree = await readTableTree(db, table.oid);
    const root = tree.find((member) => member.oid === table.oid);
    if (root?.schema !== table.schema || root.name !== table.name) {
      const message = `Database table "${table.schema}.${table.name}" has been dropped or renamed`;
      throw new ShapecastError('SCHEMA_CHANGED', message, { oid: table.oid });
    }
    const silent = tree.find((leaf) => !leaf.logged);
    if (silent) {
      throw misconfigured(
        `Database table "${qualified(silent)}" is foreign, unlogged or temporary: "${qualified(table)}" cannot be followed while it is part of it`,
      );
    }
    if (publication.viaRoot && (root.partition || root.kind === 'p')) {
      throw misconfigured(
        `Publication "${publicationName}" publishes partitions as their root: set publish_via_partition_root to false`,
      );
    }
    const virtual = tree.find((each) => each.virtual);
    if (virtual) {
      throw misconfigured(
        `Database table "${qualified(virtual)}" has virtual generated columns: Postgres refuses updates of a published table that has them and full replica identity`,
      );
    }
    const own = tree.filter((each) => each === root || !each.partition);
    const members = await readMemberships(
      db,
      publication.oid,
      own.map(({ oid }) => oid),
    );
    const restricted = own.find(({ oid }) => members.get(oid)?.restricted);
    if (restricted) {
      throw misconfigured(
        `Database table "${qualified(restricted)}" has a row filter or a column list in the publication "${publicationName}": remove it`,
      );
    }
    return {
      missing: publication.allTables ? [] : own.filter(({ oid }) => !members.has(oid)),
      memberships: publication.allTables
        ? `all:${publication.oid}`
        : own.map(({ oid }) => members.get(oid)?.membership ?? '').join(),
      leaves: tree.filter((leaf) => leaf.kind === 'r'),
      root,
      ownsPublication: publication.owned,
      lacksGenerated: publication.generatedColumns === false && tree.some(({ stored }) => stored),
    };
  }

  /** Looks again inside the transaction: another caller may have done it while this one waited its turn. */
  async #change(db: pg.PoolClient, table: TableToPublish): Promise<void> {
    const { publicationName } = this.#options;
    const findings = await this.#look(db, table);
    if (isComplete(findings)) return;
    const { missing, leaves, ownsPublication, lacksGenerated } = findings;
    const foreign = missing.find(({ owned }) => !(ownsPublication && owned));
    if (foreign) {
      throw misconfigured(
        `Database table "${qualified(foreign)}" is missing from the publication "${publicationName}" and Electric lacks privileges to add it`,
      );
    }
    if (lacksGenerated && !ownsPublication) throw misconfigured(noGeneratedColumns(publicationName));
    await this.#transaction(db, async () => {
      if (lacksGenerated) await publishGeneratedColumns(db, publicationName);
      for (const member of missing) await this.#add(db, member);
      for (const leaf of leaves.filter((each) => each.replicaIdentity !== 'f')) await setFull(db, leaf);
    });
    this.#log.info({ table: qualified(table), publication: publicationName }, 'table published');
  }

  /** Bounded, so that the application's queries never queue behind ours for long (spec R 7.4). */
  async #transaction(db: pg.PoolClient, work: () => Promise<void>): Promise<void> {
    await rowsOf(db, 'begin');
    try {
      await setLocalTimeouts(db, this.#options.lockTimeoutMs, STATEMENT_TIMEOUT_MS);
      await work();
      await rowsOf(db, 'commit');
    } catch (error) {
      await rowsOf(db, 'rollback');
      const code = sqlState(error);
      if (code !== '55P03' && code !== '57014') throw error;
      const message = 'Snapshot timed out while waiting for a table lock';
      throw new ShapecastError('NOT_READY', message, { type: 'table_lock_timeout' }, error);
    }
  }

  async #add(db: pg.PoolClient, table: TableRow): Promise<void> {
    await rowsOf(db, 'savepoint before_add');
    try {
      await addToPublication(db, this.#options.publicationName, table);
    } catch (error) {
      if (sqlState(error) !== '42710') throw refused(error);
      await rowsOf(db, 'rollback to savepoint before_add');
    }
  }

  /** Waits until every transaction that wrote to the table by now is over (spec R 7.12). */
  async #closeGap({ root, leaves, memberships }: Findings, signal: AbortSignal): Promise<void> {
    const oids = leaves.map((leaf) => leaf.oid);
    const readNow = () => this.#admin.use(signal, (db) => readWriters(db, oids));
    const giveUpMs = this.#clock.now() + this.#options.gapTimeoutMs;
    let open = new Set(await readNow());
    while (open.size > 0) {
      if (this.#clock.now() >= giveUpMs) {
        const message = `Transactions that wrote to "${qualified(root)}" before it was published are still open, please retry`;
        throw new ShapecastError('NOT_READY', message, { type: 'publication_gap', transactions: open.size });
      }
      await this.#clock.sleep(GAP_POLL_MS, signal);
      const before = open;
      // A writer that was prepared meanwhile goes on under another name, so prepared ones are waited for in any case.
      open = new Set((await readNow()).filter((id) => before.has(id) || id.startsWith('-1/')));
    }
    this.#closedGaps.set(root.oid, memberships);
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const turn = this.#lastChange.then(task, task);
    this.#lastChange = turn.catch(() => {});
    return turn;
  }
}

function isComplete({ missing, leaves, lacksGenerated }: Findings): boolean {
  return missing.length === 0 && !lacksGenerated && leaves.every((leaf) => leaf.replicaIdentity === 'f');
}

/** Spec O 7.2. */
function noGeneratedColumns(publication: string): string {
  return (
    `Publication "${publication}" does not publish generated columns. This is a feature introduced in PostgreSQL 18 and ` +
    `requires setting the publication parameter 'publish_generated_columns' to 'stored'. Alternatively, you can exclude ` +
    `them from the shape by explicitly listing which columns to fetch in the 'columns' query param.`
  );
}

async function setFull(db: pg.PoolClient, leaf: TableRow): Promise<void> {
  if (!leaf.owned) {
    throw misconfigured(`Database table "${qualified(leaf)}" does not have its replica identity set to FULL`);
  }
  await setReplicaIdentityFull(db, leaf);
}

function refused(error: unknown): unknown {
  return sqlState(error) === '42501'
    ? misconfigured(`Unable to create initial snapshot: ${pgMessage(error)}`, error)
    : error;
}

function misconfigured(message: string, cause?: unknown): ShapecastError {
  return new ShapecastError('SOURCE_MISCONFIGURED', message, {}, cause);
}

function qualified(table: { readonly schema: string; readonly name: string }): string {
  return `${table.schema}.${table.name}`;
}
