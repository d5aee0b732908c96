import type { Clock, Component, Logger } from '@shapecast/service-kit';
import type { Role } from './definition.ts';
import { SampleLedger } from './ledger.ts';
import { Metrics, type Counter, type Sample } from './metrics.ts';
import { MetricsPort } from './process/metrics-port.ts';
import { ProcessMetrics } from './process/process-metrics.ts';
import { measureSystem } from './process/system-metrics.ts';
import { ActiveHandles, measureThread } from './process/thread-metrics.ts';
import { prometheusText } from './prometheus.ts';
import { pushTargets, type TelemetryConfig } from './telemetry-config.ts';
import type { Telemetry } from './telemetry.ts';
import { NO_TRACING, type Tracing } from './tracing.ts';

/** Which process it is that tells. */
export interface ProcessIdentity {
  readonly role: Role;
  readonly instance: string;
  /** Of a process with one source. */
  readonly source?: string;
}

interface TelemetryDeps {
  readonly log: Logger;
  readonly clock: Clock;
  /** State events so far, as a `StateEventTap` counts them. */
  readonly events?: EventCounts;
}

interface EventCounts {
  readonly counts: Readonly<Record<string, number>>;
  /** How many of them did not make it into the log. */
  readonly omitted?: number;
}

/** What the parts of a process measure with, and how it is told. */
export interface ProcessTelemetry extends Telemetry, Component {
  /** Everything that was measured in this process, its threads included, in the text format of Prometheus. */
  text(): string;
  /** The same as data. In a thread: what its process includes. */
  samples(): readonly Sample[];
  /** Samples of a thread; `read` gives the newest that are known. The returned function is called when the thread has ended. */
  include(read: () => readonly Sample[]): () => void;
  /** Forgets what was counted for a source that is no longer here. */
  forgetSource(source: string): void;
}

/**
 * The telemetry of a process. Counting and pushing start at once, and end with the component; the SDK of OpenTelemetry is loaded only
 * when there is somewhere to push to. Nothing here waits for a collector (spec O 6.1.4).
 */
export function openProcessTelemetry(
  config: TelemetryConfig,
  identity: ProcessIdentity,
  deps: TelemetryDeps,
): Promise<ProcessTelemetry> {
  return open(config, identity, deps, true);
}

/**
 * The telemetry of a worker thread: its own event loop and heap, its own spans. `samples()` goes to the process, which includes it and
 * tells it with its own.
 */
export function openThreadTelemetry(
  config: TelemetryConfig,
  identity: ProcessIdentity,
  deps: TelemetryDeps,
): Promise<ProcessTelemetry> {
  return open(config, identity, deps, false);
}

async function open(
  config: TelemetryConfig,
  identity: ProcessIdentity,
  deps: TelemetryDeps,
  isProcess: boolean,
): Promise<ProcessTelemetry> {
  const metrics = new Metrics({ maxSources: config.metricsMaxSources });
  const targets = pushTargets(config);
  const pushesTraces = targets.traces !== undefined || (config.printSpans && !config.sdkDisabled);
  const pushesMetrics = targets.metrics !== undefined && isProcess;
  const telemetry = new OpenTelemetry(config, deps, metrics, isProcess);
  if (!pushesTraces && !pushesMetrics) return telemetry;
  const { openPush } = await import('./sdk/push.ts');
  telemetry.push = await openPush(
    { ...deps, metrics, samples: () => telemetry.samples() },
    { config, identity, targets: isProcess ? targets : { traces: targets.traces } },
  );
  return telemetry;
}

/** Why something was not pushed. They are told before anything is dropped, so that an alert has something to compare with. */
const DROPS = ['spans_queue_full', 'spans_not_pushed', 'metrics_not_pushed'] as const;

/** What pushes, as the SDK does it. */
export interface Push {
  readonly tracing: Tracing;
  /** Pushes what is there, for as long as may be waited. */
  stop(): Promise<void>;
}

class OpenTelemetry implements ProcessTelemetry {
  readonly name = 'telemetry';
  readonly metrics: Metrics;
  push: Push | undefined;
  readonly #deps: TelemetryDeps;
  readonly #ledger: SampleLedger;
  readonly #handles: ActiveHandles;
  readonly #process: ProcessMetrics | undefined;
  readonly #port: MetricsPort | undefined;
  readonly #events = new Map<string, Counter>();
  readonly #ends: readonly (() => void)[];
  #stopped = false;

  constructor(config: TelemetryConfig, deps: TelemetryDeps, metrics: Metrics, isProcess: boolean) {
    const { clock } = deps;
    const log = deps.log.child({ component: 'telemetry' });
    this.#deps = deps;
    this.metrics = metrics;
    this.#ledger = new SampleLedger(config.metricsMaxSources);
    this.#ledger.include(() => metrics.collect());
    this.#handles = new ActiveHandles(metrics);
    for (const reason of DROPS) metrics.counter('shapecast.telemetry.dropped.count', { reason });
    const ends = [measureThread({ metrics, clock, log }, config)];
    if (isProcess) {
      this.#process = new ProcessMetrics(metrics, clock);
      ends.push(measureSystem(metrics, clock, { pollMs: config.systemPollMs }));
      if (config.metricsPort !== undefined) this.#port = new MetricsPort(() => this.text(), config.metricsPort);
    }
    this.#ends = ends;
  }

  get tracing(): Tracing {
    return this.push?.tracing ?? NO_TRACING;
  }

  text(): string {
    return prometheusText(this.samples());
  }

  samples(): readonly Sample[] {
    this.#handles.refresh();
    this.#process?.refresh();
    this.#countEvents();
    return this.#ledger.collect();
  }

  include(read: () => readonly Sample[]): () => void {
    return this.#ledger.include(read);
  }

  forgetSource(source: string): void {
    this.metrics.forgetSource(source);
    this.#ledger.forgetSource(source);
  }

  async start(): Promise<void> {
    await this.#port?.start();
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    await this.push?.stop();
    for (const end of this.#ends) end();
    await this.#port?.stop();
  }

  #countEvents(): void {
    const { events } = this.#deps;
    if (events === undefined) return;
    for (const [name, count] of Object.entries(events.counts)) {
      let cell = this.#events.get(name);
      if (cell === undefined)
        this.#events.set(name, (cell = this.metrics.counter('shapecast.state_events.count', { name })));
      cell.value = count;
    }
    this.metrics.counter('shapecast.log.dropped.count', {}).value = events.omitted ?? 0;
  }
}
