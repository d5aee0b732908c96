import type { SourceDatabase } from '@shapecast/change-source';
import { isShapecastError } from '@shapecast/errors';
import type { Clock, ConditionBoard, ConditionName } from '@shapecast/service-kit';

const CHECK_MS = 10_000;
const RECHECK_MS = 2_000;

/** By which pool of the database each call is served. */
const POOLS: Readonly<Record<string, ConditionName>> = {
  introspect: 'admin_connection_pool_ready',
  publish: 'admin_connection_pool_ready',
  progress: 'admin_connection_pool_ready',
  readTables: 'admin_connection_pool_ready',
  snapshot: 'snapshot_connection_pool_ready',
  subset: 'snapshot_connection_pool_ready',
};

/** Whether connections to the database can be had, told from how its use ends (spec O 1.2.5). */
export class PoolConditions {
  /** The database, watched. */
  readonly database: SourceDatabase;
  readonly #clock: Clock;
  readonly #board: ConditionBoard;

  constructor(database: SourceDatabase, parts: { readonly clock: Clock; readonly board: ConditionBoard }) {
    this.#clock = parts.clock;
    this.#board = parts.board;
    this.database = new Proxy(database, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        const call = value.bind(target) as (...args: readonly unknown[]) => unknown;
        const pool = typeof name === 'string' ? POOLS[name] : undefined;
        return pool === undefined ? call : (...args: readonly unknown[]) => this.#watched(pool, call(...args));
      },
    });
    for (const pool of new Set(Object.values(POOLS))) this.#board.set(pool, false);
  }

  /** Asks the database for next to nothing now and then, so that its loss shows while nobody needs it. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.database.progress(signal).catch(() => undefined);
      const ok = this.#board.get('admin_connection_pool_ready')?.ok === true;
      await this.#clock.sleep(ok ? CHECK_MS : RECHECK_MS, signal).catch(() => undefined);
    }
  }

  #watched(pool: ConditionName, outcome: unknown): unknown {
    if (!(outcome instanceof Promise)) return outcome;
    return outcome.then(
      (value: unknown) => {
        this.#set(pool, true);
        return value;
      },
      (err: unknown) => {
        // Any other failure came over a connection.
        if (isShapecastError(err, 'SOURCE_UNAVAILABLE')) this.#set(pool, false, err.message);
        throw err;
      },
    );
  }

  #set(pool: ConditionName, ok: boolean, error?: string): void {
    this.#board.set(pool, ok, error);
    // Until a snapshot is taken, the other pool is what there is to go by.
    const snapshots = 'snapshot_connection_pool_ready';
    if (pool !== snapshots && !this.#used.has(snapshots)) this.#board.set(snapshots, ok, error);
    this.#used.add(pool);
  }

  readonly #used = new Set<ConditionName>();
}
