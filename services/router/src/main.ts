import { randomUUID } from 'node:crypto';
import { getHeapStatistics } from 'node:v8';
import { connectionBudget, openPgSourceDatabase, permitLimits, type SourceDatabase } from '@shapecast/change-source';
import {
  eventsSubject,
  Installation,
  openNatsMessaging,
  SharedPermits,
  type Messaging,
  type SourceRecord,
} from '@shapecast/messaging';
import {
  configOrExit,
  databaseConnection,
  HealthServer,
  natsConnection,
  openProcessLog,
  redisConnection,
  runProcess,
  systemClock,
  type Component,
  type HealthReport,
} from '@shapecast/service-kit';
import { openRedisShapeStore } from '@shapecast/shape-store';
import { parseRouterConfig, storeLimits } from './config.ts';
import { createRouter, type Router } from './router.ts';

function heapUse(): number {
  const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics();
  return used / limit;
}

/** Composition root of the router service. */
async function main(): Promise<void> {
  const config = configOrExit(parseRouterConfig, process.env);
  const clock = systemClock;
  const routerId = config.instanceId ?? randomUUID();
  const fields = { service: 'router', instance: routerId, source: config.sourceId };
  const { log, events } = openProcessLog(config, fields, { env: process.env, clock });
  const limits = storeLimits(config);
  const store = openRedisShapeStore(
    { ...redisConnection(config), replicas: config.redisReplicas, limits },
    { clock, log },
  );
  let messaging: Messaging | undefined;
  let database: SourceDatabase | undefined;
  let permits: { close(): Promise<void> } | undefined;
  let router: Router | undefined;
  let source: SourceRecord | undefined;
  const installation = new Installation();
  const starting: HealthReport = { ready: false, status: 'starting' };
  const service: Component = {
    name: 'router',
    async start(signal) {
      const name = `router ${routerId}`;
      const connected = await openNatsMessaging({ ...natsConnection(config), name }, { clock, log }, signal);
      messaging = connected;
      events.connect((payload) => connected.hints.publish(eventsSubject(config.sourceId), payload));
      const limits = permitLimits(config.poolSize);
      const shared = new SharedPermits(
        { registries: connected.registries, clock, log },
        { source: config.sourceId, holder: randomUUID(), limits },
      );
      permits = shared;
      database = openPgSourceDatabase(
        {
          url: config.databaseUrl,
          queryUrl: config.queryUrl,
          publicationName: `electric_publication_${config.streamId}`,
          poolSize: config.poolSize,
          firstRowTimeoutMs: config.snapshotFirstRowTimeoutMs,
          safetyTimeoutMs: config.snapshotSafetyTimeoutMs,
          expected: () => source,
          connection: databaseConnection(config),
        },
        { clock, log, permits: shared },
      );
      installation.join({ registries: connected.registries, clock, log }, signal);
      router = createRouter(
        { messaging: connected, store, database, clock, log, onSource: (record) => (source = record) },
        {
          source: config.sourceId,
          routerId,
          prefetchBytes: config.prefetchBytes,
          snapshotConcurrency: config.snapshotConcurrency,
          snapshotBytesPerSecond: config.snapshotMaxBytesPerSecond,
          snapshotMaxBytes: config.snapshotMaxBytes,
          snapshotResumableBytes: config.snapshotResumableBytes,
          snapshotLeaseMs: config.snapshotLeaseMs,
          subsetConcurrency: Math.min(config.subsetConcurrency, connectionBudget(config.poolSize).subsets),
          subsetTimeoutMs: config.subsetTimeoutMs,
          maxScannedClauses: config.maxScannedClauses,
          heartbeatMs: config.heartbeatMs,
          leaseMs: config.routerLeaseMs,
          heapUse,
          stallGraceMs: config.stallGraceMs,
          sweepGraceMs: config.tombstoneGraceMs,
          sweepIntervalMs: config.cleanupIntervalMs,
          catalogCheckMs: config.catalogCheckMs,
          upkeep: {
            sealMs: config.sealIntervalMs,
            compactionMs: config.compactionIntervalMs,
            maxLogBytes: config.maxLogBytes,
            maxLogRatio: config.maxLogRatio,
            maxShapes: config.maxShapes,
            expiryMs: config.expiryIntervalMs,
            highWater: config.redisHighWater,
          },
        },
      );
      await router.start(signal);
    },
    async stop() {
      await router?.stop();
      await database?.close();
      await permits?.close();
      await messaging?.close();
    },
  };
  const edges: Component = {
    name: 'edges',
    start: async () => {},
    async stop() {
      await store.close();
    },
  };
  const report = () => ({ ...(router?.report() ?? starting), installation: installation.id, events: events.counts });
  const health = new HealthServer(report, { port: config.healthPort, host: config.healthHost });
  await runProcess(log, [health, edges, service]);
}

await main();
