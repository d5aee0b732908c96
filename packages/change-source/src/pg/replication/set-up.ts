import type pg from 'pg';
import { ShapecastError } from '@shapecast/errors';
import type { Lsn } from '@shapecast/log';
import type { Clock, Logger } from '@shapecast/service-kit';
import type { SlotState, SourceProgress } from '../../change-source.ts';
import { pgMessage, sqlState, WAL_LEVEL_MESSAGE } from '../errors.ts';
import type { LazyPool } from '../lazy-pool.ts';
import { createPublication, publishGeneratedColumns, readPublication } from '../sql/publication.ts';
import { rowsOf } from '../sql/query.ts';
import { createSlot, DISPLAY_SETTINGS, setDisplaySetting, tryLock } from '../sql/replication.ts';
import { breakOrphanedLock, dropSlot, logStandbySnapshot, readSlot, type SlotRow } from '../sql/slot.ts';

const LOCK_BREAKER_PERIOD_MS = 10_000;
const SLOT_HELP_PERIOD_MS = 10_000;

export interface SetUp {
  readonly clock: Clock;
  readonly log: Logger;
  /** The replication connection: holds the lock, later streams. */
  readonly client: pg.Client;
  readonly admin: LazyPool;
  readonly slotName: string;
  readonly publicationName: string;
  readonly report: (progress: SourceProgress) => void;
  readonly signal: AbortSignal;
}

export interface LockOptions {
  readonly pollMs: number;
  /** Terminate an orphan that holds the lock while the slot is unused. Off where the source belongs to somebody else. */
  readonly breaker: boolean;
  readonly ownPid: number;
}

/**
 * Waits for the source's lock by polling: a statement that waits would keep a snapshot open and hold back vacuum (spec R 4.2).
 */
export async function takeLock(setUp: SetUp, options: LockOptions): Promise<void> {
  const { clock, client, slotName, signal } = setUp;
  let waitedSince: number | undefined;
  let nextBreakMs = Infinity;
  while (!(await tryLock(client, slotName))) {
    if (waitedSince === undefined) {
      waitedSince = clock.now();
      // Not at once: a leader that is just setting up holds the lock while its slot is still unused.
      nextBreakMs = waitedSince + LOCK_BREAKER_PERIOD_MS;
      setUp.report({ kind: 'waiting_for_lock' });
      setUp.log.info({ slot: slotName }, 'waiting for the lock of the source');
    }
    if (options.breaker && clock.now() >= nextBreakMs) {
      nextBreakMs = clock.now() + LOCK_BREAKER_PERIOD_MS;
      await breakLock(setUp, options.ownPid);
    }
    await clock.sleep(options.pollMs * (0.8 + 0.4 * clock.random()), signal);
  }
}

async function breakLock({ admin, slotName, log, signal }: SetUp, ownPid: number): Promise<void> {
  try {
    const pids = await admin.use(signal, (db) => breakOrphanedLock(db, slotName, ownPid));
    if (pids.length > 0) log.warn({ pids, slot: slotName }, 'terminated backends that held the lock of an unused slot');
  } catch (error) {
    signal.throwIfAborted();
    log.warn({ code: sqlState(error), slot: slotName }, 'lock breaker failed');
  }
}

/**
 * Makes sure that the publication exists and publishes everything, stored generated columns included where the server can:
 * one from before an upgrade to 18 does not, and there Postgres refuses updates of published tables with such columns. True when it was created now; then a slot that was there
 * is gone, because what happened without the publication cannot be recovered (spec R 5 step 7). Both happen in one
 * transaction: a crash in between must not leave a publication that looks old.
 */
export async function ensurePublication(setUp: SetUp, serverVersion: number): Promise<boolean> {
  const { admin, publicationName, slotName, signal, log } = setUp;
  return admin.use(signal, async (db) => {
    const slot = await readSlot(db, slotName);
    if (slot) requireOwnSlot(setUp, slot);
    const found = await readPublication(db, publicationName);
    if (found?.allOperations) {
      if (found.generatedColumns === false && found.owned) await publishGeneratedColumns(db, publicationName);
      return false;
    }
    if (found) {
      const text = `Publication "${publicationName}" does not publish all required operations: INSERT, UPDATE, DELETE, TRUNCATE`;
      throw new ShapecastError('SOURCE_MISCONFIGURED', text, { type: 'publication_incomplete' });
    }
    await rowsOf(db, 'begin');
    try {
      await createPublication(db, publicationName, serverVersion);
      await dropSlot(db, slotName);
      await rowsOf(db, 'commit');
    } catch (error) {
      await rowsOf(db, 'rollback');
      if (sqlState(error) === '42710') return false;
      if (sqlState(error) !== '42501') throw error;
      const text = `Publication "${publicationName}" not found in the database`;
      throw new ShapecastError('SOURCE_MISCONFIGURED', text, { type: 'publication_missing' }, error);
    }
    log.info({ publication: publicationName, slot: slotName }, 'publication created, slot starts anew');
    return true;
  });
}

/** Creates the slot or reads where it stands. A slot that Postgres gave up is replaced (spec R 6.3.1). */
export async function ensureSlot(setUp: SetUp, temporary: boolean): Promise<SlotState> {
  const { admin, slotName, signal, log } = setUp;
  for (;;) {
    const created = await tryCreateSlot(setUp, temporary);
    if (created !== undefined) return { created: true, confirmedLsn: created };
    const slot = await admin.use(signal, (db) => readSlot(db, slotName));
    if (!slot) continue; // dropped by somebody in between
    requireOwnSlot(setUp, slot);
    if (slot.lost) {
      log.warn({ slot: slotName }, 'the slot lost its WAL and starts anew; consider raising max_slot_wal_keep_size');
      await admin.use(signal, (db) => dropSlot(db, slotName));
      continue;
    }
    if (slot.confirmedLsn === undefined) {
      const text = `The replication slot "${slotName}" is still being created by another connection.`;
      throw new ShapecastError('SOURCE_UNAVAILABLE', text, { type: 'replication_slot_in_use' });
    }
    return { created: false, confirmedLsn: slot.confirmedLsn };
  }
}

/** A slot that somebody else made for another purpose is neither used nor dropped. */
function requireOwnSlot({ client, slotName }: SetUp, slot: SlotRow): void {
  if (slot.plugin === 'pgoutput' && slot.database === client.database) return;
  const text = `Replication slot "${slotName}" belongs to another plugin or database: choose another slot name or drop it.`;
  throw new ShapecastError('SOURCE_MISCONFIGURED', text, { type: 'slot_mismatch', plugin: slot.plugin });
}

/** The slot's start position; undefined when there is one of that name. */
async function tryCreateSlot(setUp: SetUp, temporary: boolean): Promise<Lsn | undefined> {
  const done = new AbortController();
  const helping = helpSlotCreation(setUp, AbortSignal.any([setUp.signal, done.signal]));
  try {
    return await createSlot(setUp.client, setUp.slotName, temporary);
  } catch (error) {
    if (sqlState(error) === '42710') return undefined;
    if (sqlState(error) === '55000' && (await walLevelTooLow(setUp))) {
      throw new ShapecastError('SOURCE_MISCONFIGURED', WAL_LEVEL_MESSAGE, { type: 'wal_level_is_not_logical' }, error);
    }
    throw error;
  } finally {
    done.abort();
    await helping;
  }
}

/** Asks the setting itself: the error's text may be in any language (spec O 7.1.1). */
async function walLevelTooLow({ client }: SetUp): Promise<boolean> {
  const [row] = await rowsOf(client, 'show wal_level');
  return row?.[0] !== 'logical';
}

/**
 * While creation waits for open transactions: says so, and has Postgres write the record that creation needs, which an idle
 * server may not write for long after the last of them ended (spec R 5.2). Ends when `signal` aborts.
 */
async function helpSlotCreation({ clock, log, admin, slotName, report }: SetUp, signal: AbortSignal): Promise<void> {
  const since = clock.now();
  let mayHelp = true;
  for (;;) {
    try {
      await clock.sleep(SLOT_HELP_PERIOD_MS, signal);
    } catch {
      return;
    }
    report({ kind: 'creating_slot', blockedMs: clock.now() - since });
    log.warn({ slot: slotName }, 'slot creation waits for open transactions to finish');
    if (!mayHelp) continue;
    try {
      await admin.use(signal, async (db) => {
        await rowsOf(db, `set statement_timeout = '5s'`);
        await logStandbySnapshot(db);
        await rowsOf(db, 'reset statement_timeout');
      });
    } catch (error) {
      if (signal.aborted) return;
      mayHelp = sqlState(error) !== '42883' && sqlState(error) !== '42501';
      if (!mayHelp) log.warn({ reason: pgMessage(error) }, 'slot creation cannot be unblocked automatically');
    }
  }
}

export async function applyDisplaySettings(client: pg.Client): Promise<void> {
  for (const [name, value] of DISPLAY_SETTINGS) await setDisplaySetting(client, name, value);
}
