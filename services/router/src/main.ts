import { randomUUID } from 'node:crypto';
import { connectionBudget, openPgSourceDatabase } from '@shapecast/change-source';
import { ShapecastError } from '@shapecast/errors';
import { openNatsMessaging, type Messaging } from '@shapecast/messaging';
import {
  createLogger,
  HealthServer,
  runProcess,
  systemClock,
  type Component,
  type HealthReport,
} from '@shapecast/service-kit';
import { openRedisShapeStore } from '@shapecast/shape-store';
import { parseRouterConfig, type RouterConfig } from './config.ts';
import { createRouter, type Router } from './router.ts';

/** Composition root of the router service. */
async function main(): Promise<void> {
  const config = readConfig();
  const clock = systemClock;
  const routerId = config.instanceId ?? randomUUID();
  const log = createLogger(config.logLevel, { service: 'router', instance: routerId, source: config.sourceId });
  const store = openRedisShapeStore({ url: config.redisUrl }, { clock, log });
  const database = openPgSourceDatabase(
    {
      url: config.sourceUrl,
      queryUrl: config.queryUrl,
      publicationName: `electric_publication_${config.streamId}`,
      poolSize: config.poolSize,
    },
    { clock, log },
  );

  let messaging: Messaging | undefined;
  let router: Router | undefined;
  const starting: HealthReport = { ready: false, status: 'starting' };
  const service: Component = {
    name: 'router',
    async start(signal) {
      messaging = await openNatsMessaging({ url: config.natsUrl }, { clock, log }, signal);
      router = createRouter(
        { messaging, store, database, clock, log },
        {
          source: config.sourceId,
          routerId,
          windowBytes: config.windowBytes,
          snapshotConcurrency: config.snapshotConcurrency,
          subsetConcurrency: Math.min(config.subsetConcurrency, connectionBudget(config.poolSize).subsets),
          subsetTimeoutMs: config.subsetTimeoutMs,
          maxScannedClauses: config.maxScannedClauses,
          heartbeatMs: config.heartbeatMs,
          catalogCheckMs: config.catalogCheckMs,
        },
      );
      await router.start(signal);
    },
    async stop() {
      await router?.stop();
      await messaging?.close();
    },
  };
  const edges: Component = {
    name: 'edges',
    start: async () => {},
    async stop() {
      await database.close();
      await store.close();
    },
  };
  const health = new HealthServer(() => router?.report() ?? starting, {
    port: config.healthPort,
    host: config.healthHost,
  });
  await runProcess(log, [health, edges, service]);
}

function readConfig(): RouterConfig {
  try {
    return parseRouterConfig(process.env);
  } catch (err) {
    if (!(err instanceof ShapecastError)) throw err;
    console.error(err.message);
    process.exit(1);
  }
}

await main();
