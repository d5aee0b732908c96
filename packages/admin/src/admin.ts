import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Messaging } from '@shapecast/messaging';
import type { Clock, Component, HealthReport, Logger } from '@shapecast/service-kit';
import type { ShapeStore } from '@shapecast/shape-store';
import { unavailable } from './admin-error.ts';
import { connectAdmin, type Connected } from './connected.ts';
import { adminApp } from './http/admin-app.ts';
import { EventStreams } from './http/event-stream.ts';
import { TokenGuard } from './http/token-guard.ts';
import type { SourcesMode } from './sources/admin-sources.ts';

export interface AdminDeps {
  /** Undefined until NATS was reached; asked again and again. */
  readonly messaging: () => Messaging | undefined;
  readonly sources: SourcesMode;
  /** Without it shapes cannot be seen. */
  readonly store?: ShapeStore | undefined;
  /** What is wrong with the sources file that this process reads; each begins with the source and the field. */
  readonly fileProblems?: (() => readonly string[]) | undefined;
  /** Serves what a `HealthServer` does, too: for a process whose health port this is. */
  readonly health?: (() => HealthReport) | undefined;
  /** Prometheus text of the process: serves `/metrics`, too. */
  readonly metrics?: (() => string) | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface AdminOptions {
  readonly host: string;
  /** 0 takes any free one. */
  readonly port: number;
  /** Any of these lets somebody in; at least one. */
  readonly tokens: readonly string[];
}

export interface Admin extends Component {
  /** Where it listens; valid after start. */
  readonly port: number;
}

/** How often NATS is looked for while it was not reached. */
const LOOK_MS = 250;
const HEADERS_MS = 10_000;
const REQUEST_MS = 30_000;
const MAX_CONNECTIONS = 500;

/**
 * The admin API and the console, on a port of their own (spec O 1.1.3, 10.1). Listens at once: while NATS was not reached it says that
 * and nothing else. Throws a plain Error without a token: then there is to be none.
 */
export function createAdmin(deps: AdminDeps, options: AdminOptions): Admin {
  if (options.tokens.length === 0) throw new Error('the admin API needs a token');
  return new AdminServer(deps, options);
}

class AdminServer implements Admin {
  readonly name = 'admin';
  readonly #deps: AdminDeps;
  readonly #options: AdminOptions;
  readonly #server: Server;
  readonly #streams = new EventStreams();
  #connected: Connected | undefined;
  #stopped = false;
  #connecting: Promise<void> = Promise.resolve();
  #cancel: (() => void) | undefined;

  constructor(given: AdminDeps, options: AdminOptions) {
    const log = given.log.child({ component: 'admin' });
    this.#deps = { ...given, log };
    this.#options = options;
    const app = adminApp({
      connected: () => this.#needConnected(),
      overview: () => this.#overview(),
      health: given.health,
      metrics: given.metrics,
      streams: this.#streams,
      guard: new TokenGuard(options.tokens, given.clock),
      log,
    });
    this.#server = createServer({ headersTimeout: HEADERS_MS, requestTimeout: REQUEST_MS }, app);
    this.#server.maxConnections = MAX_CONNECTIONS;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async start(): Promise<void> {
    const { host, port } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ port, host }, () => resolve());
    });
    this.#deps.log.info({ port: this.port }, 'admin API listens');
    this.#look();
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#cancel?.();
    this.#streams.close();
    if (this.#server.listening) {
      const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
      this.#server.closeAllConnections();
      await closed;
    }
    await this.#connecting;
    await this.#connected?.stop();
  }

  /** Until NATS was reached. From then on it is there, connected or not. */
  #look(): void {
    const messaging = this.#deps.messaging();
    if (messaging === undefined) {
      this.#cancel = this.#deps.clock.after(LOOK_MS, () => this.#look());
      return;
    }
    this.#connecting = this.#connect(messaging);
  }

  async #connect(messaging: Messaging): Promise<void> {
    const { sources: mode, store, clock, log } = this.#deps;
    const connected = await connectAdmin({ messaging, mode, store, clock, log });
    this.#connected = connected;
    connected.board.onSample(() => this.#streams.send('usage', (source) => usageEvent(connected, source)));
    connected.events.onEvent((event) =>
      this.#streams.send('state', (source) => (source === undefined || source === event.source ? event : undefined)),
    );
  }

  #needConnected(): Connected {
    if (this.#connected === undefined) {
      throw unavailable('nats_unavailable', 'NATS was not reached yet: nothing is known of any source.');
    }
    return this.#connected;
  }

  /** What can be said whatever is away. */
  async #overview() {
    const { sources, store, fileProblems } = this.#deps;
    // It connects when it is used, and nobody may have used it yet.
    if (store?.connected() === false)
      await store.readMeta({ source: '-', incarnation: 0, shard: 0 }).catch(() => undefined);
    const connected = this.#connected;
    const nats = connected?.messaging.connected() === true;
    const problems = [
      ...(nats ? [] : ['NATS is not connected: what is shown may be old, and nothing can be changed.']),
      ...(store === undefined ? ['This process has no Redis: set SHAPECAST_REDIS_URL to see shapes.'] : []),
      ...(store?.connected() === false ? ['Redis is not connected: shapes cannot be shown.'] : []),
      ...(fileProblems?.() ?? []).map((problem) => `The sources file is not taken: ${problem}.`),
    ];
    return {
      product: 'shapecast',
      mode: sources.mode,
      nats,
      store: store?.connected() ?? false,
      problems,
      processes:
        connected?.board.processes().map(({ process, role, uptimeMs, sources: some }) => ({
          ...{ process, role, uptimeMs },
          sources: some.length,
        })) ?? [],
    };
  }
}

/** Of all sources what a list shows; of one everything. */
function usageEvent({ board, messaging }: Connected, source: string | undefined): unknown {
  const nats = messaging.connected();
  if (source !== undefined) return { nats, source, ...board.sumsOf(source) };
  const ids = new Set(board.processes().flatMap(({ sources }) => sources));
  return {
    nats,
    sources: Object.fromEntries(
      [...ids].map((id) => {
        const { rates, usage, processes } = board.sumsOf(id);
        return [id, { rates, gauges: usage.gauges ?? {}, processes }];
      }),
    ),
  };
}
