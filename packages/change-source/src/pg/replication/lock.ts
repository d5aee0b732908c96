import type pg from 'pg';
import { emitEvent, type Clock, type Logger } from '@shapecast/service-kit';
import type { HolderWatch, SourceProgress } from '../../change-source.ts';
import { pgMessage, sqlState } from '../errors.ts';
import type { LazyPool } from '../lazy-pool.ts';
import { tryLock } from '../sql/replication.ts';
import { breakOrphanedLock, terminateLockHolder } from '../sql/slot.ts';

const LOCK_BREAKER_PERIOD_MS = 10_000;
/** A holder that leaves is gone within moments, or something holds it up and the usual pace is fast enough. */
const LEAVING_POLL_MS = 50;
const LEAVING_POLLS = 100;
/** A terminated backend that is still there may be about to end. */
const TERMINATE_PERIOD_MS = 5_000;

export interface LockDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** The replication connection, which holds the lock from then on. */
  readonly client: pg.Client;
  readonly admin: LazyPool;
  readonly report: (progress: SourceProgress) => void;
  readonly signal: AbortSignal;
}

export interface LockOptions {
  readonly slotName: string;
  readonly pollMs: number;
  /** May terminate backends that hold the lock and do not use it. Off where the source belongs to somebody else. */
  readonly breaker: boolean;
  readonly ownPid: number;
}

/**
 * Waits for the source's lock by polling: a statement that waits would keep a snapshot open and hold back vacuum (spec R 4.2).
 * Polls faster for a while when the holder says that it leaves, and ends it when it has been silent for too long (4.6).
 */
export async function takeLock(deps: LockDeps, options: LockOptions, holder?: HolderWatch): Promise<void> {
  try {
    if (await tryLock(deps.client, options.slotName)) return;
    await new LockWait(deps, options, holder).run();
  } catch (error) {
    if (!deps.signal.aborted) emitEvent(deps.log, 'failed_to_acquire_connection_lock', { error: pgMessage(error) });
    throw error;
  }
}

class LockWait {
  readonly #deps: LockDeps;
  readonly #options: LockOptions;
  readonly #holder: HolderWatch | undefined;
  #wake: () => void = () => undefined;
  #leavingPolls = 0;
  #nextBreakMs: number;
  #nextTerminateMs = 0;

  constructor(deps: LockDeps, options: LockOptions, holder: HolderWatch | undefined) {
    this.#deps = deps;
    this.#options = options;
    this.#holder = holder;
    // Not at once: a leader that is just setting up holds the lock while its slot is still unused.
    this.#nextBreakMs = deps.clock.now() + LOCK_BREAKER_PERIOD_MS;
  }

  async run(): Promise<void> {
    const { client, report, log } = this.#deps;
    const { slotName } = this.#options;
    report({ kind: 'waiting_for_lock' });
    log.debug({ slot: slotName }, 'waiting for the lock of the source');
    const stopWatching = this.#holder?.onLeaving(() => {
      this.#leavingPolls = LEAVING_POLLS;
      this.#wake();
    });
    try {
      do {
        if (this.#options.breaker) {
          await this.#breakOrphan();
          await this.#endSilentHolder();
        }
        await this.#pause();
      } while (!(await tryLock(client, slotName)));
    } finally {
      stopWatching?.();
    }
  }

  async #pause(): Promise<void> {
    const { clock, signal } = this.#deps;
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    const leaving = this.#leavingPolls > 0;
    if (leaving) this.#leavingPolls -= 1;
    const ms = leaving ? Math.min(LEAVING_POLL_MS, this.#options.pollMs) : this.#options.pollMs;
    try {
      await clock.sleep(ms * (0.8 + 0.4 * clock.random()), AbortSignal.any([signal, woken.signal]));
    } catch {
      signal.throwIfAborted();
    }
  }

  async #breakOrphan(): Promise<void> {
    const { clock, admin, log, signal } = this.#deps;
    if (clock.now() < this.#nextBreakMs) return;
    this.#nextBreakMs = clock.now() + LOCK_BREAKER_PERIOD_MS;
    const { slotName, ownPid } = this.#options;
    try {
      const pids = await admin.use(signal, (db) => breakOrphanedLock(db, slotName, ownPid));
      if (pids.length > 0)
        log.warn({ pids, slot: slotName }, 'terminated backends that held the lock of an unused slot');
    } catch (error) {
      signal.throwIfAborted();
      log.warn({ code: sqlState(error), slot: slotName }, 'lock breaker failed');
    }
  }

  async #endSilentHolder(): Promise<void> {
    const { clock, admin, log, signal } = this.#deps;
    const pid = this.#holder?.silentWalSender();
    if (pid === undefined || clock.now() < this.#nextTerminateMs) return;
    this.#nextTerminateMs = clock.now() + TERMINATE_PERIOD_MS;
    const { slotName } = this.#options;
    try {
      const ended = await admin.use(signal, (db) => terminateLockHolder(db, slotName, pid));
      if (!ended) return;
      log.warn({ pid, slot: slotName }, 'terminated the walsender of a leader that is gone, or not heard of any more');
      this.#leavingPolls = LEAVING_POLLS;
    } catch (error) {
      signal.throwIfAborted();
      // Without the right to, `wal_sender_timeout` is what ends it.
      log.warn({ code: sqlState(error), pid, slot: slotName }, 'walsender of a silent leader was not terminated');
    }
  }
}
