import { randomUUID } from 'node:crypto';
import {
  openPgChangeSource,
  openPgGuardedSlot,
  openPgSourceDatabase,
  permitLimits,
  type SourceDatabase,
} from '@shapecast/change-source';
import { ShapecastError } from '@shapecast/errors';
import { MAX_SLICED_BYTES } from '@shapecast/log';
import {
  eventsSubject,
  Installation,
  openNatsMessaging,
  SharedPermits,
  SourceSleep,
  type Messaging,
  type Registries,
  type Registry,
} from '@shapecast/messaging';
import {
  configOrExit,
  databaseConnection,
  HealthServer,
  natsConnection,
  openProcessLog,
  runProcess,
  silentLogger,
  systemClock,
  type Component,
  type ProcessLog,
} from '@shapecast/service-kit';
import { parseReplicatorConfig, type ReplicatorConfig } from './config.ts';
import { createReplicator, type Replicator } from './replicator.ts';
import { SessionGate } from './session-gate.ts';
import { SleepingSlot } from './sleep/sleeping-slot.ts';
import { WalGuard, type WalGuardOptions } from './wal-guard/wal-guard.ts';

/** What storing a large transaction and confirming take, beyond the delay that is set. */
const CONFIRM_SLACK_MS = 300_000;

/** The replicator as a process: health first, then everything else, each part waiting for its server by itself. */
async function main(): Promise<void> {
  const config = configOrExit(parseReplicatorConfig, process.env);
  const holder = config.instanceId ?? randomUUID();
  const fields = { service: 'replicator', instance: holder, source: config.sourceId };
  const processLog = openProcessLog(config, fields, { env: process.env, clock: systemClock });
  const replication = new ReplicationProcess(processLog, { ...config, holder });
  const health = new HealthServer(() => replication.report(), { port: config.healthPort, host: config.healthHost });
  await runProcess(processLog.log, [health, replication]);
}

/** Connects to NATS, which may take for ever, and runs the replicator on the connection. */
class ReplicationProcess implements Component {
  readonly name = 'replication';
  readonly #log: ProcessLog;
  readonly #config: ReplicatorConfig & { readonly holder: string };
  readonly #installation = new Installation();
  readonly #gate = new SessionGate();
  readonly #guard: WalGuard;
  readonly #guardPermits: SharedPermits<'admin' | 'snapshots'>;
  readonly #stopping = new AbortController();
  #guarding: Promise<void> | undefined;
  #messaging: Messaging | undefined;
  #sleep: SourceSleep | undefined;
  #database: SourceDatabase | undefined;
  #permits: { close(): Promise<void> } | undefined;
  #replicator: Replicator | undefined;

  constructor(log: ProcessLog, config: ReplicatorConfig & { readonly holder: string }) {
    this.#log = log;
    this.#config = config;
    const deps = { clock: systemClock, log: log.log };
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
  }

  async #openRegistry<T>(...given: Parameters<Registries['open']>): Promise<Registry<T>> {
    if (this.#messaging === undefined) throw new ShapecastError('STREAM_UNAVAILABLE', 'NATS was not reached yet.');
    return this.#messaging.registries.open<T>(...given);
  }

  report(): ReturnType<Replicator['report']> {
    const waiting = { ready: false, status: 'starting', lastError: 'Waiting for NATS.' };
    const report = this.#replicator?.report() ?? waiting;
    const wal = this.#guard.report;
    const stale = wal.staleSince === undefined ? {} : { ready: false, status: 'stale', lastError: wal.reason };
    return { ...report, ...stale, wal, installation: this.#installation.id, events: this.#log.events.counts };
  }

  async start(signal: AbortSignal): Promise<void> {
    const config = this.#config;
    const deps = { clock: systemClock, log: this.#log.log };
    const connection = databaseConnection(config);
    // Before NATS, which may be away for days.
    this.#guarding = this.#guard.run(AbortSignal.any([signal, this.#stopping.signal]));
    const messaging = await openNatsMessaging(natsOptions(config), deps, signal);
    this.#messaging = messaging;
    this.#sleep = new SourceSleep({ ...deps, registries: messaging.registries }, config.sourceId);
    this.#guard.connect(messaging.registries);
    this.#installation.join({ ...deps, registries: messaging.registries }, signal);
    this.#log.events.connect((payload) => messaging.hints.publish(eventsSubject(config.sourceId), payload));
    const { databaseUrl: url, queryUrl, publicationName, slotName, poolSize } = config;
    const { walSenderTimeoutMs, lockPollMs, lockBreaker, maxRowBytes, temporarySlot, slotFailover } = config;
    const { manualPublishing, alterDebounceMs, publicationRefreshMs } = config;
    const { ddlLockTimeoutMs: lockTimeoutMs, publicationGapTimeoutMs: gapTimeoutMs } = config;
    const permits = new SharedPermits(
      { ...deps, registries: messaging.registries },
      { source: config.sourceId, holder: randomUUID(), limits: permitLimits(poolSize) },
    );
    this.#permits = permits;
    const source = openPgChangeSource(
      {
        url,
        slotName,
        publicationName,
        walSenderTimeoutMs,
        lockPollMs,
        lockBreaker,
        maxRowBytes,
        temporarySlot,
        slotFailover,
        manualPublishing,
        publicationCheckMs: publicationRefreshMs,
        connection,
      },
      { ...deps, permits },
    );
    this.#database = openPgSourceDatabase(
      {
        url,
        queryUrl,
        publicationName,
        poolSize,
        manualPublishing,
        alterDebounceMs,
        lockTimeoutMs,
        gapTimeoutMs,
        connection,
      },
      { ...deps, permits },
    );
    // Postgres's text, twice, with JSON around it.
    const maxChangeBytes = Math.min(2 * maxRowBytes, MAX_SLICED_BYTES);
    this.#replicator = createReplicator(
      { ...deps, source, database: this.#database, messaging, gate: this.#gate, sleep: this.#sleep },
      { ...replicationOptions(config), maxChangeBytes },
    );
    await this.#replicator.start(signal);
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the replicator is stopping'));
    await this.#replicator?.stop();
    await this.#guarding;
    await this.#database?.close();
    await this.#permits?.close();
    await this.#guardPermits.close();
    await this.#messaging?.close();
  }
}

function guardOptions(config: ReplicatorConfig): WalGuardOptions {
  const { sourceId, walGuard: policy, walBudgetBytes, walBudgetAgeMs: ageMs } = config;
  const { walGuardIntervalMs: intervalMs, walGuardPauseMs: pauseMs } = config;
  const bytes = walBudgetBytes === undefined ? {} : { bytes: BigInt(walBudgetBytes) };
  const patienceMs = 2 * config.confirmDelayMs + CONFIRM_SLACK_MS;
  return { sourceId, policy, budget: { ...bytes, ageMs }, intervalMs, pauseMs, patienceMs };
}

function natsOptions(config: ReplicatorConfig & { readonly holder: string }): Parameters<typeof openNatsMessaging>[0] {
  const { streamReplicas, streamMaxAgeMs, streamMaxBytes, duplicateWindowMs } = config;
  return {
    ...natsConnection(config),
    streamReplicas,
    streamMaxAgeMs,
    streamMaxBytes,
    duplicateWindowMs,
    name: `replicator ${config.holder}`,
  };
}

function replicationOptions(config: ReplicatorConfig & { readonly holder: string }) {
  const { sourceId, holder, slotName, shards, confirmDelayMs, replicatorLeaseMs, trimMarginMs } = config;
  const { maxFragmentBytes, maxFragmentChanges, windowBytes, windowMessages } = config;
  const { manualPublishing, publicationRefreshMs, unpublishLingerMs, idleTimeoutMs } = config;
  return {
    sourceId,
    holder,
    slotName,
    shards,
    confirmDelayMs,
    trimMarginMs,
    minStreamReplicas: config.allowUnsafe ? 1 : 3,
    // Four of them may be late or lost before the others take us for gone.
    heartbeatMs: Math.floor(replicatorLeaseMs / 5),
    maxFragmentBytes,
    maxFragmentChanges,
    windowBytes,
    windowMessages,
    manualPublishing,
    publicationRefreshMs,
    unpublishLingerMs,
    idleTimeoutMs,
  };
}

await main();
