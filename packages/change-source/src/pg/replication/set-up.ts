import type pg from 'pg';
import { ShapecastError } from '@shapecast/errors';
import type { Lsn } from '@shapecast/log';
import { emitEvent, type Clock, type Logger } from '@shapecast/service-kit';
import type { SlotState, SourceProgress } from '../../change-source.ts';
import { pgMessage, sqlState, WAL_LEVEL_MESSAGE } from '../errors.ts';
import type { LazyPool } from '../lazy-pool.ts';
import {
  createPublication,
  publishAllOperations,
  publishGeneratedColumns,
  readPublication,
} from '../sql/publication.ts';
import { rowsOf, type Queryable } from '../sql/query.ts';
import { dropPublication } from '../sql/removal.ts';
import {
  createSlot,
  DISPLAY_SETTINGS,
  keepSlotOnStandbys,
  setDisplaySetting,
  type NewSlot,
} from '../sql/replication.ts';
import { dropSlot, logStandbySnapshot, readSlot, type SlotRow } from '../sql/slot.ts';

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

export interface PublicationOptions {
  readonly serverVersion: number;
  /** Somebody else makes the publication and looks after it (spec R 5 step 7). */
  readonly manual: boolean;
}

export interface PublicationState {
  readonly oid: number;
  readonly created: boolean;
}

/**
 * Makes sure that the publication exists and publishes everything, stored generated columns included where the server can:
 * one from before an upgrade to 18 does not, and there Postgres refuses updates of published tables with such columns. When
 * it is created now, a slot that was there is gone, because what happened without the publication cannot be recovered (spec R
 * 5 step 7). Both happen in one transaction: a crash in between must not leave a publication that looks old. The same goes
 * for a slot that Postgres gave up (6.3.1).
 */
export async function ensurePublication(setUp: SetUp, options: PublicationOptions): Promise<PublicationState> {
  const { admin, publicationName, slotName, signal } = setUp;
  return admin.use(signal, async (db) => {
    const slot = await readSlot(db, slotName);
    if (slot) requireOwnSlot(setUp, slot);
    if (slot?.lost) tellSlotLost(setUp, slot);
    const found = await readPublication(db, publicationName);
    if (found && !found.allOperations) {
      // What it did not publish is missing from the slot's history for good.
      if (slot) await dropSlot(db, slotName);
      if (found.owned && !options.manual) {
        await publishAllOperations(db, publicationName);
        setUp.log.warn({ publication: publicationName }, 'the publication lacked operations, slot starts anew');
        return { oid: found.oid, created: true };
      }
      const text = `Publication "${publicationName}" does not publish all required operations: INSERT, UPDATE, DELETE, TRUNCATE`;
      throw new ShapecastError('SOURCE_MISCONFIGURED', text, { type: 'publication_incomplete' });
    }
    const keep = found !== undefined && (!slot?.lost || options.manual || !found.owned);
    const created = keep || options.manual ? undefined : await createAnew(db, setUp, options.serverVersion);
    if (created !== undefined) return { oid: created, created: true };
    const existing = found ?? (await readPublication(db, publicationName));
    if (slot && (slot.lost || !existing)) await dropSlot(db, slotName);
    if (!existing) {
      const text = `Publication "${publicationName}" not found in the database`;
      throw new ShapecastError('SOURCE_MISCONFIGURED', text, { type: 'publication_missing' });
    }
    if (existing.generatedColumns === false && existing.owned && !options.manual) {
      await publishGeneratedColumns(db, publicationName);
    }
    return { oid: existing.oid, created: false };
  });
}

/** The oid of the new publication; undefined when the role may not make one, or somebody else was faster. */
async function createAnew(db: Queryable, setUp: SetUp, serverVersion: number): Promise<number | undefined> {
  const { publicationName, slotName, log } = setUp;
  await rowsOf(db, 'begin');
  try {
    await dropPublication(db, publicationName);
    await createPublication(db, publicationName, serverVersion);
    const oid = (await readPublication(db, publicationName))?.oid;
    await dropSlot(db, slotName);
    await rowsOf(db, 'commit');
    log.info({ publication: publicationName, slot: slotName }, 'publication created, slot starts anew');
    return oid;
  } catch (error) {
    await rowsOf(db, 'rollback');
    if (sqlState(error) === '42710' || sqlState(error) === '42501') return undefined;
    throw error;
  }
}

function tellSlotLost({ log, slotName }: SetUp, { lostBecause = 'wal_removed' }: SlotRow): void {
  const size = lostBecause === 'wal_removed';
  const remedy = size
    ? 'Let the replicator run all the time, scale it up, or raise max_slot_wal_keep_size.'
    : `Postgres gave it up (${lostBecause}): see its settings for replication slots.`;
  emitEvent(log, 'warning', {
    type: size ? 'database_slot_exceeded_max_size' : 'database_slot_invalidated',
    message: `The replication slot "${slotName}" was lost and starts anew, so every shape rotates. ${remedy}`,
  });
}

/** Creates the slot or reads where it stands. A slot that Postgres gave up is replaced (spec R 6.3.1). */
export async function ensureSlot(
  setUp: SetUp,
  { temporary, failover }: NewSlot,
): Promise<Omit<SlotState, 'publicationOid'>> {
  const { admin, client, slotName, signal } = setUp;
  for (;;) {
    const created = await tryCreateSlot(setUp, { temporary, failover });
    if (created !== undefined) return { created: true, confirmedLsn: created };
    const slot = await admin.use(signal, (db) => readSlot(db, slotName));
    if (!slot) continue; // dropped by somebody in between
    requireOwnSlot(setUp, slot);
    if (slot.lost) {
      tellSlotLost(setUp, slot);
      await admin.use(signal, (db) => dropSlot(db, slotName));
      continue;
    }
    if (slot.confirmedLsn === undefined) {
      const text = `The replication slot "${slotName}" is still being created by another connection.`;
      throw new ShapecastError('SOURCE_UNAVAILABLE', text, { type: 'replication_slot_in_use' });
    }
    if (failover && slot.failover === false) await keepSlotOnStandbys(client, slotName);
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
async function tryCreateSlot(setUp: SetUp, slot: NewSlot): Promise<Lsn | undefined> {
  const done = new AbortController();
  const helping = helpSlotCreation(setUp, AbortSignal.any([setUp.signal, done.signal]));
  try {
    return await createSlot(setUp.client, setUp.slotName, slot);
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
async function helpSlotCreation({ clock, log, admin, report }: SetUp, signal: AbortSignal): Promise<void> {
  const since = clock.now();
  let mayHelp = true;
  for (;;) {
    try {
      await clock.sleep(SLOT_HELP_PERIOD_MS, signal);
    } catch {
      return;
    }
    report({ kind: 'creating_slot', blockedMs: clock.now() - since });
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
      if (mayHelp) continue;
      // Once for a set-up: it will not change while this one lasts (spec R 5.2).
      const message = `Slot creation is not unblocked automatically after the open transactions end: ${pgMessage(error)}`;
      emitEvent(log, 'replication_slot_unblock_unavailable', { message });
    }
  }
}

export async function applyDisplaySettings(client: pg.Client): Promise<void> {
  for (const [name, value] of DISPLAY_SETTINGS) await setDisplaySetting(client, name, value);
}
