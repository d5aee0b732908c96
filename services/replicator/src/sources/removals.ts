import { SourceRemoval, type SourceRemains } from '@shapecast/change-source';
import { isShapecastError, ShapecastError } from '@shapecast/errors';
import { readInstallationId, type Messaging, type Registry } from '@shapecast/messaging';
import { Backoff, databaseConnection, type Clock, type Environment, type Logger } from '@shapecast/service-kit';
import type { ShapeStore } from '@shapecast/shape-store';
import { sourceEnvironment, type DeclaredSources, type Source } from '@shapecast/sources';
import { parseReplicatorConfig } from '../config.ts';
import { removeSource } from '../remove-source.ts';

interface RemovalDeps {
  readonly messaging: Messaging;
  readonly declared: DeclaredSources;
  /** Without it what the sources have in the store stays. */
  readonly store: Pick<ShapeStore, 'sweepOrphans' | 'readHome' | 'forgetHome'> | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

interface RemovalOptions {
  /** Name of this process. */
  readonly holder: string;
  readonly env: Environment;
}

/** Registry bucket with expiry: key is the source id. One process removes a source, and whoever goes on has it begin anew. */
const CLAIMS = { name: 'shapecast_source_removals', ttlMs: 10_000 } as const;
const RENEW_MS = 2_500;
const NO_DATABASE = '3D000';
const FOREIGN_STORE =
  'This replicator reaches the Redis of another installation: set SHAPECAST_REDIS_URL to the one that the routers of this cluster use.';

interface ClaimRecord {
  readonly v: 1;
  readonly holder: string;
}

interface Job {
  readonly abort: AbortController;
  readonly done: Promise<void>;
  problem: string | undefined;
}

/** Carries out removals of sources: from the database, NATS and Redis, and at last from what is declared (spec R 6.1.1, O 4.2). */
export class Removals {
  readonly #deps: RemovalDeps;
  readonly #options: RemovalOptions;
  readonly #jobs = new Map<string, Job>();

  constructor(deps: RemovalDeps, options: RemovalOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  get ids(): readonly string[] {
    return [...this.#jobs.keys()];
  }

  has(id: string): boolean {
    return this.#jobs.has(id);
  }

  /** Why a removal is not done yet. */
  problem(id: string): string | undefined {
    return this.#jobs.get(id)?.problem;
  }

  /** Goes on until the source is removed. */
  begin(source: Source): void {
    const { id } = source.settings;
    if (this.#jobs.has(id)) return;
    const abort = new AbortController();
    const done = Promise.withResolvers<void>();
    const job: Job = { abort, done: done.promise, problem: undefined };
    this.#jobs.set(id, job);
    void this.#run(source, job)
      .catch((err: unknown) => this.#deps.log.debug({ err, source: id }, 'a removal was left to others'))
      .finally(() => {
        this.#jobs.delete(id);
        done.resolve();
      });
  }

  /** It is not to be removed any more, or not by this process. Resolves once nothing is done to it. */
  async end(id: string): Promise<void> {
    const job = this.#jobs.get(id);
    job?.abort.abort(new Error('the removal is not for this process to carry out'));
    await job?.done;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#jobs.keys()].map((id) => this.end(id)));
  }

  async #run(source: Source, job: Job): Promise<void> {
    const { clock, log, messaging } = this.#deps;
    const { id } = source.settings;
    const backoff = new Backoff(clock, { minMs: 250, maxMs: 10_000 });
    const { signal } = job.abort;
    const claims = await messaging.registries.open<ClaimRecord>(CLAIMS.name, { ttlMs: CLAIMS.ttlMs });
    for (;;) {
      signal.throwIfAborted();
      try {
        if (await this.#claim(claims, id)) {
          await this.#remove(source, claims, signal);
          log.info({ source: id }, 'the source is removed');
          return;
        }
        job.problem = 'Another replicator removes it.';
      } catch (err) {
        if (signal.aborted) throw err;
        job.problem = isShapecastError(err) ? err.message : 'an unexpected error, see the log of the replicator';
        log.warn({ err, source: id }, 'the source is not removed yet, trying again');
      }
      await backoff.wait(signal);
    }
  }

  async #remove(source: Source, claims: Registry<ClaimRecord>, signal: AbortSignal): Promise<void> {
    const { clock, log, messaging, store, declared } = this.#deps;
    const { id } = source.settings;
    const config = parseReplicatorConfig(sourceEnvironment(source, this.#options.env));
    const { databaseUrl: url, slotName, publicationName, manualPublishing } = config;
    const bound = { clock, log: log.child({ source: id }) };
    const removal = new SourceRemoval(bound, {
      url,
      slotName,
      publicationName,
      connection: databaseConnection(config),
    });
    const lost = new AbortController();
    const ending = AbortSignal.any([signal, lost.signal]);
    const renewing = this.#renew(claims, id, lost, ending);
    try {
      await this.#requireOwnStore(id, ending);
      const database = unlessGone(removal);
      await removeSource({ ...bound, database, messaging, store }, { sourceId: id, manualPublishing }, ending);
      ending.throwIfAborted();
      await declared.forget(id);
    } finally {
      removal.close();
      lost.abort(new Error('the removal has ended'));
      await renewing;
      await claims.delete(id).catch(() => undefined);
    }
  }

  /** One that was mixed up has sources of the same names (ADR 25). */
  async #requireOwnStore(id: string, signal: AbortSignal): Promise<void> {
    const { store, messaging, clock, log } = this.#deps;
    const home = await store?.readHome(id);
    if (home === undefined) return;
    const own = await readInstallationId({ clock, log, registries: messaging.registries }, signal);
    if (home.installation !== own) throw new ShapecastError('NOT_READY', FOREIGN_STORE);
  }

  /** False when another process has it. */
  async #claim(claims: Registry<ClaimRecord>, id: string): Promise<boolean> {
    const record: ClaimRecord = { v: 1, holder: this.#options.holder };
    const before = await claims.get(id);
    if (before === undefined) return (await claims.create(id, record)) !== undefined;
    return before.value.holder === record.holder && (await claims.update(id, record, before.revision)) !== undefined;
  }

  async #renew(claims: Registry<ClaimRecord>, id: string, lost: AbortController, signal: AbortSignal): Promise<void> {
    let renewedAt = this.#deps.clock.now();
    while (!signal.aborted) {
      await this.#deps.clock.sleep(RENEW_MS, signal).catch(() => undefined);
      if (signal.aborted) return;
      try {
        if (!(await this.#claim(claims, id))) return lost.abort(new Error('another replicator has the removal'));
        renewedAt = this.#deps.clock.now();
      } catch {
        if (this.#deps.clock.now() - renewedAt > CLAIMS.ttlMs - RENEW_MS)
          return lost.abort(new Error('the claim expires'));
      }
    }
  }
}

/** In a database that is gone nothing is left. */
function unlessGone(removal: SourceRemoval): Pick<SourceRemoval, 'look' | 'dropPublication' | 'dropSlot'> {
  const nothing: SourceRemains = { publication: false, slot: false, walSenderPid: undefined };
  const or = async <T>(work: Promise<T>, otherwise: T): Promise<T> => {
    try {
      return await work;
    } catch (err) {
      if (err instanceof ShapecastError && err.details['code'] === NO_DATABASE) return otherwise;
      throw err;
    }
  };
  return {
    look: (signal) => or(removal.look(signal), nothing),
    dropPublication: (signal) => or(removal.dropPublication(signal), undefined),
    dropSlot: (signal) => or(removal.dropSlot(signal), undefined),
  };
}
