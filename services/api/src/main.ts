import { randomUUID } from 'node:crypto';
import { eventsSubject, Installation, openNatsMessaging } from '@shapecast/messaging';
import {
  configOrExit,
  HealthServer,
  natsConnection,
  openProcessLog,
  redisConnection,
  runProcess,
  systemClock,
} from '@shapecast/service-kit';
import { openRedisShapeStore } from '@shapecast/shape-store';
import { processEnvironment, registrySources } from '@shapecast/sources';
import { openProcessTelemetry } from '@shapecast/telemetry';
import { createApi } from './api.ts';
import { apiOptions, parseApiConfig } from './config.ts';

/** Composition root of the API service. */
async function main(): Promise<void> {
  const seals = configOrExit((env) => registrySources('api', env), process.env);
  const config = configOrExit(parseApiConfig, seals === undefined ? process.env : processEnvironment(process.env));
  const clock = systemClock;
  const instance = config.instanceId ?? randomUUID();
  const source = seals === undefined ? { source: config.sourceId } : {};
  const fields = { service: 'api', instance, ...source };
  const { log, events } = openProcessLog(config, fields, { env: process.env, clock });
  const telemetry = await openProcessTelemetry(config, { role: 'api', instance, ...source }, { log, clock, events });
  const calls = {
    duration: telemetry.metrics.histogram('shapecast.redis.call.duration', {}),
    queue: telemetry.metrics.histogram('electric.shape_db.pool.checkout.queue_time', {}),
  };
  const store = openRedisShapeStore(redisConnection(config), { clock, log, calls });
  const installation = new Installation();
  const api = createApi(
    {
      async messaging(signal) {
        const name = `api ${instance}`;
        const messaging = await openNatsMessaging({ ...natsConnection(config), name }, { clock, log }, signal);
        events.connect((payload, source = config.sourceId) => messaging.hints.publish(eventsSubject(source), payload));
        installation.join({ registries: messaging.registries, clock, log }, signal);
        return messaging;
      },
      store,
      seals,
      telemetry,
      clock,
      log,
    },
    { ...apiOptions(config), instance: `${instance}-${randomUUID().slice(0, 8)}` },
  );
  const storeComponent = { name: 'shape-store', start: async () => {}, stop: () => store.close() };
  const report = () => ({ ...api.report(), installation: installation.id, events: events.counts });
  const health = new HealthServer(report, {
    ...{ port: config.healthPort, host: config.healthHost },
    metrics: () => telemetry.text(),
  });
  await runProcess(log, [telemetry, health, storeComponent, api]);
}

await main();
