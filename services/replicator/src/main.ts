import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { openPgChangeSource, openPgSourceDatabase, type SourceDatabase } from '@shapecast/change-source';
import { isShapecastError } from '@shapecast/errors';
import { openNatsMessaging, type Messaging } from '@shapecast/messaging';
import {
  createLogger,
  HealthServer,
  runProcess,
  systemClock,
  type Component,
  type Logger,
} from '@shapecast/service-kit';
import { parseReplicatorConfig, type ReplicatorConfig } from './config.ts';
import { createReplicator, type Replicator } from './replicator.ts';

/** The replicator as a process: health first, then everything else, each part waiting for its server by itself. */
async function main(): Promise<void> {
  const config = readConfig();
  const holder = config.instanceId ?? randomUUID();
  const log = createLogger(config.logLevel, { service: 'replicator', instance: holder });
  const replication = new ReplicationProcess(log, { ...config, holder });
  const health = new HealthServer(() => replication.report(), { port: config.healthPort, host: config.healthHost });
  await runProcess(log, [health, replication]);
}

function readConfig(): ReplicatorConfig {
  try {
    return parseReplicatorConfig(process.env);
  } catch (err) {
    if (!isShapecastError(err, 'INVALID_CONFIG')) throw err;
    console.error(err.message);
    process.exit(1);
  }
}

/** Connects to NATS, which may take for ever, and runs the replicator on the connection. */
class ReplicationProcess implements Component {
  readonly name = 'replication';
  readonly #log: Logger;
  readonly #config: ReplicatorConfig & { readonly holder: string };
  #messaging: Messaging | undefined;
  #database: SourceDatabase | undefined;
  #replicator: Replicator | undefined;

  constructor(log: Logger, config: ReplicatorConfig & { readonly holder: string }) {
    this.#log = log;
    this.#config = config;
  }

  report(): ReturnType<Replicator['report']> {
    const waiting = { ready: false, status: 'starting', lastError: 'Waiting for NATS.' };
    return this.#replicator?.report() ?? waiting;
  }

  async start(signal: AbortSignal): Promise<void> {
    const config = this.#config;
    const deps = { clock: systemClock, log: this.#log };
    const certificate = config.caFile === undefined ? {} : { caCertificate: readFileSync(config.caFile, 'utf8') };
    this.#messaging = await openNatsMessaging(natsOptions(config), deps, signal);
    const { databaseUrl: url, queryUrl, publicationName, slotName, poolSize } = config;
    const { walSenderTimeoutMs, lockPollMs, lockBreaker, maxRowBytes, temporarySlot } = config;
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
        ...certificate,
      },
      deps,
    );
    this.#database = openPgSourceDatabase({ url, queryUrl, publicationName, poolSize, ...certificate }, deps);
    // Postgres's text, twice, with JSON around it.
    const maxChangeBytes = 2 * maxRowBytes;
    this.#replicator = createReplicator(
      { ...deps, source, database: this.#database, messaging: this.#messaging },
      { ...replicationOptions(config), maxChangeBytes },
    );
    await this.#replicator.start(signal);
  }

  async stop(): Promise<void> {
    await this.#replicator?.stop();
    await this.#database?.close();
    await this.#messaging?.close();
  }
}

function natsOptions(config: ReplicatorConfig & { readonly holder: string }): Parameters<typeof openNatsMessaging>[0] {
  const { natsUrl: url, streamReplicas, streamMaxAgeMs, streamMaxBytes, duplicateWindowMs } = config;
  return {
    url,
    streamReplicas,
    streamMaxAgeMs,
    streamMaxBytes,
    duplicateWindowMs,
    name: `replicator ${config.holder}`,
    ...(config.natsCredsFile === undefined ? {} : { credsFile: config.natsCredsFile }),
    ...(config.natsCaFile === undefined ? {} : { caFile: config.natsCaFile }),
  };
}

function replicationOptions(config: ReplicatorConfig & { readonly holder: string }) {
  const { sourceId, holder, slotName, shards, confirmDelayMs } = config;
  const { maxFragmentBytes, maxFragmentChanges, windowBytes, windowMessages } = config;
  return {
    sourceId,
    holder,
    slotName,
    shards,
    confirmDelayMs,
    maxFragmentBytes,
    maxFragmentChanges,
    windowBytes,
    windowMessages,
  };
}

await main();
