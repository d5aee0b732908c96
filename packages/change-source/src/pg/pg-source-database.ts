import type { PoolClient } from 'pg';
import type { Lsn } from '@shapecast/log';
import { isShapecastError, ShapecastError } from '@shapecast/errors';
import type { RelationInfo } from '@shapecast/shape';
import type { Clock, Logger } from '@shapecast/service-kit';
import type { SnapshotRequest, SnapshotSink, SubsetRequest, SubsetSink } from '../change-source.ts';
import type { KeyPlaces } from '../keyset.ts';
import type { PublicationAction, SourcePublication } from '../source-publication.ts';
import type { SourceDatabase, TableSights, TableToPublish, Writers } from '../source-database.ts';
import { listenForDdl } from './catalog/ddl-notices.ts';
import { Publisher } from './catalog/publisher.ts';
import { queryFailed, readPlaces, readSnapshot } from './catalog/snapshot.ts';
import { readSubset, subsetFailed } from './catalog/subset.ts';
import { readTables, type TablesRequest } from './catalog/tables.ts';
import { connectionBudget, type ConnectionPermits } from './connection-budget.ts';
import { connectionError } from './errors.ts';
import { ExpectedDatabase, type DatabaseIdentity } from './expected-database.ts';
import { LazyPool } from './lazy-pool.ts';
import { QueryChecks } from './query-checks.ts';
import { PgServer, type PgServerOptions } from './server.ts';
import { readProgress, readRelation } from './sql/catalog.ts';
import { rowOf, type Queryable } from './sql/query.ts';
import { READ_SERVER_VERSION } from './sql/snapshot.ts';
import { readUnfinished } from './sql/writers.ts';

/** Admin work fails fast, snapshots queue (spec R 3.6.3, 10.7.6). */
const ADMIN_ACQUIRE_TIMEOUT_MS = 5_000;
/** Twice the 5 s after which a queue is too long (spec R 3.6.3, 10.8). */
const SNAPSHOT_ACQUIRE_TIMEOUT_MS = 10_000;
const SNAPSHOT_LOCK_TIMEOUT_MS = 5_000;
const SUBSET_ACQUIRE_TIMEOUT_MS = 5_000;
/** So long a pool that cannot connect may yet (spec R 3.6.5). */
const SNAPSHOT_FAIL_AFTER_MS = 5_000;

export interface PgSourceDatabaseOptions {
  /** Direct URL: catalog, publication. */
  readonly url: string;
  /** Snapshots; may go through a transaction-mode pooler and use a role without REPLICATION (spec R 3.1.5). */
  readonly queryUrl?: string | undefined;
  readonly publicationName: string;
  /** Connections in total, split 1 to 4 for admin work and the rest for snapshots (spec R 3.6.2). */
  readonly poolSize?: number;
  readonly gapTimeoutMs?: number;
  readonly firstRowTimeoutMs?: number;
  readonly safetyTimeoutMs?: number;
  /** How long a snapshot waits for who alters its table (spec O F59). */
  readonly snapshotLockTimeoutMs?: number;
  /** A connection so old is replaced: until then a smart shutdown of the server waits for it. */
  readonly connectionMaxAgeMs?: number;
  readonly lockTimeoutMs?: number;
  /** Tables are published by hand (spec R 7.9). */
  readonly manualPublishing?: boolean;
  /** How long changes of the publication wait for others to be made with them (spec R 7.3). */
  readonly alterDebounceMs?: number;
  /** What the source is replicated from, once that is known: connections to anything else are refused. */
  readonly expected?: () => DatabaseIdentity | undefined;
  /** How both servers are reached. */
  readonly connection?: PgServerOptions;
}

export interface PgSourceDatabaseDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** The budget shared with other processes; `poolSize` is this one's alone when unset. */
  readonly permits?: ConnectionPermits | undefined;
  /** Told of what is done to the publication, and of what is refused. */
  readonly onAction?: ((action: PublicationAction) => void) | undefined;
}

/** Catalog, publication and snapshots of a Postgres database. Connects when first used. Throws INVALID_CONFIG. */
export function openPgSourceDatabase(options: PgSourceDatabaseOptions, deps: PgSourceDatabaseDeps): SourceDatabase {
  return new PgSourceDatabase(deps, options);
}

class PgSourceDatabase implements SourceDatabase {
  readonly #clock: Clock;
  readonly #admin: LazyPool;
  readonly #adminConnections: number;
  readonly #snapshots: LazyPool;
  readonly #queryChecks: QueryChecks;
  readonly #publisher: Publisher;
  readonly #publicationName: string;
  readonly #firstRowTimeoutMs: number;
  readonly #safetyTimeoutMs: number;
  readonly #snapshotLockTimeoutMs: number;
  #serverVersion: number | undefined;

  constructor({ clock, log, permits, onAction }: PgSourceDatabaseDeps, options: PgSourceDatabaseOptions) {
    const { url, queryUrl = url, poolSize = 20, connection = {} } = options;
    const budget = connectionBudget(poolSize);
    const { connectionMaxAgeMs: maxAgeMs } = options;
    const maxAge = maxAgeMs === undefined ? {} : { maxAgeMs };
    if (poolSize < 2) log.warn({ poolSize }, 'the connection pool needs at least 2 connections and gets them');
    const expected = new ExpectedDatabase(options.expected ?? (() => undefined));
    this.#clock = clock;
    this.#adminConnections = budget.admin;
    this.#admin = new LazyPool(new PgServer(url, connection, { clock, log }), {
      maxConnections: budget.admin,
      acquireTimeoutMs: ADMIN_ACQUIRE_TIMEOUT_MS,
      ...maxAge,
      applicationName: 'shapecast admin',
      ownSession: true,
      prepare: (client) => expected.check(client),
      part: 'admin',
      permits,
      clock,
      log,
    });
    this.#queryChecks = new QueryChecks(this.#admin, { clock, log }, { sameUrl: queryUrl === url });
    this.#snapshots = new LazyPool(new PgServer(queryUrl, connection, { clock, log }), {
      maxConnections: budget.snapshots,
      acquireTimeoutMs: SNAPSHOT_ACQUIRE_TIMEOUT_MS,
      ...maxAge,
      failAfterMs: SNAPSHOT_FAIL_AFTER_MS,
      applicationName: 'shapecast snapshots',
      prepare: async (client, signal) => {
        // The other way round, a query URL that is wrong would pass for a wrong direct one.
        await this.#queryChecks.checkConnection(client, signal);
        await expected.check(client);
      },
      part: 'snapshots',
      permits,
      clock,
      log,
    });
    this.#publicationName = options.publicationName;
    this.#publisher = new Publisher(
      { admin: this.#admin, clock, log, onAction },
      {
        publicationName: options.publicationName,
        lockTimeoutMs: options.lockTimeoutMs ?? 2_000,
        gapTimeoutMs: options.gapTimeoutMs ?? 30_000,
        manual: options.manualPublishing ?? false,
        debounceMs: options.alterDebounceMs ?? 0,
      },
    );
    this.#firstRowTimeoutMs = options.firstRowTimeoutMs ?? 30_000;
    this.#safetyTimeoutMs = options.safetyTimeoutMs ?? 30_000;
    this.#snapshotLockTimeoutMs = options.snapshotLockTimeoutMs ?? SNAPSHOT_LOCK_TIMEOUT_MS;
  }

  introspect(schema: string, table: string, signal: AbortSignal): Promise<RelationInfo | undefined> {
    return wrapped(
      signal,
      this.#admin.use(signal, (db) => readRelation(db, schema, table)),
    );
  }

  get publication(): SourcePublication {
    return this.#publisher;
  }

  publish(table: TableToPublish, signal: AbortSignal): Promise<string> {
    return this.#publisher.publish(table, signal);
  }

  repairReplicaIdentity(oid: number, signal: AbortSignal): Promise<void> {
    return this.#publisher.repairReplicaIdentity(oid, signal);
  }

  readTables(request: TablesRequest, onSights: (sights: TableSights) => void, signal: AbortSignal): Promise<void> {
    const read = (db: PoolClient) => readTables(db, this.#clock, this.#publicationName, request, onSights, signal);
    return wrapped(signal, this.#admin.use(signal, read));
  }

  async listenForDdl(onDdl: () => void, signal: AbortSignal): Promise<void> {
    if (this.#adminConnections < 2) {
      throw new ShapecastError('NOT_READY', 'There are too few database connections for one that listens.');
    }
    await wrapped(
      signal,
      this.#admin.use(signal, (db) => listenForDdl(db, this.#clock, onDdl, signal)),
    );
  }

  progress(signal: AbortSignal): Promise<{ readonly xmin: bigint; readonly walLsn: Lsn }> {
    return wrapped(signal, this.#admin.use(signal, readProgress));
  }

  writers(oid: number, signal: AbortSignal): Promise<Writers> {
    return wrapped(
      signal,
      this.#admin.use(signal, (db) => readUnfinished(db, oid)),
    );
  }

  async snapshot(request: SnapshotRequest, sink: SnapshotSink, signal: AbortSignal): Promise<void> {
    let acquired = false;
    try {
      await this.#snapshots.use(signal, async (client) => {
        acquired = true;
        await this.#queryChecks.checkTable(client, request);
        const serverVersion = await this.#readServerVersion(client);
        const publicationName = this.#publicationName;
        const limits = {
          firstRowTimeoutMs: this.#firstRowTimeoutMs,
          safetyTimeoutMs: this.#safetyTimeoutMs,
          lockTimeoutMs: this.#snapshotLockTimeoutMs,
        };
        await readSnapshot(client, this.#clock, { serverVersion, publicationName, ...limits }, request, sink, signal);
      });
    } catch (error) {
      signal.throwIfAborted();
      if (acquired) throw error;
      if (isShapecastError(error) && error.details['type'] === 'pool_timeout') {
        const message = 'Snapshot creation failed because of a connection pool queue timeout';
        throw new ShapecastError('SNAPSHOT_FAILED', message, { type: 'pool_timeout' }, error);
      }
      throw queryFailed(error);
    }
  }

  async placeKeys(places: KeyPlaces, signal: AbortSignal): Promise<readonly number[]> {
    if (places.keys.length === 0) return [];
    try {
      return await this.#snapshots.use(signal, async (client) => {
        const serverVersion = await this.#readServerVersion(client);
        return readPlaces(client, { serverVersion, firstRowTimeoutMs: this.#firstRowTimeoutMs }, places, signal);
      });
    } catch (error) {
      signal.throwIfAborted();
      throw queryFailed(error);
    }
  }

  /** Subsets wait for a connection less long than snapshots: a client waits for them. */
  async subset(request: SubsetRequest, sink: SubsetSink, signal: AbortSignal): Promise<void> {
    let acquired = false;
    const read = async (client: PoolClient) => {
      acquired = true;
      const serverVersion = await this.#readServerVersion(client);
      await readSubset(client, this.#clock, { serverVersion }, request, sink, signal);
    };
    try {
      await this.#snapshots.use(signal, read, SUBSET_ACQUIRE_TIMEOUT_MS);
    } catch (error) {
      signal.throwIfAborted();
      throw acquired ? error : subsetFailed(error);
    }
  }

  async #readServerVersion(client: Queryable): Promise<number> {
    this.#serverVersion ??= Number((await rowOf(client, READ_SERVER_VERSION))[0]);
    return this.#serverVersion;
  }

  rest(): void {
    this.#admin.closeIdle();
    this.#snapshots.closeIdle();
  }

  async close(): Promise<void> {
    this.#publisher.close();
    this.#admin.close();
    this.#snapshots.close();
  }
}

async function wrapped<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    signal.throwIfAborted();
    throw connectionError(error);
  }
}
