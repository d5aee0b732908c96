import { eventsSubject, openNatsMessaging, UsageReporter, type Messaging } from '@shapecast/messaging';
import {
  Backoff,
  systemClock,
  type Component,
  type Environment,
  type HealthReport,
  type ProcessLog,
} from '@shapecast/service-kit';
import type { ShapeStore } from '@shapecast/shape-store';
import { DeclaredSources, SourceCatalog, type AllSeals, type Source } from '@shapecast/sources';
import type { ProcessTelemetry } from '@shapecast/telemetry';
import { natsOptions } from '../nats-options.ts';
import { Placement } from '../placement/placement.ts';
import { Roster } from '../placement/roster.ts';
import { startSourceThread } from '../workers/source-thread.ts';
import type { SourceWorkerData } from '../workers/source-worker.ts';
import { WorkerPool } from '../workers/worker-pool.ts';
import { ProblemRecords } from './problem-records.ts';
import { Removals } from './removals.ts';
import type { ReplicationConfig } from './source-replication.ts';
import { SourcesFile, watchSourcesFile } from './sources-file.ts';

interface ManyDeps {
  readonly log: ProcessLog;
  readonly seals: AllSeals;
  /** Removals need it; closed with this. */
  readonly store: ShapeStore | undefined;
  readonly env: Environment;
  readonly telemetry: ProcessTelemetry;
}

const LOOK_MS = 1_000;
/** Others have seen by then that this process leaves, and wait for its locks. */
const LEAVE_MS = 1_500;
const NO_ROOM =
  'No replicator has room for the source: raise SHAPECAST_MAX_SOURCES_PER_PROCESS, or run more replicators.';

/**
 * A replicator process for any number of sources: follows what is declared and declares what its file says, runs its share of the
 * sources in worker threads, and removes those that are to go.
 */
export class ManySources implements Component {
  readonly name = 'sources';
  readonly #deps: ManyDeps;
  readonly #config: ReplicationConfig;
  readonly #pool: WorkerPool;
  readonly #stop = new AbortController();
  /** Sources that are told of in usage reports. */
  readonly #metered = new Map<string, () => void>();
  #messaging: Messaging | undefined;
  #catalog: SourceCatalog | undefined;
  #roster: Roster | undefined;
  #placement: Placement | undefined;
  #removals: Removals | undefined;
  #problems: ProblemRecords | undefined;
  #file: SourcesFile | undefined;
  #usage: UsageReporter | undefined;
  #running: Promise<unknown> | undefined;

  constructor(deps: ManyDeps, config: ReplicationConfig) {
    this.#deps = deps;
    this.#config = config;
    const { holder, sourcesPerWorker, workerHeapBytes: heapBytes } = config;
    const entry = new URL('../workers/source-worker.ts', import.meta.url);
    this.#pool = new WorkerPool(
      {
        clock: systemClock,
        log: deps.log.log,
        telemetry: deps.telemetry,
        spawn: (name, onTold) => {
          const data: SourceWorkerData = { holder, name };
          return startSourceThread({ entry, data, heapBytes }, onTold);
        },
      },
      { sourcesPerWorker },
    );
  }

  /** For the admin API. */
  get messaging(): Messaging | undefined {
    return this.#messaging;
  }

  /** What is wrong with the sources file; each begins with the source and the field. */
  fileProblems(): readonly string[] {
    return this.#file?.report.problems ?? [];
  }

  /** A source that cannot be replicated is no reason for the process not to be ready. */
  report(): HealthReport {
    const connected = this.#messaging?.connected() ?? false;
    const known = this.#catalog?.known ?? false;
    const lastError = connected ? (known ? undefined : 'The sources were not read yet.') : 'Waiting for NATS.';
    return {
      ready: connected && known,
      status: connected && known ? 'active' : 'starting',
      messagingConnected: connected,
      sources: Object.fromEntries([...this.#sourceReports()]),
      threads: this.#pool.threads,
      ...(this.#file === undefined ? {} : { sourcesFile: this.#file.report }),
      events: sum(this.#deps.log.events.counts, this.#pool.events),
      lastError,
    };
  }

  async start(signal: AbortSignal): Promise<void> {
    const { log, seals, env, store } = this.#deps;
    const { holder, maxSources, sourcesFile } = this.#config;
    const deps = { clock: systemClock, log: log.log };
    const messaging = await openNatsMessaging(natsOptions(this.#config, `replicator ${holder}`), deps, signal);
    this.#messaging = messaging;
    const { registries, hints } = messaging;
    log.events.connect((payload, source) => {
      if (source !== undefined) hints.publish(eventsSubject(source), payload);
    });
    const all = { ...deps, registries };
    const ending = this.#stop.signal;
    const declared = new DeclaredSources({ ...all, seals });
    const catalog = new SourceCatalog({ ...all, seals });
    const roster = new Roster(all, holder);
    this.#catalog = catalog;
    this.#roster = roster;
    this.#problems = new ProblemRecords({ ...all, telemetry: this.#deps.telemetry }, holder);
    this.#removals = new Removals({ ...deps, messaging, declared, store }, { holder, env });
    this.#placement = new Placement(
      {
        ...{ ...deps, roster },
        wanted: () => (catalog.known ? [...catalog.sources.values()].filter(isWanted).map(idOf) : undefined),
        running: () => [...this.#pool.ids, ...(this.#removals?.ids ?? [])],
        start: (id) => this.#begin(id),
        stop: (id) => this.#end(id),
      },
      { own: holder, most: maxSources },
    );
    this.#usage = new UsageReporter({ ...deps, hints }, { process: holder, role: 'replicator' });
    await this.#usage.start();
    if (sourcesFile !== undefined) {
      const key = env['SHAPECAST_SOURCES_KEY'] ?? '';
      const others = () => roster.files;
      const file = new SourcesFile(
        { ...all, declared, others, isLost: (id) => catalog.isLost(id) },
        { path: sourcesFile, env, key },
      );
      watchSourcesFile(this.#deps.telemetry.metrics, () => file.report);
      this.#file = file;
    }
    const record = () => {
      const file = this.#file?.version;
      return { running: this.#pool.ids, ...(file === undefined ? {} : { file }) };
    };
    this.#running = Promise.all([
      catalog.follow((id, source) => this.#onSource(id, source), ending),
      roster.run(record, () => this.#placement?.turn(), ending),
      this.#lookAtStates(ending),
      this.#runFile(roster, ending),
      this.#reseal(declared, ending),
    ]);
  }

  async stop(): Promise<void> {
    if (this.#stop.signal.aborted) return;
    await this.#sayGoodbye().catch(() => undefined);
    this.#stop.abort(new Error('the replicator is stopping'));
    await this.#removals?.stop();
    await this.#pool.stop();
    await this.#running;
    this.#problems?.stop();
    for (const remove of this.#metered.values()) remove();
    await this.#usage?.stop();
    await this.#roster?.remove().catch(() => undefined);
    await this.#deps.store?.close();
    await this.#messaging?.close();
  }

  /** The others start what this process runs, and wait for its locks: a planned hand-over of all of it (spec R 4.7). */
  async #sayGoodbye(): Promise<void> {
    const running = this.#pool.ids;
    const others = this.#roster?.others ?? [];
    if (running.length === 0 || others.length === 0) return;
    await this.#roster?.leave(running);
    await systemClock.sleep(LEAVE_MS);
  }

  /** So that a key which was replaced can go. */
  async #reseal(declared: DeclaredSources, signal: AbortSignal): Promise<void> {
    const { log } = this.#deps.log;
    const backoff = new Backoff(systemClock, { minMs: 1_000, maxMs: 60_000 });
    while (!signal.aborted) {
      try {
        const sources = await declared.reseal();
        if (sources > 0) log.info({ sources }, 'sources are sealed with the first of the keys');
        return;
      } catch (err) {
        log.debug({ err }, 'sources could not be sealed anew, trying again');
        await backoff.wait(signal).catch(() => undefined);
      }
    }
  }

  /** Once the other processes are known: an old copy of the file is known by what they have. */
  async #runFile(roster: Roster, signal: AbortSignal): Promise<void> {
    if (this.#file === undefined) return;
    while (roster.others === undefined && !signal.aborted) {
      await systemClock.sleep(50, signal).catch(() => undefined);
    }
    await this.#file.run(signal);
  }

  #onSource(id: string, source: Source | undefined): void {
    if (source !== undefined && this.#pool.has(id) && isReplicated(source)) this.#pool.set(id, source);
    else if (this.#pool.has(id)) this.#end(id);
    if (source?.settings.state !== 'removing') void this.#removals?.end(id);
    this.#placement?.turn();
  }

  #begin(id: string): void {
    const source = this.#catalog?.sources.get(id);
    if (source === undefined) return;
    if (source.settings.state === 'removing') return this.#removals?.begin(source);
    // What is left of a removal that was called off comes first.
    if (this.#removals?.has(id)) return;
    this.#pool.set(id, source);
    const add = () => this.#usage?.add(id, () => this.#pool.stateOf(id)?.usage ?? {});
    if (!this.#metered.has(id)) this.#metered.set(id, add() ?? (() => undefined));
  }

  #end(id: string): void {
    this.#pool.set(id, undefined);
    void this.#removals?.end(id);
    this.#metered.get(id)?.();
    this.#metered.delete(id);
    this.#deps.telemetry.forgetSource(id);
  }

  /** What keeps sources from being replicated is told to the others by whoever knows it. */
  async #lookAtStates(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const homeless = new Set(this.#placement?.homeless);
      const known = new Set([...this.#pool.ids, ...homeless, ...(this.#problems?.sources ?? [])]);
      for (const id of known) {
        this.#problems?.set(id, homeless.has(id) ? NO_ROOM : this.#pool.stateOf(id)?.problem);
      }
      await systemClock.sleep(LOOK_MS, signal).catch(() => undefined);
    }
  }

  *#sourceReports(): Generator<readonly [id: string, report: object]> {
    for (const [id, { settings }] of this.#catalog?.sources ?? []) {
      const { state } = settings;
      const problem = this.#removals?.problem(id);
      const here = this.#pool.stateOf(id);
      if (here !== undefined) {
        const waiting = { ready: false, status: 'starting' };
        yield [id, { state, ...(here.report ?? waiting), ...(here.problem && { lastError: here.problem }) }];
      } else if (this.#removals?.has(id)) yield [id, { state, status: 'removing', lastError: problem }];
      else if (this.#placement?.homeless.includes(id)) yield [id, { state, status: 'unassigned', lastError: NO_ROOM }];
      else yield [id, { state, status: state === 'gone' ? 'gone' : 'elsewhere' }];
    }
    for (const [id, lastError] of this.#catalog?.unreadable ?? []) {
      if (!this.#catalog?.sources.has(id)) yield [id, { status: 'unreadable', lastError }];
    }
  }
}

/** Its slot and its WAL are looked after, at least. */
function isReplicated({ settings: { state } }: Source): boolean {
  return state === 'active' || state === 'draining' || state === 'paused';
}

function isWanted(source: Source): boolean {
  return isReplicated(source) || source.settings.state === 'removing';
}

function idOf({ settings }: Source): string {
  return settings.id;
}

function sum(a: Readonly<Record<string, number>>, b: Readonly<Record<string, number>>): Record<string, number> {
  const all: Record<string, number> = { ...a };
  for (const [name, count] of Object.entries(b)) all[name] = (all[name] ?? 0) + count;
  return all;
}
