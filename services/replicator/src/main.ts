import { randomUUID } from 'node:crypto';
import { openPgChangeSource, openPgSourceDatabase, permitLimits, type SourceDatabase } from '@shapecast/change-source';
import { MAX_SLICED_BYTES } from '@shapecast/log';
import { eventsSubject, Installation, openNatsMessaging, SharedPermits, type Messaging } from '@shapecast/messaging';
import {
  configOrExit,
  databaseConnection,
  HealthServer,
  natsConnection,
  openProcessLog,
  runProcess,
  systemClock,
  type Component,
  type ProcessLog,
} from '@shapecast/service-kit';
import { parseReplicatorConfig, type ReplicatorConfig } from './config.ts';
import { createReplicator, type Replicator } from './replicator.ts';

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
  #messaging: Messaging | undefined;
  #database: SourceDatabase | undefined;
  #permits: { close(): Promise<void> } | undefined;
  #replicator: Replicator | undefined;

  constructor(log: ProcessLog, config: ReplicatorConfig & { readonly holder: string }) {
    this.#log = log;
    this.#config = config;
  }

  report(): ReturnType<Replicator['report']> {
    const waiting = { ready: false, status: 'starting', lastError: 'Waiting for NATS.' };
    const report = this.#replicator?.report() ?? waiting;
    return { ...report, installation: this.#installation.id, events: this.#log.events.counts };
  }

  async start(signal: AbortSignal): Promise<void> {
    const config = this.#config;
    const deps = { clock: systemClock, log: this.#log.log };
    const connection = databaseConnection(config);
    const messaging = await openNatsMessaging(natsOptions(config), deps, signal);
    this.#messaging = messaging;
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
      { ...deps, source, database: this.#database, messaging },
      { ...replicationOptions(config), maxChangeBytes },
    );
    await this.#replicator.start(signal);
  }

  async stop(): Promise<void> {
    await this.#replicator?.stop();
    await this.#database?.close();
    await this.#permits?.close();
    await this.#messaging?.close();
  }
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
  const { sourceId, holder, slotName, shards, confirmDelayMs, replicatorLeaseMs } = config;
  const { maxFragmentBytes, maxFragmentChanges, windowBytes, windowMessages } = config;
  const { manualPublishing, publicationRefreshMs, unpublishLingerMs } = config;
  return {
    sourceId,
    holder,
    slotName,
    shards,
    confirmDelayMs,
    // Four of them may be late or lost before the others take us for gone.
    heartbeatMs: Math.floor(replicatorLeaseMs / 5),
    maxFragmentBytes,
    maxFragmentChanges,
    windowBytes,
    windowMessages,
    manualPublishing,
    publicationRefreshMs,
    unpublishLingerMs,
  };
}

await main();
