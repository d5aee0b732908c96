import pg from 'pg';
import type { ReplicationClientConfig } from 'pg-logical-replication';
import { ShapecastError } from '@shapecast/errors';
import type { Clock, Logger } from '@shapecast/service-kit';
import type { ChangeSource, ReplicationSession, SourceIdentity, SourceProgress } from '../change-source.ts';
import { connectionError, STANDBY_MESSAGE, WAL_LEVEL_MESSAGE } from './errors.ts';
import { LazyPool } from './lazy-pool.ts';
import { PgReplicationSession } from './replication/pg-replication-session.ts';
import { destroyClient } from './replication/replication-link.ts';
import { applyDisplaySettings, ensurePublication, ensureSlot, takeLock, type SetUp } from './replication/set-up.ts';
import { PgServer } from './server.ts';
import { readXmax } from './sql/catalog.ts';
import { identifySystem, readServerState, setWalSenderTimeout } from './sql/replication.ts';
import { dropSlot } from './sql/slot.ts';

const ADMIN_ACQUIRE_TIMEOUT_MS = 30_000;

export interface PgChangeSourceOptions {
  /** Direct URL; the role needs REPLICATION and, unless the publication exists, CREATE on the database. */
  readonly url: string;
  /** `[a-z0-9_]{1,63}` (spec R 5.1). */
  readonly slotName: string;
  readonly publicationName: string;
  /** Set for the session: how long a dead holder keeps the slot and the lock (spec R 4.6). */
  readonly walSenderTimeoutMs?: number;
  readonly lockPollMs?: number;
  readonly lockBreaker?: boolean;
  /** A row change, old and new tuple together, that is larger becomes `unusable` (spec R 9.5.3). */
  readonly maxRowBytes?: number;
  /** The slot ends with the session, and each session starts a new incarnation (spec R 5.5). */
  readonly temporarySlot?: boolean;
  /** PEM; verifies the server when given (spec R 3.3). */
  readonly caCertificate?: string;
}

export interface PgChangeSourceDeps {
  readonly clock: Clock;
  readonly log: Logger;
}

const DEFAULTS = {
  walSenderTimeoutMs: 15_000,
  lockPollMs: 1_000,
  lockBreaker: true,
  maxRowBytes: 128 * 1024 * 1024,
  temporarySlot: false,
};

type ResolvedOptions = PgChangeSourceOptions & typeof DEFAULTS;

/** Changes of a Postgres database by logical replication (spec R 4, 5, 8). Connects when opened. Throws INVALID_CONFIG. */
export function openPgChangeSource(options: PgChangeSourceOptions, deps: PgChangeSourceDeps): ChangeSource {
  if (!/^[a-z0-9_]{1,63}$/.test(options.slotName)) {
    throw new ShapecastError('INVALID_CONFIG', 'Slot name: expected 1 to 63 of a-z, 0-9 and _');
  }
  const server = new PgServer(options.url, options.caCertificate);
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const resolved = { ...DEFAULTS, ...given } as ResolvedOptions;
  const memory: Memory = { slotIsStale: false };
  return { open: (report, signal) => open(server, resolved, deps, memory, report, signal) };
}

/** What one session leaves to the next. */
interface Memory {
  /** The slot's history has a hole: changes made without the publication. It has to start anew (spec R 6.2.1). */
  slotIsStale: boolean;
}

async function open(
  server: PgServer,
  options: ResolvedOptions,
  { clock, log }: PgChangeSourceDeps,
  memory: Memory,
  report: (progress: SourceProgress) => void,
  signal: AbortSignal,
): Promise<ReplicationSession> {
  signal.throwIfAborted();
  const admin = new LazyPool(server, {
    maxConnections: 1,
    acquireTimeoutMs: ADMIN_ACQUIRE_TIMEOUT_MS,
    applicationName: 'shapecast admin',
  });
  let client: pg.Client | undefined;
  const onAbort = () => client && destroyClient(client);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const config = await server.config(signal);
    const replication: ReplicationClientConfig = {
      ...config,
      replication: 'database',
      application_name: 'shapecast replication',
    };
    client = new pg.Client(replication);
    // Every statement in flight rejects as well; the event would otherwise end the process.
    client.on('error', () => {});
    await client.connect();
    const { slotName, publicationName } = options;
    const setUp: SetUp = { clock, log, client, admin, slotName, publicationName, report, signal };
    const before = await identify(client, options.walSenderTimeoutMs);
    await takeLock(setUp, {
      pollMs: options.lockPollMs,
      breaker: options.lockBreaker,
      ownPid: before.identity.walSenderPid,
    });
    // A standby may have waited for days: what it learnt of the server's WAL and timeline is no longer true.
    const { identity, walSenderTimeoutMs } = await identify(client, options.walSenderTimeoutMs);
    const anew = await ensurePublication(setUp, identity.serverVersion);
    if (memory.slotIsStale) await admin.use(signal, (db) => dropSlot(db, slotName));
    memory.slotIsStale = false;
    const slot = await ensureSlot(setUp, options.temporarySlot);
    await applyDisplaySettings(client);
    const xmax = await admin.use(signal, readXmax);
    signal.throwIfAborted();
    report({ kind: 'ready' });
    const state = { ...slot, created: slot.created || anew };
    const onPublicationMissing = () => void (memory.slotIsStale = true);
    return new PgReplicationSession({ clock, log, client, admin, onPublicationMissing }, options, {
      identity,
      slot: state,
      xmax,
      walSenderTimeoutMs,
    });
  } catch (error) {
    if (client) destroyClient(client);
    server.forget();
    admin.close();
    signal.throwIfAborted();
    throw connectionError(error);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Spec R 5 steps 4 and 5; refuses what can never be replicated from (2.2, 2.5). */
async function identify(client: pg.Client, walSenderTimeoutMs: number) {
  const system = await identifySystem(client);
  await setWalSenderTimeout(client, walSenderTimeoutMs);
  const state = await readServerState(client);
  if (state.standby) throw new ShapecastError('SOURCE_MISCONFIGURED', STANDBY_MESSAGE, { type: 'standby' });
  if (state.walLevel !== 'logical') {
    throw new ShapecastError('SOURCE_MISCONFIGURED', WAL_LEVEL_MESSAGE, { type: 'wal_level_is_not_logical' });
  }
  const { systemId, timeline, database, walLsn } = system;
  const identity: SourceIdentity = {
    systemId,
    timeline,
    database,
    walLsn,
    serverVersion: state.version,
    walSenderPid: state.pid,
  };
  return { identity, walSenderTimeoutMs: state.walSenderTimeoutMs };
}
