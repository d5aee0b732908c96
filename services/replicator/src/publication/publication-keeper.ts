import type { PublicationCheck, PublishedTable, SourceDatabase, TableToPublish } from '@shapecast/change-source';
import { isShapecastError } from '@shapecast/errors';
import { ddlHintSubject, type Hints, type Registries } from '@shapecast/messaging';
import type { Clock, Logger } from '@shapecast/service-kit';
import { Linger } from './linger.ts';
import { Complaints } from './complaints.ts';
import { TableUsage, type Usage } from './table-usage.ts';

interface PublicationKeeperDeps {
  readonly database: Pick<SourceDatabase, 'publish' | 'publication'>;
  readonly registries: Registries;
  readonly hints: Pick<Hints, 'subscribe'>;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface PublicationKeeperOptions {
  readonly sourceId: string;
  readonly incarnation: number;
  readonly shards: number;
  /** How often everything is verified (spec R 7.7). */
  readonly publicationRefreshMs: number;
  /** How long a table stays published without shapes (spec R 7.11). */
  readonly unpublishLingerMs: number;
  /** The publication is looked after by hand (spec R 7.9). */
  readonly manualPublishing: boolean;
}

/** Between looks for tables whose changes Postgres refuses the application. */
const HARM_INTERVAL_MS = 5_000;
/** How long a shard may go untold of before somebody should look. */
const UNKNOWN_WARNING_MS = 600_000;

/**
 * Looks after the publication while this process leads (spec R 7): verifies it now and then against the catalog and never against
 * memory, puts right what is ours to put right, says what is not, and takes out tables that have had no shapes for long.
 *
 * Nothing is lost where it takes out a table too early. A shape is registered first, then its table is published, and then its
 * snapshot is taken, which tells by which membership the table is published in it; one that shows another membership than the
 * one vouched for is not used. A removal before the snapshot thus has the table published again, and one after it, which
 * takes that neither the request nor the owner's report was seen for the whole linger, is found by the owner's
 * `PublicationWatch`, which ends the shape.
 */
export class PublicationKeeper {
  readonly #deps: PublicationKeeperDeps;
  readonly #options: PublicationKeeperOptions;
  readonly #usage: TableUsage;
  readonly #linger: Linger;
  readonly #complaints: Complaints;
  readonly #restrictions: Complaints;
  #known: Usage | undefined;
  #unknownSince: number | undefined;
  /** The last verification found nothing. */
  #clean = false;
  /** And that was said. */
  #told = false;
  #wake: (() => void) | undefined;
  #poked = false;

  constructor(deps: PublicationKeeperDeps, options: PublicationKeeperOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#usage = new TableUsage(deps.registries, { ...options, source: options.sourceId });
    this.#linger = new Linger(options.unpublishLingerMs);
    this.#complaints = new Complaints(deps);
    this.#restrictions = new Complaints(deps);
  }

  /** What an operator has to put right, one sentence; undefined while there is nothing. */
  get problem(): string | undefined {
    return this.#complaints.first;
  }

  /** As of `SourceDatabase`. The table stays for another linger. */
  async publish(table: TableToPublish, signal: AbortSignal): Promise<string> {
    this.#linger.requested(table.oid);
    const gapClosedFor = this.#known?.tables.get(table.oid);
    try {
      return await this.#deps.database.publish(gapClosedFor ? { ...table, gapClosedFor } : table, signal);
    } finally {
      this.#linger.requested(table.oid);
    }
  }

  /** Keeps it until `signal` aborts. Failures are told and tried again, and nobody waits for any of it (spec R 7.14). */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, hints, log } = this.#deps;
    const { sourceId, publicationRefreshMs } = this.#options;
    const stop = hints.subscribe(
      ddlHintSubject(sourceId),
      () => this.#poke(),
      () => undefined,
    );
    try {
      while (!signal.aborted) {
        try {
          await this.verify(signal);
        } catch (err) {
          if (signal.aborted) return;
          this.#clean = false;
          log.warn({ err }, 'the publication could not be verified, trying again');
        }
        const until = clock.now() + publicationRefreshMs;
        await this.#pause(until, signal);
      }
    } finally {
      stop();
    }
  }

  /** Verifies once, and does what is due. */
  async verify(signal: AbortSignal): Promise<void> {
    const usage = await this.#readUsage();
    const used = [...(usage?.tables.keys() ?? [])];
    const check = await this.#deps.database.publication.verify(used, signal);
    const complaints = check.problem === undefined ? [] : [check.problem];
    this.#restrictions.set(check.restriction === undefined ? [] : [check.restriction]);
    if (check.incomplete)
      await this.#attempt('publication', () => this.#deps.database.publication.complete(signal), signal);
    for (const { message, harmful, ...table } of check.flaws) {
      if (harmful) {
        complaints.push(message ?? '');
        await this.#takeOut(table, () => true, signal);
      } else if (message === undefined) {
        await this.#attempt(`${table.schema}.${table.name}`, () => this.#deps.database.publish(table, signal), signal);
      } else complaints.push(message);
    }
    this.#complaints.set(complaints);
    this.#clean = complaints.length === 0 && !check.incomplete && check.flaws.length === 0;
    if (!this.#clean) this.#told = false;
    else if (usage?.unknown.length === 0) this.#tellVerified(used.length);
    await this.#removeUnused(check, usage, signal);
  }

  async #removeUnused(check: PublicationCheck, usage: Usage | undefined, signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    if (usage === undefined || usage.unknown.length > 0) {
      this.#linger.forget();
      return;
    }
    if (this.#options.manualPublishing || check.publication !== 'owned') return;
    const due = this.#linger.observe(check.unneeded, clock.now());
    if (due.length === 0) return;
    // What was said a moment ago may be older than a shape that was made since.
    const now = await this.#readUsage();
    if (now === undefined || now.unknown.length > 0) return;
    const stillUnneeded = await this.#deps.database.publication.verify([...now.tables.keys()], signal);
    const oids = new Set(stillUnneeded.unneeded.map(({ oid }) => oid));
    for (const table of due) {
      if (!oids.has(table.oid)) continue;
      await this.#takeOut(table, () => this.#linger.isOver(table.oid, clock.now()), signal);
    }
  }

  async #takeOut(table: PublishedTable, mayGo: () => boolean, signal: AbortSignal): Promise<void> {
    const { database, log } = this.#deps;
    const name = `${table.schema}.${table.name}`;
    await this.#attempt(
      name,
      async () => {
        const gone = await database.publication.unpublish(table, mayGo, signal);
        if (gone) log.info({ table: name }, 'table is not published any more');
      },
      signal,
    );
  }

  /** What fails is tried again with the next verification. */
  async #attempt(table: string, work: () => Promise<unknown>, signal: AbortSignal): Promise<void> {
    try {
      await work();
    } catch (err) {
      if (signal.aborted) return;
      // Locks of the application pass; no stack says more about one.
      const fields = isShapecastError(err) ? { error: err.message } : { err };
      this.#deps.log.warn({ ...fields, table }, 'the publication could not be changed, trying again');
    }
  }

  async #readUsage(): Promise<Usage | undefined> {
    const { clock, log } = this.#deps;
    try {
      this.#known = await this.#usage.read();
    } catch (err) {
      log.debug({ err }, 'tables in use cannot be read');
      this.#known = undefined;
    }
    if (this.#known?.unknown.length === 0) this.#unknownSince = undefined;
    else {
      this.#unknownSince ??= clock.now();
      if (clock.now() - this.#unknownSince >= UNKNOWN_WARNING_MS) {
        const fields = { shards: this.#known?.unknown.length };
        log.warn(fields, 'nobody tells which tables have shapes, so all stay published: are there routers?');
        this.#unknownSince = Infinity;
      }
    }
    return this.#known;
  }

  #tellVerified(tables: number): void {
    if (!this.#told) {
      this.#deps.log.info({ tables }, 'publication verified: all tables with shapes are published as they have to be');
    }
    this.#told = true;
  }

  async #pause(until: number, signal: AbortSignal): Promise<void> {
    const { clock, database, log } = this.#deps;
    for (;;) {
      const left = until - clock.now();
      if (left <= 0 || signal.aborted) return;
      await this.#sleep(Math.min(left, HARM_INTERVAL_MS), signal);
      if (this.#poked) {
        this.#poked = false;
        return;
      }
      // Where something is wrong already that cannot be put right, asking more often would not help.
      if (!this.#clean) continue;
      try {
        if (await database.publication.hasHarmful([...(this.#known?.tables.keys() ?? [])], signal)) return;
      } catch (err) {
        if (!signal.aborted) log.debug({ err }, 'harmful tables could not be looked for');
      }
    }
  }

  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    if (this.#poked) return;
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    await this.#deps.clock.sleep(ms, AbortSignal.any([signal, woken.signal])).catch(() => undefined);
    this.#wake = undefined;
  }

  /** DDL has committed. */
  #poke(): void {
    this.#poked = true;
    this.#wake?.();
  }
}
