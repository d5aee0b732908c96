import { randomUUID } from 'node:crypto';
import { adminConfig, adminNames, createAdmin, type AdminDeps } from '@shapecast/admin';
import { openNatsMessaging, UsageReporter, type Messaging } from '@shapecast/messaging';
import {
  configOrExit,
  HealthServer,
  openProcessLog,
  parseConfig,
  runProcess,
  systemClock,
  type Component,
  type HealthReport,
  type ProcessLog,
} from '@shapecast/service-kit';
import { processEnvironment, registrySources, type AllSeals } from '@shapecast/sources';
import type { ProcessTelemetry } from '@shapecast/telemetry';
import { z } from 'zod';
import { parseReplicatorConfig, type ReplicatorConfig } from './config.ts';
import { natsOptions } from './nats-options.ts';
import { openOptionalStore } from './optional-store.ts';
import { ManySources } from './sources/many-sources.ts';
import { SourceReplication, type ReplicationConfig } from './sources/source-replication.ts';
import { openTelemetry, watchProcess } from './telemetry/process-metrics.ts';

/** The replicator as a process: health first, then everything else, each part waiting for its server by itself. */
async function main(): Promise<void> {
  const seals = configOrExit((env) => registrySources('replicator', env), process.env);
  await (seals === undefined ? oneSource() : manySources(seals as AllSeals));
}

/** The source that the environment describes. */
async function oneSource(): Promise<void> {
  const config = configOrExit(parseReplicatorConfig, process.env);
  const { sourceId } = config;
  const holder = config.instanceId ?? randomUUID();
  const fields = { service: 'replicator', instance: holder, source: sourceId };
  const log = openProcessLog(config, fields, { env: process.env, clock: systemClock });
  if (config.sourcesFile !== undefined)
    log.log.warn({}, 'SHAPECAST_SOURCES_FILE needs SHAPECAST_SOURCES=registry, nothing reads it');
  const link = new OwnLink({ ...config, holder }, log);
  const telemetry = await openTelemetry({ instance: holder, source: sourceId }, log);
  const replication = new SourceReplication({ log, messaging: link, telemetry }, { ...config, holder });
  const usage = new OwnUsage(link, { sourceId, holder }, () => replication.usage(), log);
  const store = openOptionalStore(process.env, log.log);
  const about = { messaging: () => link.messaging, sources: { mode: 'environment', id: sourceId }, store } as const;
  const health = () => replication.report();
  watchProcess(telemetry.metrics, health, () => link.messaging?.connected() ?? false);
  await runProcess(log.log, [telemetry, ...ports(config, { ...about, health, telemetry }, log), replication, usage]);
}

/** Those that are declared in NATS. */
async function manySources(seals: AllSeals): Promise<void> {
  const config = configOrExit((env) => parseReplicatorConfig(processEnvironment(env)), process.env);
  const holder = config.instanceId ?? randomUUID();
  const fields = { service: 'replicator', instance: holder };
  const log = openProcessLog(config, fields, { env: process.env, clock: systemClock });
  const store = openOptionalStore(process.env, log.log);
  const telemetry = await openTelemetry({ instance: holder }, log);
  const sources = new ManySources({ log, seals, store, env: process.env, telemetry }, { ...config, holder });
  const fileProblems = () => sources.fileProblems();
  const about = {
    messaging: () => sources.messaging,
    sources: { mode: 'registry', seals },
    store,
    fileProblems,
  } as const;
  const health = () => sources.report();
  watchProcess(telemetry.metrics, health, () => sources.messaging?.connected() ?? false);
  await runProcess(log.log, [telemetry, ...ports(config, { ...about, health, telemetry }, log), sources]);
}

type PortDeps = Pick<AdminDeps, 'messaging' | 'sources' | 'store' | 'fileProblems'> & {
  readonly health: () => HealthReport;
  readonly telemetry: Pick<ProcessTelemetry, 'text'>;
};

/** What listens: the health port, and the admin API where there is a token for it. They may share a port. */
function ports(
  config: ReplicatorConfig,
  { health, telemetry, ...about }: PortDeps,
  { log }: ProcessLog,
): readonly Component[] {
  const { healthPort, healthHost } = config;
  const {
    adminPort,
    adminHost,
    adminTokens: tokens,
  } = configOrExit((env) => parseConfig(z.object(adminConfig), adminNames, env), process.env);
  const metrics = () => telemetry.text();
  const own = new HealthServer(health, { port: healthPort, host: healthHost, metrics });
  if (tokens.length === 0) return [own];
  const shared = adminPort === healthPort && adminPort !== 0;
  const deps = { ...about, clock: systemClock, log, ...(shared ? { health, metrics } : {}) };
  const admin = createAdmin(deps, { host: adminHost, port: adminPort, tokens });
  return shared ? [admin] : [own, admin];
}

/** A connection to NATS for one source. */
class OwnLink {
  readonly #config: ReplicationConfig;
  readonly #log: ProcessLog;
  messaging: Messaging | undefined;

  constructor(config: ReplicationConfig, log: ProcessLog) {
    this.#config = config;
    this.#log = log;
  }

  async open(signal: AbortSignal): Promise<Messaging> {
    const options = natsOptions(this.#config, `replicator ${this.#config.holder}`);
    this.messaging = await openNatsMessaging(options, { clock: systemClock, log: this.#log.log }, signal);
    return this.messaging;
  }

  async close(): Promise<void> {
    await this.messaging?.close();
  }
}

/** Tells what is done for the source, once NATS was reached. */
class OwnUsage implements Component {
  readonly name = 'usage';
  readonly #make: () => UsageReporter | undefined;
  #reporter: UsageReporter | undefined;

  constructor(
    link: OwnLink,
    { sourceId, holder }: Pick<ReplicationConfig, 'sourceId' | 'holder'>,
    read: SourceReplication['usage'],
    { log }: ProcessLog,
  ) {
    this.#make = () => {
      if (link.messaging === undefined) return undefined;
      const deps = { hints: link.messaging.hints, clock: systemClock, log };
      const reporter = new UsageReporter(deps, { process: holder, role: 'replicator' });
      reporter.add(sourceId, read);
      return reporter;
    };
  }

  async start(): Promise<void> {
    this.#reporter = this.#make();
    await this.#reporter?.start();
  }

  async stop(): Promise<void> {
    await this.#reporter?.stop();
  }
}

await main();
