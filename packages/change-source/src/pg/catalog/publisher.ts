import type pg from 'pg';
import { isShapecastError, type ShapecastError } from '@shapecast/errors';
import { Backoff, type Clock, type Logger } from '@shapecast/service-kit';
import {
  sharePublication,
  type PublicationAction,
  type PublicationCheck,
  type PublicationSight,
  type PublishedTable,
  type SourcePublication,
} from '../../source-publication.ts';
import type { TableToPublish } from '../../source-database.ts';
import { connectionError, pgMessage, sqlState } from '../errors.ts';
import type { LazyPool } from '../lazy-pool.ts';
import {
  addToPublication,
  dropFromPublication,
  isLocked,
  publishAllOperations,
  publishGeneratedColumns,
  readHarm,
  readPublication,
  readPublishedBy,
  readServerVersion,
  readTableTrees,
  setLocalTimeouts,
  setReplicaIdentityFull,
  type TableName,
} from '../sql/publication.ts';
import { rowsOf } from '../sql/query.ts';
import { DdlQueue } from './ddl-queue.ts';
import { checkPublication, readCheckedState } from './publication-check.ts';
import { waitForWriters } from './publication-gap.ts';
import { readState, requiredChanges, type PublicationChange, type TableState } from './publication-state.ts';
import {
  goneOrRenamed,
  identityMissing,
  misconfigured,
  publicationMissing,
  qualified,
  tableLocked,
} from './publication-texts.ts';

/** Budget of one relation's change (spec R 7.4). */
const STATEMENT_TIMEOUT_MS = 5_000;
/** After a lock that was not to be had (spec O F58). */
const LOCK_BACKOFF = { minMs: 10_000, maxMs: 60_000 };
const ACTIONS = {
  add: 'add',
  replace: 'add',
  identity: 'identity',
  generated: 'parameters',
} as const satisfies Record<PublicationChange['kind'], PublicationAction['action']>;
/** First in every pass: what is set for all tables alike. */
const FIRST = '';

export interface PublisherOptions {
  readonly publicationName: string;
  readonly lockTimeoutMs: number;
  readonly gapTimeoutMs: number;
  /** Tables are published by hand: nothing is ever altered (spec R 7.9). */
  readonly manual: boolean;
  /** How long to wait for more requests before a pass begins (spec R 7.3). */
  readonly debounceMs: number;
}

interface PublisherDeps {
  readonly admin: LazyPool;
  readonly clock: Clock;
  readonly log: Logger;
  readonly onAction?: ((action: PublicationAction) => void) | undefined;
}

/** Attempts on a table whose lock was not to be had. */
interface Refusals {
  readonly backoff: Backoff;
  /** Before, there is no attempt while somebody else has a lock on it. */
  until: number;
}

/**
 * Keeps tables in the publication with full replica identity, and closes the gap that adding one leaves (spec R 7.4, 7.6,
 * 7.12). The one place where the source's schema is altered: one relation at a time, each in a short transaction of its own.
 */
export class Publisher implements SourcePublication {
  readonly #admin: LazyPool;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #onAction: (action: PublicationAction) => void;
  readonly #options: PublisherOptions;
  readonly #closing = new AbortController();
  readonly #queue: DdlQueue;
  /** Being published, by table: who comes meanwhile waits for the same. */
  readonly #publishing = new Map<string, Promise<string>>();
  /** Memberships whose gap was closed; a table that was removed and added again has another one. */
  readonly #closedGaps = new Map<number, string>();
  readonly #refusals = new Map<number, Refusals>();
  /** By partitioned table, what was below it when the publication was last altered for its sake. */
  readonly #noticed = new Map<number, string>();
  #version: number | undefined;

  constructor({ admin, clock, log, onAction }: PublisherDeps, options: PublisherOptions) {
    this.#admin = admin;
    this.#clock = clock;
    this.#log = log;
    this.#onAction = onAction ?? (() => undefined);
    this.#options = options;
    this.#queue = new DdlQueue({ clock }, options, this.#closing.signal);
  }

  /** As of `SourceDatabase`. */
  async publish(table: TableToPublish, signal: AbortSignal): Promise<string> {
    signal.throwIfAborted();
    const key = JSON.stringify([table.oid, table.schema, table.name]);
    let shared = this.#publishing.get(key);
    if (shared === undefined) {
      shared = this.#publish(table).finally(() => this.#publishing.delete(key));
      this.#publishing.set(key, shared);
    }
    return unlessAborted(shared, signal);
  }

  /** As of `SourceDatabase`. */
  async repairReplicaIdentity(oid: number, signal: AbortSignal): Promise<void> {
    const table = await this.#use((db) => readTable(db, oid));
    if (table?.kind !== 'r' || table.replicaIdentity === 'f') return;
    if (!table.owned || !(await this.#mayAlter())) throw identityMissing(table);
    const alter = () => this.#altering(oid, [oid], (db) => setReplicaIdentityFull(db, table));
    const work = () => this.#telling(['identity'], alter);
    await unlessAborted(this.#queue.run(`identity ${oid}`, qualified(table), work), signal);
    this.#log.info({ table: qualified(table) }, 'replica identity set to full');
  }

  async verify(used: readonly number[], signal: AbortSignal): Promise<PublicationCheck> {
    const { publicationName, manual } = this.#options;
    const work = this.#use(async (db) => {
      const version = await this.#serverVersion(db);
      return checkPublication(await readCheckedState(db, publicationName, version, used), { publicationName, manual });
    });
    return unlessAborted(work, signal);
  }

  async complete(signal: AbortSignal): Promise<void> {
    if (!(await this.#mayAlter())) return;
    const { publicationName } = this.#options;
    const alter = () => this.#use((db) => this.#transaction(db, () => publishGeneratedColumns(db, publicationName)));
    const work = () => this.#telling(['parameters'], alter);
    await unlessAborted(this.#queue.run('parameters', FIRST, work), signal);
    this.#log.info({ publication: publicationName }, 'the publication carries generated columns now');
  }

  async hasHarmful(used: readonly number[], signal: AbortSignal): Promise<boolean> {
    const { publicationName } = this.#options;
    const read = async (db: pg.PoolClient) => readHarm(db, publicationName, await this.#serverVersion(db), used);
    return unlessAborted(this.#use(read), signal);
  }

  async unpublish(table: PublishedTable, mayGo: () => boolean, signal: AbortSignal): Promise<boolean> {
    if (!(await this.#mayAlter())) return false;
    let gone = false;
    const work = async () => {
      if (!mayGo()) return;
      await this.#use(async (db) => {
        // It may be called otherwise by now, and another one like this.
        const found = await readTable(db, table.oid);
        if (found) await this.#telling(['drop'], () => this.#transaction(db, () => this.#drop(db, found)));
      });
      this.#closedGaps.delete(table.oid);
      gone = true;
    };
    await unlessAborted(this.#queue.run(`drop ${table.oid}`, qualified(table), work), signal);
    return gone;
  }

  async sight(oids: readonly number[], signal: AbortSignal): Promise<PublicationSight> {
    const { publicationName } = this.#options;
    const work = this.#use(async (db) => {
      const version = await this.#serverVersion(db);
      return readPublishedBy(db, publicationName, version, oids);
    });
    return unlessAborted(work, signal);
  }

  /** What waits fails. */
  close(): void {
    this.#closing.abort(new Error('the source database is closed'));
  }

  async #publish(table: TableToPublish): Promise<string> {
    let { state, changes } = await this.#use((db) => this.#look(db, table));
    if (changes.length > 0) {
      await this.#queue.run(`publish ${table.oid}`, qualified(table), () => this.#change(table));
      ({ state, changes } = await this.#use((db) => this.#look(db, table)));
      // Somebody undoes it as fast as it is done.
      if (changes.length > 0) throw tableLocked();
    }
    await this.#noticeAttached(table, state);
    const ways = state.ways.get(table.oid) ?? '';
    const memberships = JSON.stringify(state.own.map(({ oid }) => state.ways.get(oid)));
    const known = state.own.length === 1 && sharePublication(table.gapClosedFor ?? '', ways);
    if (!known && this.#closedGaps.get(table.oid) !== memberships) {
      const { gapTimeoutMs } = this.#options;
      await this.#wrapped(
        waitForWriters({ admin: this.#admin, clock: this.#clock }, state, gapTimeoutMs, this.#closing.signal),
      );
    }
    this.#closedGaps.set(table.oid, memberships);
    return ways;
  }

  /**
   * Postgres 14 goes on to leave out a partition that it has seen written to before it was attached, for as long as the replication
   * connection lasts or until the publication is altered, in whatever way. Later versions look again by themselves.
   */
  async #noticeAttached(table: TableToPublish, state: TableState): Promise<void> {
    const version = await this.#use((db) => this.#serverVersion(db));
    if (version >= 150_000 || state.root.kind !== 'p') return;
    const partitions = JSON.stringify(state.tree.map(({ oid }) => oid));
    if (this.#noticed.get(table.oid) === partitions || !(await this.#mayAlter())) return;
    const { publicationName } = this.#options;
    const work = () => this.#use((db) => this.#transaction(db, () => publishAllOperations(db, publicationName)));
    await this.#queue.run(`attached ${table.oid}`, qualified(table), work);
    this.#noticed.set(table.oid, partitions);
  }

  async #look(
    db: pg.PoolClient,
    table: TableToPublish,
  ): Promise<{ readonly state: TableState; readonly changes: readonly PublicationChange[] }> {
    const { publicationName } = this.#options;
    const state = await readState(db, publicationName, await this.#serverVersion(db), () => [table.oid]);
    if (!state) throw publicationMissing(publicationName);
    const found = state.tables.get(table.oid);
    if (found?.root.schema !== table.schema || found.root.name !== table.name) throw goneOrRenamed(table);
    return { state: found, changes: requiredChanges(state, found, this.#options) };
  }

  /** Looks again when its turn has come: what is missing may have been done by then, or be more. */
  async #change(table: TableToPublish): Promise<void> {
    const { publicationName } = this.#options;
    const { changes } = await this.#use((db) => this.#look(db, table));
    // In the order of the names, as rows of a tree come; each relation in a transaction of its own (spec R 7.4).
    for (const [oid, due] of Map.groupBy(changes, (change) => ('table' in change ? change.table.oid : 0))) {
      const alter = async (db: pg.PoolClient) => {
        for (const change of due) await this.#apply(db, change);
      };
      const actions = due.map(({ kind }) => ACTIONS[kind]);
      await this.#telling(actions, () => this.#altering(oid, [oid], alter));
    }
    this.#log.info({ table: qualified(table), publication: publicationName }, 'table published');
  }

  async #apply(db: pg.PoolClient, change: PublicationChange): Promise<void> {
    const { publicationName } = this.#options;
    switch (change.kind) {
      case 'generated':
        return publishGeneratedColumns(db, publicationName);
      case 'replace':
        await this.#drop(db, change.table);
        return this.#add(db, change.table);
      case 'add':
        return this.#add(db, change.table);
      case 'identity':
        return setReplicaIdentityFull(db, change.table);
    }
  }

  #add(db: pg.PoolClient, table: TableName): Promise<void> {
    return unlessDone(db, '42710', () => addToPublication(db, this.#options.publicationName, table));
  }

  #drop(db: pg.PoolClient, table: TableName): Promise<void> {
    return unlessDone(db, '42704', () => dropFromPublication(db, this.#options.publicationName, table));
  }

  /** Says what came of it; that there is nobody to ask is not the publication's fault. */
  async #telling(actions: readonly PublicationAction['action'][], work: () => Promise<void>): Promise<void> {
    const tell = (ok: boolean) => actions.forEach((action) => this.#onAction({ action, ok }));
    try {
      await work();
    } catch (error) {
      if (!this.#closing.signal.aborted && !isShapecastError(error, 'SOURCE_UNAVAILABLE')) tell(false);
      throw error;
    }
    tell(true);
  }

  /**
   * Changes a table, `tables` being what has to be locked for it. A lock that was not to be had is not asked for again soon: while
   * we wait for it the application's queries wait behind us. Unless nobody else has one, which does not take asking for it.
   */
  async #altering(oid: number, tables: readonly number[], work: (db: pg.PoolClient) => Promise<void>): Promise<void> {
    const refused = this.#refusals.get(oid);
    if (refused && this.#clock.now() < refused.until && (await this.#use((db) => isLocked(db, tables)))) {
      throw tableLocked();
    }
    try {
      await this.#use((db) => this.#transaction(db, () => work(db)));
      this.#refusals.delete(oid);
    } catch (error) {
      if (isShapecastError(error) && error.details['type'] === 'table_lock_timeout') {
        const { backoff } = refused ?? { backoff: new Backoff(this.#clock, LOCK_BACKOFF) };
        this.#refusals.set(oid, { backoff, until: this.#clock.now() + backoff.nextDelayMs() });
      }
      throw error;
    }
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
      throw refusal(error);
    }
  }

  async #mayAlter(): Promise<boolean> {
    if (this.#options.manual) return false;
    const { publicationName } = this.#options;
    return (await this.#use((db) => readPublication(db, publicationName)))?.owned ?? false;
  }

  async #serverVersion(db: pg.PoolClient): Promise<number> {
    this.#version ??= await readServerVersion(db);
    return this.#version;
  }

  #use<T>(work: (db: pg.PoolClient) => Promise<T>): Promise<T> {
    return this.#wrapped(this.#admin.use(this.#closing.signal, work));
  }

  async #wrapped<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      this.#closing.signal.throwIfAborted();
      throw isShapecastError(error) ? error : connectionError(error);
    }
  }
}

/** In a savepoint, so that what somebody else has done already does not end the transaction (spec R 7.4). */
async function unlessDone(db: pg.PoolClient, done: string, work: () => Promise<void>): Promise<void> {
  await rowsOf(db, 'savepoint before_change');
  try {
    await work();
  } catch (error) {
    // A missing publication has the same code as a table that is not in it.
    if (sqlState(error) !== done || !pgMessage(error).startsWith('relation')) throw error;
    await rowsOf(db, 'rollback to savepoint before_change');
  }
}

async function readTable(db: pg.PoolClient, oid: number) {
  return (await readTableTrees(db, [oid])).find((row) => row.oid === oid);
}

function refusal(error: unknown): unknown {
  const code = sqlState(error);
  if (code === '55P03' || code === '57014') return tableLocked(error);
  if (code !== '42501') return error;
  return misconfigured(`Unable to create initial snapshot: ${pgMessage(error)}`, 'insufficient_privileges', error);
}

/** Gives up waiting, not the work, which others may wait for. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  work.catch(() => undefined);
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason as ShapecastError);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
