import type { Messaging, UsageReporter } from '@shapecast/messaging';
import type { Params } from '@shapecast/protocol';
import type { Logger } from '@shapecast/service-kit';
import { SourceCatalog, SourceHost, type Seals, type Source } from '@shapecast/sources';
import type { HealthStatus } from '../http/other-routes.ts';
import { Secrets } from '../secrets.ts';
import type { ServingOptions } from './assemble.ts';
import { decoy } from './decoy.ts';
import { HostedSource } from './hosted-source.ts';
import type { ProcessSources, SourcesReport } from './process-sources.ts';
import type { ProcessParts } from './source-api.ts';
import type { SourceFront } from './source-front.ts';

interface RegistrySourcesParts extends ProcessParts {
  readonly seals: Seals;
  readonly log: Logger;
}

interface RegistrySourcesOptions extends ServingOptions {
  /** Secrets that open every source: those of edges, which ask about tokens first. */
  readonly edgeSecrets: readonly string[];
  /** After how long without a request what serves a source is taken apart. */
  readonly sourceIdleMs: number;
}

const SWEEP_MS = 15_000;
/** For how long a source is served whose declaration is lost, until it is declared again. */
const LOST_MS = 600_000;
/** Sources that a health report names one by one. */
const MOST_NAMED = 200;

/** The sources that are declared in the registry, as many as there are. */
export class RegistrySources implements ProcessSources {
  readonly #parts: RegistrySourcesParts;
  readonly #options: RegistrySourcesOptions;
  readonly #edge: Secrets | undefined;
  readonly #unknown: SourceFront;
  readonly #host: SourceHost<HostedSource>;
  readonly #known = Promise.withResolvers<void>();
  #catalog: SourceCatalog | undefined;
  /** As they were declared last, also those whose declaration is lost. */
  readonly #declared = new Map<string, Source>();
  /** When the declarations were lost that nobody has removed. */
  readonly #lost = new Map<string, number>();
  /** There were some: that there is none was somebody's decision from then on. */
  #begun = false;
  #reporter: UsageReporter | undefined;
  /** The id of the source that requests mean which name none; computed when it is needed. */
  #only: { readonly id: string | undefined; readonly unreadable: number } | undefined;

  constructor(parts: RegistrySourcesParts, options: RegistrySourcesOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#edge = options.edgeSecrets.length === 0 ? undefined : new Secrets(options.edgeSecrets);
    this.#unknown = decoy(parts.clock, this.#edge, parts.telemetry);
    const { clock, log } = parts;
    this.#host = new SourceHost({ create: (source) => this.#create(source), clock, log });
  }

  async follow(): Promise<void> {}

  async connected(messaging: Messaging, reporter: UsageReporter, signal: AbortSignal): Promise<void> {
    const { clock, log, seals } = this.#parts;
    this.#reporter = reporter;
    const catalog = new SourceCatalog({ registries: messaging.registries, seals, clock, log });
    this.#catalog = catalog;
    const following = catalog.follow((id, source) => this.#take(id, source), signal);
    void catalog.read.then(() => this.#known.resolve());
    const sweepMs = Math.min(SWEEP_MS, this.#options.sourceIdleMs);
    while (!signal.aborted) {
      await clock.sleep(sweepMs, signal).catch(() => undefined);
      this.#sweep();
    }
    await following;
    await this.#host.stop();
  }

  of(query: Params, signal: () => AbortSignal): SourceFront | Promise<SourceFront | undefined> {
    if (this.#catalog?.known !== true) return this.#whenKnown(query, signal());
    return this.#find(query['source_id']) ?? Promise.resolve(undefined);
  }

  async health(asked: unknown): Promise<HealthStatus | undefined> {
    const { clock } = this.#parts;
    const given = new AbortController();
    const cancel = clock.after(this.#options.readyTimeoutMs, () => given.abort(new Error('it takes too long')));
    try {
      if (this.#catalog?.known !== true) await this.#whenKnown({}, given.signal);
      if (asked === undefined) return this.able ? 'active' : 'starting';
      // Whether there is such a source cannot be said yet.
      if (this.#catalog?.known !== true) return 'starting';
      const front = this.#find(asked);
      if (front === this.#unknown) return undefined;
      const api = this.#host.get(asked as string)?.api;
      await api?.service(() => given.signal);
      return api?.status() ?? 'starting';
    } finally {
      cancel();
    }
  }

  drain(spreadMs: number): void {
    for (const { component } of this.#host.places()) component?.api.drain(spreadMs);
  }

  get able(): boolean {
    return (
      this.#catalog?.known === true && this.#parts.messaging()?.connected() === true && this.#parts.store.connected()
    );
  }

  report(): SourcesReport {
    const { pool, processes } = this.#parts;
    const states: Record<string, number> = {};
    for (const { settings } of this.#declared.values()) {
      states[settings.state] = (states[settings.state] ?? 0) + 1;
    }
    const problems: Record<string, string> = Object.fromEntries(this.#catalog?.unreadable ?? []);
    const serving: Record<string, object> = {};
    let [held, inProgress, named] = [0, 0, 0];
    for (const { id, component, problem } of this.#host.places()) {
      if (problem !== undefined) problems[id] = problem;
      const api = component?.api;
      const assembled = api?.assembled;
      inProgress += api?.inProgress ?? 0;
      if (api === undefined || assembled === undefined) continue;
      held += assembled.hub.held;
      named += 1;
      if (named > MOST_NAMED) continue;
      const incarnation = assembled.source.record?.incarnation;
      serving[id] = { status: api.status(), missing: api.missing, incarnation, ...api.usage() };
    }
    return {
      status: this.able ? 'active' : 'starting',
      sources: { declared: states, lost: this.#lost.size, serving: named, problems },
      serving,
      apiProcesses: processes(),
      ...{ held, inProgress, permits: pool.used },
    };
  }

  async #whenKnown(query: Params, signal: AbortSignal): Promise<SourceFront | undefined> {
    const given = new AbortController();
    const patience = this.#parts.clock.sleep(this.#options.readyTimeoutMs, AbortSignal.any([signal, given.signal]));
    await Promise.race([this.#known.promise, patience.catch(() => undefined)]);
    given.abort();
    return this.#catalog?.known === true ? this.#find(query['source_id']) : undefined;
  }

  /** Nothing: it is there, and cannot be served by this process. */
  #find(asked: unknown): SourceFront | undefined {
    const catalog = this.#catalog as SourceCatalog;
    const id = asked === undefined ? this.#theOnly(catalog) : asked;
    if (typeof id !== 'string') return this.#begun ? this.#unknown : undefined;
    const source = this.#declared.get(id);
    // An installation without any source is one in which they have not been declared yet.
    if (source === undefined) return catalog.unreadable.has(id) || !this.#begun ? undefined : this.#unknown;
    return isServed(source) ? this.#host.get(id)?.api : this.#unknown;
  }

  #theOnly(catalog: SourceCatalog): string | undefined {
    const unreadable = catalog.unreadable.size;
    if (this.#only?.unreadable !== unreadable) {
      const ids = new Set(catalog.unreadable.keys());
      for (const [id, source] of this.#declared) if (isServed(source)) ids.add(id);
      const [id] = ids;
      this.#only = { id: ids.size === 1 ? id : undefined, unreadable };
    }
    return this.#only.id;
  }

  #take(id: string, source: Source | undefined): void {
    this.#begun = true;
    const known = this.#declared.get(id);
    if (source === undefined && known !== undefined && isServed(known)) {
      // Its removal would have been told first: the registry has lost it. A 401 would be final for its clients.
      this.#lost.set(id, this.#parts.clock.now());
      this.#parts.log.warn({ source: id }, 'declaration of a source is lost, it is served as it was for a while');
      return;
    }
    this.#lost.delete(id);
    this.#become(id, source);
  }

  #become(id: string, source: Source | undefined): void {
    this.#only = undefined;
    if (source === undefined) this.#declared.delete(id);
    else this.#declared.set(id, source);
    const served = source !== undefined && isServed(source);
    // Before the work on it goes on in its own time: from now on nobody is answered.
    if (!served) this.#host.get(id)?.gone();
    this.#host.set(id, served ? source : undefined);
    if (!served) this.#parts.cache.forget(id);
  }

  #create(source: Source): HostedSource {
    const { log } = this.#parts;
    const reporter = this.#reporter as UsageReporter;
    return new HostedSource(
      { ...this.#parts, log: log.child({ source: source.settings.id }), reporter, edge: this.#edge },
      this.#options,
      source,
    );
  }

  #sweep(): void {
    const now = this.#parts.clock.now();
    for (const [id, since] of this.#lost) {
      if (now - since < LOST_MS) continue;
      this.#lost.delete(id);
      this.#become(id, undefined);
    }
    for (const { component } of this.#host.places()) {
      if (component !== undefined && component.api.idleMs > this.#options.sourceIdleMs) void component.api.rest();
    }
  }
}

/** The others are as if they were not there. */
function isServed({ settings: { state } }: Source): boolean {
  return state === 'active' || state === 'paused' || state === 'draining';
}
