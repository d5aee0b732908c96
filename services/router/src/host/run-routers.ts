import { getHeapStatistics } from 'node:v8';
import { eventsSubject, Installation, openNatsMessaging, UsageReporter, type Messaging } from '@shapecast/messaging';
import {
  HealthServer,
  natsConnection,
  openProcessLog,
  redisConnection,
  runProcess,
  systemClock,
  type Component,
  type Environment,
  type HealthReport,
} from '@shapecast/service-kit';
import { openRedisShapeStore } from '@shapecast/shape-store';
import type { Seals } from '@shapecast/sources';
import { openProcessTelemetry } from '@shapecast/telemetry';
import { storeLimits, type RouterConfig } from '../config.ts';
import { RouterProcess } from '../process/router-process.ts';
import { watchStore } from '../telemetry/store-gauges.ts';
import { RegistryRouters } from './registry-routers.ts';
import { SourceRouter, type SharedParts } from './source-router.ts';

interface Process {
  /** Of the process; with one source, of that source as well. */
  readonly config: RouterConfig;
  readonly routerId: string;
  /** There when sources are in the registry. */
  readonly seals: Seals | undefined;
  readonly env: Environment;
}

/** What a process works for: one source, or many. */
interface Routers {
  start(signal: AbortSignal): Promise<void>;
  stop(): Promise<void>;
  report(): HealthReport;
}

/** Runs a router process until it is told to stop: connects, and works for its sources. */
export async function runRouters({ config, routerId, seals, env }: Process): Promise<void> {
  const clock = systemClock;
  const isMany = seals !== undefined;
  const fields = { service: 'router', instance: routerId, ...(isMany ? {} : { source: config.sourceId }) };
  const { log, events } = openProcessLog(config, fields, { env, clock });
  const telemetry = await openProcessTelemetry(
    config,
    { role: 'router', instance: routerId, ...(isMany ? {} : { source: config.sourceId }) },
    { log, clock, events },
  );
  const { metrics } = telemetry;
  const calls = {
    duration: metrics.histogram('shapecast.redis.call.duration', {}),
    queue: metrics.histogram('electric.shape_db.pool.checkout.queue_time', {}),
  };
  const limits = storeLimits(config);
  const store = openRedisShapeStore(
    { ...redisConnection(config), replicas: config.redisReplicas, limits },
    { clock, log, calls },
  );
  const watching = new AbortController();
  const installation = new Installation();
  let messaging: Messaging | undefined;
  let shared: SharedParts | undefined;
  let routers: Routers | undefined;
  const service: Component = {
    name: 'router',
    async start(signal) {
      const name = `router ${routerId}`;
      const connected = await openNatsMessaging({ ...natsConnection(config), name }, { clock, log }, signal);
      messaging = connected;
      events.connect((payload, source) => {
        if (source !== undefined) connected.hints.publish(eventsSubject(source), payload);
      });
      installation.join({ registries: connected.registries, clock, log }, signal);
      const parts = { messaging: connected, store, clock, log };
      const usage = new UsageReporter({ ...parts, hints: connected.hints }, { process: routerId, role: 'router' });
      const process = new RouterProcess(parts, {
        id: routerId,
        heartbeatMs: config.heartbeatMs,
        leaseMs: config.routerLeaseMs,
        prefetchBytes: config.prefetchBytes,
        heapUse,
        ...(isMany ? { snapshotSlots: config.processSnapshots, subsetSlots: config.processSubsets } : {}),
      });
      shared = { ...parts, usage, process, telemetry };
      void watchStore({ store, metrics, clock, log }, watching.signal);
      process.start();
      await usage.start();
      routers = seals ? new RegistryRouters(shared, { seals, env }) : new SourceRouter(shared, config);
      await routers.start(signal);
    },
    async stop() {
      await routers?.stop();
      await shared?.usage.stop();
      await shared?.process.stop();
      await messaging?.close();
    },
  };
  const edges: Component = {
    name: 'edges',
    start: async () => {},
    async stop() {
      watching.abort(new Error('the router is stopping'));
      await store.close();
    },
  };
  const starting: HealthReport = { ready: false, status: 'starting' };
  const report = () => ({ ...(routers?.report() ?? starting), installation: installation.id, events: events.counts });
  metrics.gauge('shapecast.ready', {}, () => (report().ready ? 1 : 0));
  metrics.gauge('shapecast.bus.connected', {}, () => (messaging?.connected() === true ? 1 : 0));
  const health = new HealthServer(report, {
    port: config.healthPort,
    host: config.healthHost,
    metrics: () => telemetry.text(),
  });
  await runProcess(log, [telemetry, health, edges, service]);
}

function heapUse(): number {
  const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics();
  return used / limit;
}
