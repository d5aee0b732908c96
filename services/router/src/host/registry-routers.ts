import type { Environment, HealthReport } from '@shapecast/service-kit';
import {
  SourceCatalog,
  sourceEnvironment,
  SourceHost,
  type Seals,
  type Source,
  type SourceComponent,
} from '@shapecast/sources';
import { parseRouterConfig, type RouterConfig } from '../config.ts';
import { SourceRouter, type SharedParts, type SourceTerms } from './source-router.ts';

interface RegistryOptions {
  /** With the key of the database URLs. */
  readonly seals: Seals;
  readonly env: Environment;
}

/** Sources that are told of one by one; with very many the rest is counted. */
const MAX_LISTED = 200;
/** Sources that something is wrong with come first, but only so many: each has a sentence. */
const MAX_PROBLEMS = 50;

/** The routers of all sources of the registry, which this process follows (spec O 4.1, 4.2). */
export class RegistryRouters {
  readonly #shared: SharedParts;
  readonly #options: RegistryOptions;
  readonly #catalog: SourceCatalog;
  readonly #host: SourceHost<HostedRouter>;
  readonly #stop = new AbortController();
  #following: Promise<void> | undefined;

  constructor(shared: SharedParts, options: RegistryOptions) {
    const { messaging, clock, log } = shared;
    this.#shared = shared;
    this.#options = options;
    this.#catalog = new SourceCatalog({ registries: messaging.registries, seals: options.seals, clock, log });
    this.#host = new SourceHost({ create: (source) => this.#create(source), clock, log });
  }

  start(): Promise<void> {
    this.#following = this.#catalog.follow((id, source) => this.#host.set(id, source), this.#stop.signal);
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('the router is stopping'));
    await this.#following;
    await this.#host.stop();
  }

  /** Ready: the sources are known, and NATS and the store can be reached. One that is not fine is no reason for the others to wait. */
  report(): HealthReport {
    const { messaging, store, process, clock } = this.#shared;
    const listed: Record<string, object> = {};
    const problems: Record<string, string> = {};
    const sums = { sources: 0, ready: 0, owned: 0, shapes: 0, lag: 0 };
    for (const { id, component, problem } of this.#host.places()) {
      sums.sources += 1;
      const brief = component?.brief();
      if (brief) {
        sums.ready += brief.ready ? 1 : 0;
        sums.owned += brief.owned;
        sums.shapes += brief.shapes;
        sums.lag = Math.max(sums.lag, brief.lag);
      }
      const wrong = problem ?? brief?.lastError;
      if (wrong !== undefined && Object.keys(problems).length < MAX_PROBLEMS) problems[id] = wrong;
      if (Object.keys(listed).length < MAX_LISTED) listed[id] = brief ?? { ready: false, status: 'stopped' };
    }
    for (const [id, problem] of this.#catalog.unreadable) {
      if (Object.keys(problems).length < MAX_PROBLEMS) problems[id] = problem;
    }
    const connected = messaging.connected() && store.connected();
    const ready = connected && this.#catalog.known && process.heartbeat.current;
    return {
      ready,
      status: !ready ? 'starting' : sums.ready < sums.sources ? 'taking over' : 'active',
      messaging: messaging.connected(),
      store: store.connected(),
      sourcesKnown: this.#catalog.known,
      totals: sums,
      sources: listed,
      sourcesLeftOut: Math.max(0, sums.sources - MAX_LISTED),
      problems,
      turnsWaiting: process.turns.waiting,
      snapshots: { running: process.snapshots.running, waiting: process.snapshots.waiting },
      subsets: { running: process.subsets.running, waiting: process.subsets.waiting },
      prefetchShare: process.memory.share,
      at: new Date(clock.now()).toISOString(),
    };
  }

  #create(source: Source): HostedRouter | undefined {
    const { state } = source.settings;
    if (state !== 'active' && state !== 'draining') return undefined;
    const { env } = this.#options;
    const settingsOf = (of: Source) => parseRouterConfig(sourceEnvironment(of, env));
    return new HostedRouter(this.#shared, source, settingsOf);
  }
}

/** The router of one source, as `SourceHost` runs it. */
class HostedRouter implements SourceComponent {
  readonly name = 'router of a source';
  readonly #router: SourceRouter;
  readonly #settingsOf: (source: Source) => RouterConfig;
  readonly #forget: () => void;

  /** `settingsOf` throws INVALID_CONFIG. */
  constructor(shared: SharedParts, source: Source, settingsOf: (source: Source) => RouterConfig) {
    this.#settingsOf = settingsOf;
    const config = settingsOf(source);
    this.#forget = () => shared.telemetry.forgetSource(config.sourceId);
    this.#router = new SourceRouter(shared, config, { terms: termsOf(source), unhurried: true });
  }

  start(signal: AbortSignal): Promise<void> {
    return this.#router.start(signal);
  }

  async stop(): Promise<void> {
    await this.#router.stop();
    // If it is to run again, it is counted from the beginning.
    this.#forget();
  }

  /** Settings that are wrong leave it as it is. */
  update(source: Source): boolean {
    const { state } = source.settings;
    if (state !== 'active' && state !== 'draining') return false;
    return this.#router.adjust(this.#settingsOf(source), termsOf(source));
  }

  brief() {
    return this.#router.brief();
  }
}

function termsOf({ settings }: Source): SourceTerms {
  return { draining: settings.state === 'draining', redisBytes: settings.limits.redisBytes };
}
