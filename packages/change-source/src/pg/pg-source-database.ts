import type { Lsn } from '@shapecast/log';
import { isShapecastError, ShapecastError } from '@shapecast/errors';
import type { RelationInfo } from '@shapecast/shape';
import type { Clock, Logger } from '@shapecast/service-kit';
import type { SnapshotRequest, SnapshotSink, SubsetRequest, SubsetSink } from '../change-source.ts';
import type { SourceDatabase, TableToPublish } from '../source-database.ts';
import { Publisher } from './catalog/publisher.ts';
import { queryFailed, readSnapshot } from './catalog/snapshot.ts';
import { readSubset, subsetFailed } from './catalog/subset.ts';
import { connectionBudget } from './connection-budget.ts';
import { connectionError } from './errors.ts';
import { LazyPool } from './lazy-pool.ts';
import { PgServer } from './server.ts';
import { readProgress, readRelation } from './sql/catalog.ts';
import { readTrees } from './sql/inheritance.ts';
import { rowOf, type Queryable } from './sql/query.ts';
import { READ_SERVER_VERSION } from './sql/snapshot.ts';

/** Admin work fails fast, snapshots queue (spec R 3.6.3, 10.7.6). */
const ADMIN_ACQUIRE_TIMEOUT_MS = 5_000;
const SNAPSHOT_ACQUIRE_TIMEOUT_MS = 30_000;
const SUBSET_ACQUIRE_TIMEOUT_MS = 5_000;

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
  readonly lockTimeoutMs?: number;
  /** PEM; verifies the servers when given (spec R 3.3). */
  readonly caCertificate?: string;
}

export interface PgSourceDatabaseDeps {
  readonly clock: Clock;
  readonly log: Logger;
}

/** Catalog, publication and snapshots of a Postgres database. Connects when first used. Throws INVALID_CONFIG. */
export function openPgSourceDatabase(options: PgSourceDatabaseOptions, deps: PgSourceDatabaseDeps): SourceDatabase {
  return new PgSourceDatabase(deps, options);
}

class PgSourceDatabase implements SourceDatabase {
  readonly #clock: Clock;
  readonly #admin: LazyPool;
  readonly #snapshots: LazyPool;
  readonly #publisher: Publisher;
  readonly #publicationName: string;
  readonly #firstRowTimeoutMs: number;
  readonly #safetyTimeoutMs: number;
  #serverVersion: number | undefined;

  constructor({ clock, log }: PgSourceDatabaseDeps, options: PgSourceDatabaseOptions) {
    const { url, queryUrl = url, poolSize = 20, caCertificate } = options;
    const budget = connectionBudget(poolSize);
    if (poolSize < 2) log.warn({ poolSize }, 'the connection pool needs at least 2 connections and gets them');
    this.#clock = clock;
    this.#admin = new LazyPool(new PgServer(url, caCertificate), {
      maxConnections: budget.admin,
      acquireTimeoutMs: ADMIN_ACQUIRE_TIMEOUT_MS,
      applicationName: 'shapecast admin',
    });
    this.#snapshots = new LazyPool(new PgServer(queryUrl, caCertificate), {
      maxConnections: budget.snapshots,
      acquireTimeoutMs: SNAPSHOT_ACQUIRE_TIMEOUT_MS,
      applicationName: 'shapecast snapshots',
    });
    this.#publicationName = options.publicationName;
    this.#publisher = new Publisher(this.#admin, clock, log, {
      publicationName: options.publicationName,
      lockTimeoutMs: options.lockTimeoutMs ?? 2_000,
      gapTimeoutMs: options.gapTimeoutMs ?? 30_000,
    });
    this.#firstRowTimeoutMs = options.firstRowTimeoutMs ?? 30_000;
    this.#safetyTimeoutMs = options.safetyTimeoutMs ?? 30_000;
  }

  introspect(schema: string, table: string, signal: AbortSignal): Promise<RelationInfo | undefined> {
    return wrapped(
      signal,
      this.#admin.use(signal, (db) => readRelation(db, schema, table)),
    );
  }

  publish(table: TableToPublish, signal: AbortSignal): Promise<void> {
    return this.#publisher.publish(table, signal);
  }

  repairReplicaIdentity(oid: number, signal: AbortSignal): Promise<void> {
    return this.#publisher.repairReplicaIdentity(oid, signal);
  }

  readTrees(oids: readonly number[], signal: AbortSignal) {
    return wrapped(
      signal,
      this.#admin.use(signal, (db) => readTrees(db, this.#publicationName, oids)),
    );
  }

  progress(signal: AbortSignal): Promise<{ readonly xmin: bigint; readonly walLsn: Lsn }> {
    return wrapped(signal, this.#admin.use(signal, readProgress));
  }

  async snapshot(request: SnapshotRequest, sink: SnapshotSink, signal: AbortSignal): Promise<void> {
    let acquired = false;
    try {
      await this.#snapshots.use(signal, async (client) => {
        acquired = true;
        const serverVersion = await this.#readServerVersion(client);
        const limits = { firstRowTimeoutMs: this.#firstRowTimeoutMs, safetyTimeoutMs: this.#safetyTimeoutMs };
        await readSnapshot(client, this.#clock, { serverVersion, ...limits }, request, sink, signal);
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

  /** Subsets wait for a connection less long than snapshots: a client waits for them. */
  async subset(request: SubsetRequest, sink: SubsetSink, signal: AbortSignal): Promise<void> {
    const waiting = new AbortController();
    const cancel = this.#clock.after(SUBSET_ACQUIRE_TIMEOUT_MS, () => waiting.abort(noConnection()));
    let acquired = false;
    try {
      await this.#snapshots.use(AbortSignal.any([signal, waiting.signal]), async (client) => {
        acquired = true;
        cancel();
        const serverVersion = await this.#readServerVersion(client);
        await readSubset(client, this.#clock, { serverVersion }, request, sink, signal);
      });
    } catch (error) {
      signal.throwIfAborted();
      throw acquired || waiting.signal.aborted ? error : subsetFailed(error);
    } finally {
      cancel();
    }
  }

  async #readServerVersion(client: Queryable): Promise<number> {
    this.#serverVersion ??= Number((await rowOf(client, READ_SERVER_VERSION))[0]);
    return this.#serverVersion;
  }

  async close(): Promise<void> {
    this.#admin.close();
    this.#snapshots.close();
  }
}

function noConnection(): ShapecastError {
  const message = 'Unable to read the subset: timed out waiting for a database connection.';
  return new ShapecastError('SNAPSHOT_FAILED', message, { type: 'pool_timeout' });
}

async function wrapped<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    signal.throwIfAborted();
    throw connectionError(error);
  }
}
