import type pg from 'pg';
import { ShapecastError } from '@shapecast/errors';
import type { Clock, Logger } from '@shapecast/service-kit';
import type { GuardedSlot, SlotHold, SlotReport } from '../guarded-slot.ts';
import type { ConnectionPermits } from './connection-budget.ts';
import { connectionError } from './errors.ts';
import { destroyClient } from './replication/replication-link.ts';
import { PgServer, type PgServerOptions } from './server.ts';
import { tryLock } from './sql/replication.ts';
import { terminateSlotUser } from './sql/removal.ts';
import { dropSlot, readSlot, readSlotReport } from './sql/slot.ts';

/** For a look from the permit to the answer, and for dropping a slot. */
const TIMEOUT_MS = 30_000;
const CLOSE_TIMEOUT_MS = 5_000;
const LOCK_POLL_MS = 100;
/** A walsender that was told to end, or whose client is gone, ends within moments. */
const DROP_POLL_MS = 100;
const DROP_POLLS = 50;

export interface PgGuardedSlotOptions {
  /** Direct URL, with the role that replicates. */
  readonly url: string;
  readonly slotName: string;
  readonly connection?: PgServerOptions;
}

export interface PgGuardedSlotDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** The budget of connections. One that can be had without others: this is needed most when nothing else works. */
  readonly permits?: ConnectionPermits | undefined;
}

/** The slot of a source on Postgres. Connects for each call, so it holds nothing in between. Throws INVALID_CONFIG. */
export function openPgGuardedSlot(options: PgGuardedSlotOptions, deps: PgGuardedSlotDeps): GuardedSlot {
  return new PgGuardedSlot(deps, options);
}

class PgGuardedSlot implements GuardedSlot {
  readonly #server: PgServer;
  readonly #deps: PgGuardedSlotDeps;
  readonly #slotName: string;

  constructor(deps: PgGuardedSlotDeps, options: PgGuardedSlotOptions) {
    this.#server = new PgServer(options.url, options.connection ?? {}, deps);
    this.#deps = deps;
    this.#slotName = options.slotName;
  }

  async report(signal: AbortSignal): Promise<SlotReport | undefined> {
    const connection = await this.#connect(signal);
    try {
      return await connection.use((db) => readSlotReport(db, this.#slotName), signal);
    } finally {
      await connection.close();
    }
  }

  async drop(patienceMs: number, signal: AbortSignal): Promise<SlotHold | undefined> {
    const connection = await this.#connect(signal);
    let held = false;
    try {
      held = await this.#take(connection, patienceMs, signal);
      if (!held) return undefined;
      await connection.use((db) => this.#dropUnused(db, signal), signal);
      return { lost: connection.lost, release: () => connection.close() };
    } catch (error) {
      held = false;
      throw error;
    } finally {
      // Frees the lock, too.
      if (!held) await connection.close();
    }
  }

  async #take(connection: AdminConnection, patienceMs: number, signal: AbortSignal): Promise<boolean> {
    const { clock } = this.#deps;
    const deadline = clock.now() + patienceMs;
    for (;;) {
      if (await connection.use((db) => tryLock(db, this.#slotName), signal)) return true;
      if (clock.now() >= deadline) return false;
      await clock.sleep(LOCK_POLL_MS, signal);
    }
  }

  async #dropUnused(db: pg.Client, signal: AbortSignal): Promise<void> {
    for (let poll = 1; ; poll += 1) {
      await terminateSlotUser(db, this.#slotName);
      const slot = await readSlot(db, this.#slotName);
      if (slot === undefined) return;
      if (slot.activePid === undefined) await dropSlot(db, this.#slotName);
      else if (poll === DROP_POLLS) throw inUse(slot.activePid);
      else await this.#deps.clock.sleep(DROP_POLL_MS, signal);
    }
  }

  async #connect(signal: AbortSignal): Promise<AdminConnection> {
    const { permits, clock } = this.#deps;
    const patience = deadline(clock, TIMEOUT_MS, signal);
    let release: (() => void) | undefined;
    try {
      release = await permits?.acquire('admin', patience.signal);
      const purpose = { applicationName: 'shapecast guard', ownSession: true, timeoutMs: TIMEOUT_MS };
      return new AdminConnection(await this.#server.connect(purpose, patience.signal), clock, release);
    } catch (error) {
      release?.();
      signal.throwIfAborted();
      throw connectionError(error);
    } finally {
      patience.cancel();
    }
  }
}

/** One connection, cut where a statement takes too long or the caller leaves. */
class AdminConnection {
  readonly #client: pg.Client;
  readonly #clock: Clock;
  readonly #release: (() => void) | undefined;
  readonly #lost = new AbortController();
  #closing: Promise<void> | undefined;

  constructor(client: pg.Client, clock: Clock, release: (() => void) | undefined) {
    this.#client = client;
    this.#clock = clock;
    this.#release = release;
    client.once('end', () => {
      this.#lost.abort(new ShapecastError('SOURCE_UNAVAILABLE', 'The database connection was closed.'));
    });
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  async use<T>(work: (db: pg.Client) => Promise<T>, signal: AbortSignal): Promise<T> {
    const limit = deadline(this.#clock, TIMEOUT_MS, signal);
    const cut = () => destroyClient(this.#client);
    limit.signal.addEventListener('abort', cut, { once: true });
    try {
      return await work(this.#client);
    } catch (error) {
      signal.throwIfAborted();
      throw connectionError(error);
    } finally {
      limit.signal.removeEventListener('abort', cut);
      limit.cancel();
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const cancel = this.#clock.after(CLOSE_TIMEOUT_MS, () => destroyClient(this.#client));
    await this.#client.end().catch(() => undefined);
    cancel();
    this.#release?.();
  }
}

/** Aborts with `signal`, or after `ms` unless it is cancelled. */
function deadline(clock: Clock, ms: number, signal: AbortSignal) {
  const late = new AbortController();
  const cancel = clock.after(ms, () => {
    const type = 'pool_timeout';
    late.abort(new ShapecastError('SOURCE_UNAVAILABLE', 'The database did not answer in time.', { type }));
  });
  return { signal: AbortSignal.any([signal, late.signal]), cancel };
}

function inUse(pid: number): ShapecastError {
  const message = 'The replication slot is in use, and who uses it could not be ended.';
  return new ShapecastError('SOURCE_UNAVAILABLE', message, { type: 'replication_slot_in_use', pid });
}
