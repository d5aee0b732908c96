import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, type LocalPostgresOptions } from '@shapecast/local-postgres';
import { PROJECT_ROOT } from '../install/project-root.ts';
import type { TcpProxy } from '../network/tcp-proxy.ts';
import { startEdge, type EdgeKind } from '../servers/edge.ts';
import { waitFor } from '../wait-for.ts';
import { ClusterSources, POSTGRES_FOR_SOURCES, type ClusterSource, type GivenSources } from './cluster-sources.ts';
import { ClusterServers, serverSettings, type ClusterServer, type RedisKind } from './cluster-servers.ts';
import { Links, type LinkedService } from './links.ts';
import { startLoadBalancer, type LoadBalancer, type Traffic } from './load-balancer.ts';
import { isLeading, notReady, problemOf, reportsLeading } from './readiness.ts';
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
  /** NATS servers, where we start them: one, or three that replicate to each other. Default 1. */
  readonly nats?: 1 | 3;
  /** The kind of Redis, where we start it. Default `single`. */
  readonly redis?: RedisKind;
  /** Puts a proxy between each process and each server, see `link`. Default false. */
  readonly proxies?: boolean;
  /** Loopback port of the load balancer; a free one when unset. */
  readonly port?: number;
  /** A caching proxy before the load balancer, with the configuration of `deploy/edge`. */
  readonly edge?: EdgeKind;
  /**
   * Runs with many sources instead of one: those given, in a sources file of the cluster's. Each one without a database gets one of its
   * own on the cluster's server.
   */
  readonly sources?: GivenSources;
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

/** A whole installation on this machine: servers, service processes and a load balancer before the API. */
export interface Cluster {
  /** The load balancer. */
  readonly url: string;
  /** The caching proxy before the load balancer, where one was asked for. */
  readonly edgeUrl: string | undefined;
  /** What the load balancer has seen. */
  readonly traffic: Traffic;
  readonly databaseUrl: string;
  readonly natsUrl: string;
  readonly redisUrl: string;
  /** Those of the sources file as it was written last; none where the cluster has a single source. */
  readonly sources: readonly ClusterSource[];
  /** Of the first replicator, with many sources. */
  readonly adminUrl: string | undefined;
  readonly adminToken: string | undefined;
  readonly processes: readonly ClusterProcess[];
  /** Those we started; none where a URL was given. */
  readonly servers: readonly ClusterServer[];
  readonly logDir: string;
  process(name: string): ClusterProcess;
  /** The only server of its role, or the first. */
  server(role: ClusterServer['role']): ClusterServer;
  /** Servers of a role that we started, such as the three of NATS. */
  serversOf(role: ClusterServer['role']): readonly ClusterServer[];
  /**
   * The network between a process and a service, with `proxies: true`: one proxy per address, in the order of `serversOf`.
   * Redis with replica has one, to the primary. There is none to a Redis Cluster, nor to a Redis behind Sentinel: both tell
   * their clients where to connect to.
   */
  link(process: string, service: LinkedService): readonly TcpProxy[];
  /** Starts one more process of a role, with a name that was not used yet; resolves once it is ready. */
  add(role: ServiceRole): Promise<ClusterProcess>;
  /** Ends a process with SIGTERM, for good; resolves once it is gone. */
  remove(name: string): Promise<void>;
  /** Name of the replicator that leads, with many sources that one; waits until there is one. */
  leader(source?: string): Promise<string>;
  /** Replaces the sources file, as somebody would who edits it. Resolves once it is written; databases that are missing are made. */
  writeSources(sources: GivenSources): Promise<void>;
  /** Resolves once every API and router is ready and a replicator leads; with many sources, once each active one answers at every API. */
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
  adminUrl: string | undefined;
  readonly #options: ClusterOptions;
  readonly #servers: ClusterServers;
  readonly #links = new Links();
  readonly #ports = new Set<number>();
  /** How many processes of a role there ever were. */
  readonly #counts = new Map<ServiceRole, number>();
  #processes: readonly ServiceProcess[] = [];
  #balancer: LoadBalancer | undefined;
  #sources: ClusterSources | undefined;
  #stopped: Promise<void> | undefined;

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.#servers = new ClusterServers((event) => options.onEvent?.(event));
  }

  get servers(): readonly ClusterServer[] {
    return this.#servers.list;
  }

  get url(): string {
    return this.#balancer?.url ?? '';
  }

  get traffic(): Traffic {
    return this.#balancer?.traffic ?? { statuses: {}, repeated: 0, broken: 0 };
  }

  get edgeUrl(): string | undefined {
    return this.serversOf('edge')[0]?.url;
  }

  get processes(): readonly ClusterProcess[] {
    return this.#processes;
  }

  get sources(): readonly ClusterSource[] {
    return this.#sources?.list ?? [];
  }

  get adminToken(): string | undefined {
    return this.#sources?.adminToken;
  }

  async start(): Promise<void> {
    const { logDir, signal, sources, postgres } = this.#options;
    this.logDir = logDir ?? (await mkdtemp(join(tmpdir(), 'shapecast-logs-')));
    await mkdir(this.logDir, { recursive: true });
    const settings = { ...(sources === undefined ? {} : POSTGRES_FOR_SOURCES), ...postgres?.settings };
    Object.assign(this, await this.#servers.start({ ...this.#options, postgres: { ...postgres, settings } }));
    signal?.throwIfAborted();
    if (sources !== undefined) {
      this.#sources = await ClusterSources.create(logDir === undefined ? this.logDir : undefined);
      await this.#sources.write(sources, this.databaseUrl);
    }
    this.#processes = await this.#plan();
    const apis = this.#processes.filter((process) => process.role === 'api');
    this.#balancer = await startLoadBalancer({
      targets: apis,
      healthPath: '/ready',
      ...(this.#options.port === undefined ? {} : { port: this.#options.port }),
    });
    const origin = this.#balancer.url;
    const { edge } = this.#options;
    await Promise.all([
      ...this.#processes.map((process) => process.start()),
      ...(edge === undefined ? [] : [this.#servers.add('edge', () => startEdge({ kind: edge, origin }), edge)]),
    ]);
  }

  process(name: string): ClusterProcess {
    return this.#find(name);
  }

  server(role: ClusterServer['role']): ClusterServer {
    return this.#servers.first(role);
  }

  serversOf(role: ClusterServer['role']): readonly ClusterServer[] {
    return this.#servers.of(role);
  }

  link(process: string, service: LinkedService): readonly TcpProxy[] {
    return this.#links.of(this.process(process).name, service);
  }

  async add(role: ServiceRole): Promise<ClusterProcess> {
    const process = await this.#create(role);
    this.#processes = [...this.#processes, process];
    await process.start();
    await this.#untilReady(async () => problemOf(process, this.#sources?.expected));
    if (role === 'api') await this.#balancer?.add(process);
    return process;
  }

  async remove(name: string): Promise<void> {
    const process = this.#find(name);
    await process.remove();
    this.#processes = this.#processes.filter((each) => each !== process);
    if (process.role === 'api') this.#balancer?.remove(process.url);
    await this.#links.close(name);
  }

  async writeSources(sources: GivenSources): Promise<void> {
    if (this.#sources === undefined) throw new Error('the cluster was started with a single source');
    await this.#sources.write(sources, this.databaseUrl);
  }

  async leader(source?: string): Promise<string> {
    const replicators = this.#processes.filter((process) => process.role === 'replicator');
    const find = async (): Promise<string | undefined> => {
      const leads = (replicator: ServiceProcess) =>
        source === undefined ? isLeading(replicator) : reportsLeading(replicator, source);
      const leading = await Promise.all(replicators.map(leads));
      return replicators.find((_replicator, i) => leading[i])?.name;
    };
    return waitFor(find, { timeoutMs: READY_TIMEOUT_MS, intervalMs: 50, describe: () => 'no replicator leads' });
  }

  async waitReady(): Promise<void> {
    await this.#untilReady(() => notReady(this.#processes, this.#sources?.expected));
    // It may have looked last when one of them was not.
    await this.#balancer?.check();
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  /** From the outside in: what takes requests goes first, and what holds data last. */
  async #stop(): Promise<void> {
    await Promise.all(this.serversOf('edge').map((server) => server.stop()));
    await this.#balancer?.stop();
    await Promise.all(this.#processes.map((process) => process.stop()));
    await this.#links.stop();
    await this.#servers.stop();
    await this.#sources?.remove();
    if (this.#options.logDir === undefined && this.logDir !== '')
      await rm(this.logDir, { recursive: true, force: true });
  }

  /** `problems` has one sentence for each process that does not do its work yet, beginning with its name. */
  async #untilReady(problems: () => Promise<readonly string[]>): Promise<void> {
    let missing: readonly string[] = [];
    const ready = async (): Promise<boolean> => {
      this.#options.signal?.throwIfAborted();
      const lost = this.#processes.find((process) => process.deaths >= HOPELESS_DEATHS);
      if (lost !== undefined) throw new Error(`${lost.name} keeps ending. It wrote:\n${await lost.logTail()}`);
      const now = await problems();
      if (now.length > 0 && now.join() !== missing.join()) this.#options.onEvent?.(`waiting: ${now.join('; ')}`);
      missing = now;
      return now.length === 0;
    };
    try {
      const timeoutMs = READY_TIMEOUT_MS;
      await waitFor(ready, { timeoutMs, intervalMs: 50, describe: () => `not ready: ${missing.join('; ')}` });
    } catch (error) {
      if (!missing.length || this.#options.signal?.aborted) throw error;
      const culprit = this.#processes.find((process) => missing.some((line) => line.startsWith(`${process.name} `)));
      const tail = (await (culprit ?? this.#processes[0])?.logTail()) ?? '';
      throw new Error(`${(error as Error).message}\n${culprit?.name ?? 'the first process'} wrote:\n${tail}`, {
        cause: error,
      });
    }
  }

  #find(name: string): ServiceProcess {
    const found = this.#processes.find((process) => process.name === name);
    if (found === undefined)
      throw new Error(`no process ${name}; there are ${this.#processes.map((p) => p.name).join(', ')}`);
    return found;
  }

  async #plan(): Promise<readonly ServiceProcess[]> {
    const { replicators = 2, routers = 2, apis = 2 } = this.#options;
    const wanted: readonly [ServiceRole, number][] = [
      ['replicator', replicators],
      ['router', routers],
      ['api', apis],
    ];
    const processes: ServiceProcess[] = [];
    for (const [role, count] of wanted) {
      for (let n = 1; n <= count; n += 1) processes.push(await this.#create(role));
    }
    return processes;
  }

  /** A process that does not run yet, with a name of its own and its network. */
  async #create(role: ServiceRole): Promise<ServiceProcess> {
    const { entries, env = {}, autoRestart = true, onLog, onEvent, proxies = false, redis } = this.#options;
    const number = (this.#counts.get(role) ?? 0) + 1;
    this.#counts.set(role, number);
    const name = `${role}-${number}`;
    const port = await ownPort(this.#ports);
    const direct: readonly LinkedService[] = redis === 'sentinel' || redis === 'cluster' ? ['redis'] : [];
    const urls = proxies ? await this.#links.open(name, this, direct) : this;
    const { databaseUrl, natsUrl, redisUrl } = urls;
    const healthPort = role === 'api' ? await ownPort(this.#ports) : port;
    const adminPort = role === 'replicator' && this.#sources !== undefined ? await ownPort(this.#ports) : 0;
    if (adminPort !== 0) this.adminUrl ??= `http://127.0.0.1:${adminPort}`;
    const place = {
      role,
      name,
      port,
      healthPort,
      databaseUrl,
      natsUrl,
      redisUrl,
      settings: serverSettings(this.#options),
      sources: this.#sources?.environment(role, adminPort),
    };
    return new ServiceProcess(nodeForTypeScript(), {
      name,
      role,
      entry: entries?.[role] ?? join(PROJECT_ROOT, 'services', role, 'src', 'main.ts'),
      env: serviceEnvironment(place, { ...process.env, ...env }),
      url: `http://127.0.0.1:${port}`,
      healthUrl: `http://127.0.0.1:${healthPort}`,
      autoRestart,
      logFile: join(this.logDir, `${name}.log`),
      temporaryDir: this.#options.logDir === undefined ? this.logDir : this.#sources?.folder,
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
