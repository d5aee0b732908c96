import { randomUUID } from 'node:crypto';
import {
  openPgChangeSource,
  openPgGuardedSlot,
  openPgSourceDatabase,
  permitLimits,
  type PublicationAction,
  type SourceDatabase,
} from '@shapecast/change-source';
import { ShapecastError } from '@shapecast/errors';
import { MAX_SLICED_BYTES } from '@shapecast/log';
import {
  eventsSubject,
  Installation,
  SharedPermits,
  SourceSleep,
  type Messaging,
  type Registries,
  type Registry,
  type SourceUsage,
} from '@shapecast/messaging';
import {
  databaseConnection,
  silentLogger,
  systemClock,
  type Component,
  type HealthReport,
  type ProcessLog,
} from '@shapecast/service-kit';
import type { Telemetry } from '@shapecast/telemetry';
import type { ReplicatorConfig } from '../config.ts';
import { AXES, ReplicationMeter, type ReplicationLimits } from '../quota/replication-meter.ts';
import { ownPlace } from '../process-place.ts';
import { createReplicator, type Replicator } from '../replicator.ts';
import { SessionGate } from '../session-gate.ts';
import { SleepingSlot } from '../sleep/sleeping-slot.ts';
import { ReplicatorMetrics } from '../telemetry/replicator-metrics.ts';
import { watchLimits, watchSlot } from '../telemetry/watch-replicator.ts';
import { WalGuard, type WalGuardOptions } from '../wal-guard/wal-guard.ts';
import { findNeighbours } from './neighbours.ts';

/** What storing a large transaction and confirming take, beyond the delay that is set. */
const CONFIRM_SLACK_MS = 300_000;
/** Of what every source tells, where there may be a thousand of them (spec O 4.8); changes are told at once all the same. */
const SHARED_PACE = { lookMs: 500, renewMs: 10_000 };
const PAUSED = 'The source is paused: nothing is replicated, and Postgres keeps its WAL.';

export type ReplicationConfig = ReplicatorConfig & { readonly holder: string };

/** NATS as the parts of one source use it: theirs alone, or shared with other sources. */
export interface MessagingLink {
  /** Connects, or waits until somebody has. */
  open(signal: AbortSignal): Promise<Messaging>;
  /** The source has no more use for it. */
  close(): Promise<void>;
}

interface ReplicationDeps {
  /** Of the source; its events are told to whoever listens. */
  readonly log: ProcessLog;
  readonly messaging: MessagingLink;
  /** Of the process or thread that it runs in. */
  readonly telemetry: Telemetry;
}

export interface ReplicationMode {
  /** Nothing is replicated, and the WAL that is kept meanwhile is looked after. */
  readonly paused?: boolean;
  /** There are other sources. */
  readonly many?: boolean;
  readonly limits?: ReplicationLimits;
}

/** All that a replicator process runs for one source. Its WAL is guarded from the start; NATS may take for ever to be reached. */
export class SourceReplication implements Component {
  readonly name = 'replication';
  readonly #log: ProcessLog;
  readonly #link: MessagingLink;
  readonly #config: ReplicationConfig;
  readonly #mode: ReplicationMode;
  readonly #installation = new Installation();
  readonly #gate = new SessionGate();
  readonly #guard: WalGuard;
  readonly #guardPermits: SharedPermits<'admin' | 'snapshots'>;
  readonly #metrics: ReplicatorMetrics;
  readonly #meter: ReplicationMeter;
  readonly #unwatch: readonly (() => void)[];
  readonly #stopping = new AbortController();
  #guarding: Promise<void> | undefined;
  #messaging: Messaging | undefined;
  #sleep: SourceSleep | undefined;
  #database: SourceDatabase | undefined;
  #permits: { close(): Promise<void> } | undefined;
  #replicator: Replicator | undefined;

  constructor({ log, messaging, telemetry }: ReplicationDeps, config: ReplicationConfig, mode: ReplicationMode = {}) {
    this.#log = log;
    this.#link = messaging;
    this.#config = config;
    this.#mode = mode;
    const deps = { clock: systemClock, log: log.log };
    this.#metrics = new ReplicatorMetrics(telemetry, systemClock, config.sourceId);
    this.#meter = new ReplicationMeter({ ...deps, metrics: this.#metrics }, mode.limits);
    // Apart from the others': while NATS is away the guard must have a connection, whatever the rest of the process has open.
    this.#guardPermits = new SharedPermits(
      { ...deps, log: silentLogger, registries: { open: (bucket, options) => this.#openRegistry(bucket, options) } },
      { source: config.sourceId, holder: randomUUID(), limits: permitLimits(config.poolSize) },
    );
    const { databaseUrl: url, slotName } = config;
    const slot = openPgGuardedSlot(
      { url, slotName, connection: databaseConnection(config) },
      { ...deps, permits: this.#guardPermits },
    );
    const options = guardOptions(config);
    const left = new SleepingSlot({ ...deps, slot, sleep: () => this.#sleep }, options);
    this.#guard = new WalGuard({ ...deps, slot: left, gate: this.#gate }, options);
    this.#unwatch = [
      watchSlot(this.#metrics, () => this.#guard.slot),
      watchLimits(this.#metrics, AXES, () => this.#meter.usage.quotas),
    ];
  }

  limit(limits: ReplicationLimits): void {
    this.#meter.limit(limits);
  }

  report(): HealthReport {
    const waiting = this.#mode.paused
      ? { ready: true, status: 'paused', lastError: PAUSED }
      : { ready: false, status: 'starting', lastError: 'Waiting for NATS.' };
    const report = this.#replicator?.report() ?? waiting;
    const wal = this.#guard.report;
    const stale = wal.staleSince === undefined ? {} : { ready: false, status: 'stale', lastError: wal.reason };
    const { quotas } = this.#meter.usage;
    return {
      ...report,
      ...stale,
      wal,
      ...(quotas === undefined ? {} : { quotas }),
      installation: this.#installation.id,
      events: this.#log.events.counts,
    };
  }

  usage(): SourceUsage {
    const { counters, gauges, quotas } = this.#meter.usage;
    const { stream } = (this.#replicator?.report() ?? {}) as { readonly stream?: { readonly bytes: number } };
    const { retainedBytes } = this.#guard.report;
    return {
      ...(counters === undefined ? {} : { counters }),
      gauges: {
        ...gauges,
        ...(stream === undefined ? {} : { streamBytes: stream.bytes }),
        ...(retainedBytes === undefined ? {} : { retainedWalBytes: Number(retainedBytes) }),
      },
      ...(quotas === undefined ? {} : { quotas }),
    };
  }

  async start(signal: AbortSignal): Promise<void> {
    const config = this.#config;
    const deps = { clock: systemClock, log: this.#log.log };
    // Before NATS, which may be away for days.
    this.#guarding = this.#guard.run(AbortSignal.any([signal, this.#stopping.signal]));
    const messaging = await this.#link.open(signal);
    this.#messaging = messaging;
    this.#guard.connect(messaging.registries);
    this.#installation.join({ ...deps, registries: messaging.registries }, signal);
    this.#log.events.connect((payload) => messaging.hints.publish(eventsSubject(config.sourceId), payload));
    if (this.#mode.paused) return;
    const sleepLookMs = this.#mode.many ? [SHARED_PACE.renewMs] : [];
    this.#sleep = new SourceSleep({ ...deps, registries: messaging.registries }, config.sourceId, ...sleepLookMs);
    const permits = new SharedPermits(
      { ...deps, registries: messaging.registries },
      { source: config.sourceId, holder: randomUUID(), limits: permitLimits(config.poolSize) },
    );
    this.#permits = permits;
    const metrics = this.#metrics;
    const onAction = (action: PublicationAction) => metrics.publicationChanged(action);
    const { source, database } = openDatabase(config, { ...deps, permits, onAction });
    this.#database = database;
    const neighbours = (identity: Parameters<typeof findNeighbours>[2]) =>
      findNeighbours(messaging.registries, config.sourceId, identity);
    this.#replicator = createReplicator(
      {
        ...{ ...deps, source, database, messaging, gate: this.#gate, sleep: this.#sleep, meter: this.#meter, metrics },
        ...(this.#mode.many ? { neighbours } : {}),
      },
      // Postgres's text, twice, with JSON around it.
      {
        ...replicationOptions(config),
        maxChangeBytes: Math.min(2 * config.maxRowBytes, MAX_SLICED_BYTES),
        ...(this.#mode.many ? { conditionPace: SHARED_PACE } : {}),
      },
    );
    await this.#replicator.start(signal);
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the replicator is stopping'));
    await this.#replicator?.stop();
    await this.#guarding;
    for (const end of this.#unwatch) end();
    await this.#database?.close();
    await this.#permits?.close();
    await this.#guardPermits.close();
    await this.#link.close();
  }

  async #openRegistry<T>(...given: Parameters<Registries['open']>): Promise<Registry<T>> {
    if (this.#messaging === undefined) throw new ShapecastError('STREAM_UNAVAILABLE', 'NATS was not reached yet.');
    return this.#messaging.registries.open<T>(...given);
  }
}

function openDatabase(config: ReplicationConfig, deps: Parameters<typeof openPgSourceDatabase>[1]) {
  const { databaseUrl: url, queryUrl, publicationName, slotName, poolSize } = config;
  const { walSenderTimeoutMs, lockPollMs, lockBreaker, maxRowBytes, temporarySlot, slotFailover } = config;
  const { manualPublishing, alterDebounceMs, publicationRefreshMs: publicationCheckMs } = config;
  const { ddlLockTimeoutMs: lockTimeoutMs, publicationGapTimeoutMs: gapTimeoutMs } = config;
  const shared = { url, publicationName, manualPublishing, connection: databaseConnection(config) };
  const timeouts = { walSenderTimeoutMs, lockPollMs, publicationCheckMs };
  const source = openPgChangeSource(
    { ...shared, ...timeouts, slotName, lockBreaker, maxRowBytes, temporarySlot, slotFailover },
    deps,
  );
  const database = openPgSourceDatabase(
    { ...shared, queryUrl, poolSize, alterDebounceMs, lockTimeoutMs, gapTimeoutMs },
    deps,
  );
  return { source, database };
}

function guardOptions(config: ReplicatorConfig): WalGuardOptions {
  const { sourceId, walGuard: policy, walBudgetBytes, walBudgetAgeMs: ageMs } = config;
  const { walGuardIntervalMs: intervalMs, walGuardPauseMs: pauseMs } = config;
  const bytes = walBudgetBytes === undefined ? {} : { bytes: BigInt(walBudgetBytes) };
  const patienceMs = 2 * config.confirmDelayMs + CONFIRM_SLACK_MS;
  return { sourceId, policy, budget: { ...bytes, ageMs }, intervalMs, pauseMs, patienceMs };
}

function replicationOptions(config: ReplicationConfig) {
  const { sourceId, holder, slotName, shards, confirmDelayMs, replicatorLeaseMs, trimMarginMs } = config;
  const { maxFragmentBytes, maxFragmentChanges, windowBytes, windowMessages } = config;
  const { manualPublishing, publicationRefreshMs, unpublishLingerMs, idleTimeoutMs } = config;
  const { streamMaxAgeMs: maxAgeMs, streamMaxBytes: maxBytes } = config;
  return {
    place: ownPlace(),
    ...{ sourceId, holder, slotName, shards, confirmDelayMs, trimMarginMs },
    minStreamReplicas: config.allowUnsafe ? 1 : 3,
    retention: { maxAgeMs, maxBytes },
    // Four of them may be late or lost before the others take us for gone.
    heartbeatMs: Math.floor(replicatorLeaseMs / 5),
    ...{ maxFragmentBytes, maxFragmentChanges, windowBytes, windowMessages },
    ...{ manualPublishing, publicationRefreshMs, unpublishLingerMs, idleTimeoutMs },
  };
}
