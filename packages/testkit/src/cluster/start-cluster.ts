import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, type LocalPostgresOptions } from '@shapecast/local-postgres';
import { PROJECT_ROOT } from '../install/project-root.ts';
import { startEdge, type EdgeKind } from '../servers/edge.ts';
import { startNats } from '../servers/nats.ts';
import { startPostgres } from '../servers/postgres.ts';
import { startRedis } from '../servers/redis.ts';
import type { TestServer } from '../servers/server-process.ts';
import { waitFor } from '../wait-for.ts';
import { startLoadBalancer, type LoadBalancer } from './load-balancer.ts';
import { isLeading, notReady } from './readiness.ts';
import { serviceEnvironment } from './service-environment.ts';
import { ServiceProcess, type ClusterProcess, type ServiceRole } from './service-process.ts';

export interface ClusterOptions {
  /** Number of processes. Default 2 of each. */
  readonly routers?: number;
  readonly apis?: number;
  readonly replicators?: number;
  /** Servers to use instead of starting our own. */
  readonly databaseUrl?: string;
  readonly natsUrl?: string;
  readonly redisUrl?: string;
  /** For the Postgres server, where we start it. */
  readonly postgres?: LocalPostgresOptions;
  /** Loopback port of the load balancer; a free one when unset. */
  readonly port?: number;
  /** A caching proxy before the load balancer, with the configuration of `deploy/edge`. */
  readonly edge?: EdgeKind;
  /** For the services, on top of the SHAPECAST_* and ELECTRIC_* variables of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** Start a service again that died. Default true. */
  readonly autoRestart?: boolean;
  /** Folder for one log file per process; a temporary one when unset. */
  readonly logDir?: string;
  /** Gets every line the services write, instead of the log files. */
  readonly onLog?: (name: string, line: string) => void;
  /** Hears of progress and of processes that came or went, one sentence each. */
  readonly onEvent?: (event: string) => void;
  /** File to run for a role instead of the service's main.ts. */
  readonly entries?: Partial<Readonly<Record<ServiceRole, string>>>;
  /** Abandons the start and stops what runs already. */
  readonly signal?: AbortSignal;
}

/** A server the cluster started for itself. */
export interface ClusterServer extends TestServer {
  readonly name: string;
  readonly role: 'postgres' | 'nats' | 'redis' | 'edge';
}

/** A whole installation on this machine: servers, service processes and a load balancer before the API. */
export interface Cluster {
  /** The load balancer. */
  readonly url: string;
  /** The caching proxy before the load balancer, where one was asked for. */
  readonly edgeUrl: string | undefined;
  readonly databaseUrl: string;
  readonly natsUrl: string;
  readonly redisUrl: string;
  readonly processes: readonly ClusterProcess[];
  /** Those we started; none where a URL was given. */
  readonly servers: readonly ClusterServer[];
  readonly logDir: string;
  process(name: string): ClusterProcess;
  server(role: ClusterServer['role']): ClusterServer;
  /** Name of the replicator that leads; waits until there is one. */
  leader(): Promise<string>;
  /** Resolves once every API and router is ready and a replicator leads. */
  waitReady(): Promise<void>;
  /** Ends everything and removes its data. A second call is a no-op. */
  stop(): Promise<void>;
}

const READY_TIMEOUT_MS = 120_000;
/** A service that keeps dying at its start will not get better by waiting. */
const HOPELESS_DEATHS = 5;

/** Starts the servers that were not given, the services and the load balancer; resolves once all of it is ready. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const cluster = new RunningCluster(options);
  try {
    await cluster.start();
    await cluster.waitReady();
    return cluster;
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

class RunningCluster implements Cluster {
  databaseUrl = '';
  natsUrl = '';
  redisUrl = '';
  logDir = '';
  readonly servers: ClusterServer[] = [];
  readonly #options: ClusterOptions;
  #processes: readonly ServiceProcess[] = [];
  #balancer: LoadBalancer | undefined;
  #stopped: Promise<void> | undefined;

  constructor(options: ClusterOptions) {
    this.#options = options;
  }

  get url(): string {
    return this.#balancer?.url ?? '';
  }

  get edgeUrl(): string | undefined {
    return this.servers.find((server) => server.role === 'edge')?.url;
  }

  get processes(): readonly ClusterProcess[] {
    return this.#processes;
  }

  async start(): Promise<void> {
    const { logDir, signal } = this.#options;
    this.logDir = logDir ?? (await mkdtemp(join(tmpdir(), 'shapecast-logs-')));
    await mkdir(this.logDir, { recursive: true });
    const { databaseUrl, natsUrl, redisUrl, postgres } = this.#options;
    const started = await Promise.allSettled([
      databaseUrl ?? this.#serve('postgres', () => startPostgres(postgres)),
      natsUrl ?? this.#serve('nats', startNats),
      redisUrl ?? this.#serve('redis', startRedis),
    ]);
    const urls = started.map((result) => {
      if (result.status === 'rejected') throw result.reason;
      return result.value;
    });
    [this.databaseUrl, this.natsUrl, this.redisUrl] = urls as [string, string, string];
    signal?.throwIfAborted();
    this.#processes = await this.#plan();
    const apis = this.#processes.filter((process) => process.role === 'api');
    this.#balancer = await startLoadBalancer({
      targets: apis.map((api) => api.url),
      healthPath: '/v1/health',
      ...(this.#options.port === undefined ? {} : { port: this.#options.port }),
    });
    const origin = this.#balancer.url;
    const { edge } = this.#options;
    await Promise.all([
      ...this.#processes.map((process) => process.start()),
      ...(edge === undefined ? [] : [this.#serve('edge', () => startEdge({ kind: edge, origin }), edge)]),
    ]);
  }

  process(name: string): ClusterProcess {
    const found = this.#processes.find((process) => process.name === name);
    if (found === undefined)
      throw new Error(`no process ${name}; there are ${this.#processes.map((p) => p.name).join(', ')}`);
    return found;
  }

  server(role: ClusterServer['role']): ClusterServer {
    const found = this.servers.find((server) => server.role === role);
    if (found === undefined) throw new Error(`the cluster uses a ${role} server that it did not start`);
    return found;
  }

  async leader(): Promise<string> {
    const replicators = this.#processes.filter((process) => process.role === 'replicator');
    const find = async (): Promise<string | undefined> => {
      const leading = await Promise.all(replicators.map(isLeading));
      return replicators.find((_replicator, i) => leading[i])?.name;
    };
    return waitFor(find, { timeoutMs: READY_TIMEOUT_MS, intervalMs: 50, describe: () => 'no replicator leads' });
  }

  async waitReady(): Promise<void> {
    let missing: readonly string[] = [];
    const ready = async (): Promise<boolean> => {
      this.#options.signal?.throwIfAborted();
      const lost = this.#processes.find((process) => process.deaths >= HOPELESS_DEATHS);
      if (lost !== undefined) throw new Error(`${lost.name} keeps ending. It wrote:\n${await lost.logTail()}`);
      const now = await notReady(this.#processes);
      if (now.length > 0 && now.join() !== missing.join()) this.#options.onEvent?.(`waiting: ${now.join('; ')}`);
      missing = now;
      return now.length === 0;
    };
    try {
      const timeoutMs = READY_TIMEOUT_MS;
      await waitFor(ready, { timeoutMs, intervalMs: 50, describe: () => `not ready: ${missing.join('; ')}` });
      // It may have looked last when one of them was not.
      await this.#balancer?.check();
    } catch (error) {
      if (!missing.length || this.#options.signal?.aborted) throw error;
      const culprit = this.#processes.find((process) => missing.some((line) => line.startsWith(`${process.name} `)));
      const tail = (await (culprit ?? this.#processes[0])?.logTail()) ?? '';
      throw new Error(`${(error as Error).message}\n${culprit?.name ?? 'the first process'} wrote:\n${tail}`, {
        cause: error,
      });
    }
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  /** From the outside in: what takes requests goes first, and what holds data last. */
  async #stop(): Promise<void> {
    const edges = this.servers.filter((server) => server.role === 'edge');
    await Promise.all(edges.map((server) => server.stop()));
    await this.#balancer?.stop();
    await Promise.all(this.#processes.map((process) => process.stop()));
    await Promise.all(this.servers.map((server) => server.stop()));
    if (this.#options.logDir === undefined && this.logDir !== '')
      await rm(this.logDir, { recursive: true, force: true });
  }

  /** The handle's getters must stay live, so it is extended and not copied. */
  async #serve(role: ClusterServer['role'], start: () => Promise<TestServer>, name: string = role): Promise<string> {
    const server = Object.assign(await start(), { name, role });
    this.servers.push(server);
    this.#options.onEvent?.(`${name} runs at ${server.url}, pid ${server.pid}`);
    return server.url;
  }

  async #plan(): Promise<readonly ServiceProcess[]> {
    const { replicators = 2, routers = 2, apis = 2 } = this.#options;
    const wanted: readonly [ServiceRole, number][] = [
      ['replicator', replicators],
      ['router', routers],
      ['api', apis],
    ];
    const ports = new Set<number>();
    const processes: ServiceProcess[] = [];
    for (const [role, count] of wanted) {
      for (let n = 1; n <= count; n += 1) processes.push(this.#describe(role, `${role}-${n}`, await ownPort(ports)));
    }
    return processes;
  }

  #describe(role: ServiceRole, name: string, port: number): ServiceProcess {
    const { entries, env = {}, autoRestart = true, onLog, onEvent } = this.#options;
    const { databaseUrl, natsUrl, redisUrl } = this;
    return new ServiceProcess(nodeForTypeScript(), {
      name,
      role,
      entry: entries?.[role] ?? join(PROJECT_ROOT, 'services', role, 'src', 'main.ts'),
      env: serviceEnvironment({ role, name, port, databaseUrl, natsUrl, redisUrl }, { ...process.env, ...env }),
      url: `http://127.0.0.1:${port}`,
      autoRestart,
      logFile: join(this.logDir, `${name}.log`),
      temporaryDir: this.#options.logDir === undefined ? this.logDir : undefined,
      onLog,
      onChange: (event) => onEvent?.(event),
    });
  }
}

async function ownPort(taken: Set<number>): Promise<number> {
  const port = await freePort();
  if (taken.has(port)) return ownPort(taken);
  taken.add(port);
  return port;
}

/** The Node that runs us, unless it is too old for TypeScript (a test runner started by the system's Node). */
function nodeForTypeScript(): string {
  const strips = (process.features as { readonly typescript?: unknown }).typescript;
  return strips ? process.execPath : join(PROJECT_ROOT, 'node_modules', 'node', 'bin', 'node');
}
