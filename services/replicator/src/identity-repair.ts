import type { SourceDatabase } from '@shapecast/change-source';
import { isShapecastError } from '@shapecast/errors';
import type { Relation } from '@shapecast/log';
import { Backoff, type Clock, type Logger } from '@shapecast/service-kit';

interface RepairDeps {
  readonly database: Pick<SourceDatabase, 'repairReplicaIdentity'>;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Gives tables full replica identity that the stream shows without: Postgres does not hand it down to new partitions, and
 * anybody may take it away (spec R 7.6, 10.2.3). What was changed before arrives without old rows and ends shapes; this keeps
 * it from going on. One table at a time, each tried until it is done: the lock it takes may have to wait for the application.
 */
export class IdentityRepair {
  readonly #deps: RepairDeps;
  readonly #signal: AbortSignal;
  /** By oid. Bounded by the tables of the database. */
  readonly #waiting = new Map<number, Relation>();
  #running: Promise<void> | undefined;

  constructor(deps: RepairDeps, signal: AbortSignal) {
    this.#deps = deps;
    this.#signal = signal;
  }

  /** Looks at a relation that was described. */
  readonly check = (relation: Relation): void => {
    if (relation.replicaIdentity === 'f') return void this.#waiting.delete(relation.oid);
    this.#waiting.set(relation.oid, relation);
    this.#start();
  };

  /** Resolves once nothing is left to repair, or the signal has aborted. */
  async settled(): Promise<void> {
    await this.#running;
  }

  #start(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      if (this.#waiting.size > 0 && !this.#signal.aborted) this.#start();
    });
  }

  async #run(): Promise<void> {
    const { clock, database, log } = this.#deps;
    // The application's queries queue behind ours while it waits for the lock (spec R 7.4).
    const backoff = new Backoff(clock, { minMs: 5_000, maxMs: 60_000 });
    while (!this.#signal.aborted) {
      let failed = false;
      for (const [oid, relation] of [...this.#waiting]) {
        const { schema, name } = relation;
        try {
          await database.repairReplicaIdentity(oid, this.#signal);
          if (this.#waiting.get(oid) === relation) this.#waiting.delete(oid);
        } catch (err) {
          if (this.#signal.aborted) return;
          // Not ours to change: the next verification says so, as long as it is true (spec R 7.9).
          if (isShapecastError(err, 'SOURCE_MISCONFIGURED')) {
            this.#waiting.delete(oid);
            continue;
          }
          failed = true;
          log.warn({ err, schema, name }, 'replica identity could not be set to full, trying again');
        }
      }
      if (this.#waiting.size === 0) return;
      if (failed) await backoff.wait(this.#signal).catch(() => undefined);
    }
  }
}
