import type pg from 'pg';
import { isShapecastError, ShapecastError } from '@shapecast/errors';
import type { Clock, Logger } from '@shapecast/service-kit';
import { connectionError, pgMessage, sqlState } from '../errors.ts';
import type { LazyPool } from '../lazy-pool.ts';
import {
  addToPublication,
  readMembership,
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

export interface TableToPublish {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
}

/** What one look at the catalog found. */
interface Findings {
  /** Undefined when the table is not a member. */
  readonly membership: string | undefined;
  /** The relations that hold rows: the table, or the leaves of a partitioned one. */
  readonly leaves: readonly TableRow[];
  readonly root: TableRow;
  readonly ownsPublication: boolean;
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
        if (this.#closedGaps.get(table.oid) === findings.membership) return;
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
    const member = await readMembership(db, publication.oid, table.oid);
    if (member?.restricted) {
      throw misconfigured(
        `Database table "${qualified(table)}" has a row filter or a column list in the publication "${publicationName}": remove it`,
      );
    }
    return {
      membership: member?.membership ?? (publication.allTables ? `all:${publication.oid}` : undefined),
      leaves: tree.filter((leaf) => leaf.kind === 'r'),
      root,
      ownsPublication: publication.owned,
    };
  }

  /** Looks again inside the transaction: another caller may have done it while this one waited its turn. */
  async #change(db: pg.PoolClient, table: TableToPublish): Promise<void> {
    const { publicationName, lockTimeoutMs } = this.#options;
    const findings = await this.#look(db, table);
    if (isComplete(findings)) return;
    const { root, membership, leaves, ownsPublication } = findings;
    if (membership === undefined && !(ownsPublication && root.owned)) {
      throw misconfigured(
        `Database table "${qualified(table)}" is missing from the publication "${publicationName}" and Electric lacks privileges to add it`,
      );
    }
    await rowsOf(db, 'begin');
    try {
      await setLocalTimeouts(db, lockTimeoutMs, STATEMENT_TIMEOUT_MS);
      if (membership === undefined) await this.#add(db, root);
      for (const leaf of leaves.filter((each) => each.replicaIdentity !== 'f')) await setFull(db, leaf);
      await rowsOf(db, 'commit');
    } catch (error) {
      await rowsOf(db, 'rollback');
      const code = sqlState(error);
      if (code !== '55P03' && code !== '57014') throw error;
      const message = 'Snapshot timed out while waiting for a table lock';
      throw new ShapecastError('NOT_READY', message, { type: 'table_lock_timeout' }, error);
    }
    this.#log.info({ table: qualified(table), publication: publicationName }, 'table published');
  }

  async #add(db: pg.PoolClient, root: TableRow): Promise<void> {
    await rowsOf(db, 'savepoint before_add');
    try {
      await addToPublication(db, this.#options.publicationName, root);
    } catch (error) {
      if (sqlState(error) !== '42710') throw refused(error);
      await rowsOf(db, 'rollback to savepoint before_add');
    }
  }

  /** Waits until every transaction that wrote to the table by now is over (spec R 7.12). */
  async #closeGap({ root, leaves, membership }: Findings, signal: AbortSignal): Promise<void> {
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
    if (membership !== undefined) this.#closedGaps.set(root.oid, membership);
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const turn = this.#lastChange.then(task, task);
    this.#lastChange = turn.catch(() => {});
    return turn;
  }
}

function isComplete({ membership, leaves }: Findings): boolean {
  return membership !== undefined && leaves.every((leaf) => leaf.replicaIdentity === 'f');
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
