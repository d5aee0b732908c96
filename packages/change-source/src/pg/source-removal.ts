import type { Clock, Logger } from '@shapecast/service-kit';
import { LazyPool } from './lazy-pool.ts';
import { PgServer, type PgServerOptions } from './server.ts';
import { readPublication } from './sql/publication.ts';
import { dropOwnSlot, dropPublication, terminateSlotUser } from './sql/removal.ts';
import { readDatabaseName } from './sql/checks.ts';
import { readSlot } from './sql/slot.ts';

const ACQUIRE_TIMEOUT_MS = 10_000;

export interface SourceRemovalOptions {
  readonly url: string;
  readonly slotName: string;
  readonly publicationName: string;
  readonly connection?: PgServerOptions;
}

/** What a source has in its database. */
export interface SourceRemains {
  readonly publication: boolean;
  readonly slot: boolean;
  /** Backend that reads from the slot. */
  readonly walSenderPid: number | undefined;
}

/**
 * Takes a source out of its database (spec R 6.1.1). Each step can be repeated and finds its work done. The publication goes
 * first: a replicator that starts meanwhile has to make both anew, and so cannot go on with half of the old.
 */
export class SourceRemoval {
  readonly #admin: LazyPool;
  readonly #slotName: string;
  readonly #publicationName: string;

  /** Throws INVALID_CONFIG. Connects when first used. */
  constructor(deps: { readonly clock: Clock; readonly log: Logger }, options: SourceRemovalOptions) {
    this.#slotName = options.slotName;
    this.#publicationName = options.publicationName;
    this.#admin = new LazyPool(new PgServer(options.url, options.connection ?? {}, deps), {
      maxConnections: 1,
      acquireTimeoutMs: ACQUIRE_TIMEOUT_MS,
      applicationName: 'shapecast removal',
      ownSession: true,
      clock: deps.clock,
    });
  }

  async look(signal: AbortSignal): Promise<SourceRemains> {
    return this.#admin.use(signal, async (db) => {
      const found = await readSlot(db, this.#slotName);
      const slot = found?.database === (await readDatabaseName(db)) ? found : undefined;
      const publication = (await readPublication(db, this.#publicationName)) !== undefined;
      return { publication, slot: slot !== undefined, walSenderPid: slot?.activePid };
    });
  }

  async dropPublication(signal: AbortSignal): Promise<void> {
    await this.#admin.use(signal, (db) => dropPublication(db, this.#publicationName));
  }

  /** Ends whoever reads from it first. Throws while that one is still there: repeat. */
  async dropSlot(signal: AbortSignal): Promise<void> {
    await this.#admin.use(signal, async (db) => {
      await terminateSlotUser(db, this.#slotName);
      await dropOwnSlot(db, this.#slotName);
    });
  }

  close(): void {
    this.#admin.close();
  }
}
