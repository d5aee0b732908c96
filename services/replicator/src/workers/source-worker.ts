import { parentPort, workerData } from 'node:worker_threads';
import { openNatsMessaging, type Messaging } from '@shapecast/messaging';
import {
  createLogger,
  StateEventTap,
  systemClock,
  type Component,
  type HealthReport,
  type Logger,
  type ProcessLog,
} from '@shapecast/service-kit';
import type { SourceUsage } from '@shapecast/messaging';
import { processEnvironment, sourceEnvironment, SourceHost, type Source } from '@shapecast/sources';
import type { ProcessTelemetry, Sample } from '@shapecast/telemetry';
import { parseReplicatorConfig, type ReplicatorConfig } from '../config.ts';
import { natsOptions } from '../nats-options.ts';
import { SourceReplication } from '../sources/source-replication.ts';
import { openWorkerTelemetry } from '../telemetry/process-metrics.ts';
import type { FromWorker, ToWorker, WorkerSourceState } from './messages.ts';

export interface SourceWorkerData {
  /** Name of the process in leader records. */
  readonly holder: string;
  /** Of the thread, for people. */
  readonly name: string;
}

const TELL_MS = 1_000;

/** A source in this thread. Settings that change nothing of what runs are taken over while it runs. */
class RunningSource implements Component {
  readonly name = 'source';
  readonly log: ProcessLog;
  readonly #replication: SourceReplication;
  readonly #fingerprint: string;

  constructor(log: ProcessLog, replication: SourceReplication, fingerprint: string) {
    this.log = log;
    this.#replication = replication;
    this.#fingerprint = fingerprint;
  }

  start(signal: AbortSignal): Promise<void> {
    return this.#replication.start(signal);
  }

  stop(): Promise<void> {
    return this.#replication.stop();
  }

  update(source: Source): boolean {
    if (fingerprintOf(source, parse(source)) !== this.#fingerprint) return false;
    this.#replication.limit(source.settings.limits);
    return true;
  }

  report(): HealthReport {
    return this.#replication.report();
  }

  usage(): SourceUsage {
    return this.#replication.usage();
  }
}

interface WorkerParts {
  readonly log: Logger;
  readonly telemetry: ProcessTelemetry;
}

/** The sources of one worker thread, on one connection to NATS. */
class SourceWorker {
  readonly #holder: string;
  readonly #config = parseReplicatorConfig(processEnvironment(process.env));
  readonly #log: Logger;
  readonly #messaging: Promise<Messaging>;
  readonly #stop = new AbortController();
  readonly #host: SourceHost<RunningSource>;
  /** Events of sources that do not run here any more. */
  readonly #events = new Map<string, number>();
  readonly #running = new Map<string, RunningSource>();
  readonly #telemetry: ProcessTelemetry;

  constructor({ log, telemetry }: WorkerParts, { holder, name }: SourceWorkerData) {
    this.#holder = holder;
    this.#log = log;
    this.#telemetry = telemetry;
    const deps = { clock: systemClock, log: this.#log };
    this.#messaging = openNatsMessaging(
      natsOptions(this.#config, `replicator ${holder} ${name}`),
      deps,
      this.#stop.signal,
    );
    // Whoever waits for it hears.
    this.#messaging.catch(() => undefined);
    this.#host = new SourceHost({ ...deps, create: (source) => this.#create(source) });
  }

  take(message: ToWorker): void {
    if (message.kind === 'stop') return void this.#end();
    this.#host.set(message.id, message.source);
    this.tell();
  }

  /** Tells for as long as the thread lives. */
  async run(): Promise<void> {
    for (;;) {
      this.tell(this.#telemetry.samples());
      await systemClock.sleep(TELL_MS);
    }
  }

  /** State events of all its sources, of those that are gone, too. */
  get counts(): Readonly<Record<string, number>> {
    const events = new Map(this.#events);
    for (const { log } of this.#running.values()) add(events, log.events.counts);
    return Object.fromEntries(events);
  }

  tell(samples?: readonly Sample[]): void {
    const sources: Record<string, WorkerSourceState> = {};
    for (const { id, component, problem } of this.#host.places()) {
      sources[id] = {
        ...(component === undefined ? {} : { report: component.report(), usage: component.usage() }),
        ...(problem === undefined ? {} : { problem }),
      };
    }
    for (const [id, { log }] of this.#running) {
      if (sources[id] !== undefined) continue;
      add(this.#events, log.events.counts);
      this.#running.delete(id);
      this.#telemetry.forgetSource(id);
    }
    const told: FromWorker = {
      sources,
      events: this.counts,
      heapBytes: process.memoryUsage().heapUsed,
      ...(samples === undefined ? {} : { samples }),
    };
    parentPort?.postMessage(told);
  }

  #create(source: Source): RunningSource {
    const { settings } = source;
    const config = { ...parse(source), holder: this.#holder };
    const events = new StateEventTap(systemClock);
    const fields = { service: 'replicator', instance: this.#holder, source: settings.id };
    const log = { log: events.tap(this.#log.child({ source: settings.id }), fields), events };
    // Shared: it outlives the source.
    const messaging = { open: () => this.#messaging, close: () => Promise.resolve() };
    const mode = { paused: settings.state === 'paused', many: true, limits: settings.limits };
    const replication = new SourceReplication({ log, messaging, telemetry: this.#telemetry }, config, mode);
    const running = new RunningSource(log, replication, fingerprintOf(source, config));
    const before = this.#running.get(settings.id);
    if (before) add(this.#events, before.log.events.counts);
    this.#running.set(settings.id, running);
    return running;
  }

  async #end(): Promise<void> {
    await this.#host.stop();
    this.tell(this.#telemetry.samples());
    await this.#telemetry.stop();
    this.#stop.abort(new Error('the worker is stopping'));
    await this.#messaging.then((messaging) => messaging.close()).catch(() => undefined);
    process.exit(0);
  }
}

/** Throws INVALID_CONFIG. */
function parse(source: Source): ReplicatorConfig {
  return parseReplicatorConfig(sourceEnvironment(source, process.env));
}

/** Of everything that cannot be changed while it runs. */
function fingerprintOf({ settings }: Source, { slotName: _, ...config }: ReplicatorConfig): string {
  // A slot may have a random name; what it is made of is there, too.
  const { temporarySlot, streamId } = config;
  return JSON.stringify([settings.state === 'paused', temporarySlot, streamId, { ...config, holder: undefined }]);
}

function add(to: Map<string, number>, counts: Readonly<Record<string, number>>): void {
  for (const [name, count] of Object.entries(counts)) to.set(name, (to.get(name) ?? 0) + count);
}

/** Log and telemetry of the thread, before anything runs in it. */
async function openParts({ holder, name }: SourceWorkerData): Promise<WorkerParts> {
  const { logLevel, logColors: colors, serviceName } = parseReplicatorConfig(processEnvironment(process.env));
  const fields = { service: 'replicator', instance: holder, ...(serviceName === undefined ? {} : { serviceName }) };
  const log = createLogger(logLevel, fields, { colors });
  const events = {
    get counts() {
      return place.worker?.counts ?? {};
    },
  };
  const telemetry = await openWorkerTelemetry({ instance: `${holder}/${name}` }, { log, events });
  return { log, telemetry };
}

/** What runs here, for those that were made before it. */
const place: { worker?: SourceWorker } = {};
const data = workerData as SourceWorkerData;
const worker = new SourceWorker(await openParts(data), data);
place.worker = worker;
parentPort?.on('message', (message: ToWorker) => worker.take(message));
void worker.run();
