import type pg from 'pg';
import { ShapecastError } from '@shapecast/errors';
import type { Clock, Logger } from '@shapecast/service-kit';
import type {
  ChangeSource,
  HolderWatch,
  ReplicationSession,
  SourceIdentity,
  SourceProgress,
  TimelineEnd,
} from '../change-source.ts';
import type { ConnectionPermits } from './connection-budget.ts';
import { connectionError, STANDBY_MESSAGE, WAL_LEVEL_MESSAGE } from './errors.ts';
import { LazyPool } from './lazy-pool.ts';
import { takeLock } from './replication/lock.ts';
import { PgReplicationSession } from './replication/pg-replication-session.ts';
import { refuseTakenDatabase } from './replication/taken-database.ts';
import { destroyClient } from './replication/replication-link.ts';
import { applyDisplaySettings, ensurePublication, ensureSlot, type SetUp } from './replication/set-up.ts';
import { PgServer, type PgServerOptions } from './server.ts';
import { SourceChecks } from './source-checks.ts';
import { readXmax } from './sql/catalog.ts';
import {
  identifySystem,
  readServerState,
  readTimelineHistory,
  setWalSenderTimeout,
  type NewSlot,
} from './sql/replication.ts';
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
  /** Standbys keep the slot too, where the server is of version 17 or later (spec R 5.6). */
  readonly slotFailover?: boolean;
  /** The publication is somebody else's to make and to drop (spec R 5 step 7). */
  readonly manualPublishing?: boolean;
  /** How often the publication is looked at while streaming (spec R 6.2.1). */
  readonly publicationCheckMs?: number;
  /** How the server is reached. */
  readonly connection?: PgServerOptions;
}

export interface PgChangeSourceDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** The budget that the admin connection is part of; it comes on top when unset. */
  readonly permits?: ConnectionPermits | undefined;
}

const DEFAULTS = {
  walSenderTimeoutMs: 15_000,
  lockPollMs: 1_000,
  lockBreaker: true,
  maxRowBytes: 128 * 1024 * 1024,
  temporarySlot: false,
  slotFailover: false,
  manualPublishing: false,
  publicationCheckMs: 60_000,
};

type ResolvedOptions = PgChangeSourceOptions & typeof DEFAULTS;

/** Changes of a Postgres database by logical replication (spec R 4, 5, 8). Connects when opened. Throws INVALID_CONFIG. */
export function openPgChangeSource(options: PgChangeSourceOptions, deps: PgChangeSourceDeps): ChangeSource {
  if (!/^[a-z0-9_]{1,63}$/.test(options.slotName)) {
    throw new ShapecastError('INVALID_CONFIG', 'Slot name: expected 1 to 63 of a-z, 0-9 and _');
  }
  const server = new PgServer(options.url, options.connection, deps);
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const resolved = { ...DEFAULTS, ...given } as ResolvedOptions;
  const memory: Memory = { slotIsStale: false, checks: new SourceChecks(deps.log) };
  return { open: (report, signal, holder) => open(server, resolved, deps, memory, report, signal, holder) };
}

/** What one session leaves to the next. */
interface Memory {
  /** The slot's history has a hole: changes made without the publication. It has to start anew (spec R 6.2.1). */
  slotIsStale: boolean;
  /** What was complained about already. */
  readonly checks: SourceChecks;
}

async function open(
  server: PgServer,
  options: ResolvedOptions,
  { clock, log, permits }: PgChangeSourceDeps,
  memory: Memory,
  report: (progress: SourceProgress) => void,
  signal: AbortSignal,
  holder: HolderWatch | undefined,
): Promise<ReplicationSession> {
  signal.throwIfAborted();
  const admin = new LazyPool(server, {
    maxConnections: 1,
    acquireTimeoutMs: ADMIN_ACQUIRE_TIMEOUT_MS,
    applicationName: 'shapecast admin',
    ownSession: true,
    part: 'admin',
    permits,
    clock,
  });
  let client: pg.Client | undefined;
  const onAbort = () => client && destroyClient(client);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const purpose = { applicationName: 'shapecast replication', replication: 'database', ownSession: true } as const;
    client = await server.connect(purpose, signal);
    const { slotName, publicationName } = options;
    const setUp: SetUp = { clock, log, client, admin, slotName, publicationName, report, signal };
    const before = await identify(client, options.walSenderTimeoutMs);
    await refuseTakenDatabase(setUp, before.identity, holder);
    const { lockPollMs: pollMs, lockBreaker: breaker } = options;
    await takeLock(setUp, { slotName, pollMs, breaker, ownPid: before.identity.walSenderPid }, holder);
    report({ kind: 'locked' });
    // A standby may have waited for days: what it learnt of the server's WAL and timeline is no longer true.
    const { identity, walSenderTimeoutMs } = await identify(client, options.walSenderTimeoutMs);
    const history = await timelineHistory(client, identity.timeline, log);
    const { serverVersion } = identity;
    const publication = await ensurePublication(setUp, { serverVersion, manual: options.manualPublishing });
    if (memory.slotIsStale) await admin.use(signal, (db) => dropSlot(db, slotName));
    memory.slotIsStale = false;
    const slot = await ensureSlot(setUp, newSlot(options, serverVersion));
    await applyDisplaySettings(client);
    const xmax = await admin.use(signal, readXmax);
    await admin.use(signal, (db) => memory.checks.run(db));
    signal.throwIfAborted();
    report({ kind: 'ready' });
    const onSlotStale = () => void (memory.slotIsStale = true);
    return new PgReplicationSession({ clock, log, client, admin, onSlotStale }, options, {
      identity: history === undefined ? identity : { ...identity, history },
      slot: { ...slot, created: slot.created || publication.created, publicationOid: publication.oid },
      xmax,
      walSenderTimeoutMs,
    });
  } catch (error) {
    if (client) destroyClient(client);
    admin.close();
    signal.throwIfAborted();
    throw connectionError(error);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function newSlot({ temporarySlot, slotFailover }: ResolvedOptions, serverVersion: number): NewSlot {
  // Postgres has no failover for what ends with its session.
  return { temporary: temporarySlot, failover: slotFailover && !temporarySlot && serverVersion >= 170_000 };
}

/** A history that cannot be read is left out: then a promotion is not proven harmless (spec R 6.5 C2). */
async function timelineHistory(client: pg.Client, timeline: number, log: Logger): Promise<TimelineEnd[] | undefined> {
  if (timeline === 1) return undefined;
  try {
    return await readTimelineHistory(client, timeline);
  } catch (error) {
    log.warn({ err: error, timeline }, 'timeline history cannot be read');
    return undefined;
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
