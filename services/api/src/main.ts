import { randomUUID } from 'node:crypto';
import { ShapecastError } from '@shapecast/errors';
import { openNatsMessaging } from '@shapecast/messaging';
import { createLogger, runProcess, systemClock } from '@shapecast/service-kit';
import { openRedisShapeStore } from '@shapecast/shape-store';
import { createApi } from './api.ts';
import { apiOptions, parseApiConfig, type ApiConfig } from './config.ts';

/** Composition root of the API service. */
async function main(): Promise<void> {
  const config = readConfig();
  const clock = systemClock;
  const log = createLogger(config.logLevel, {
    service: 'api',
    instance: config.instanceId ?? randomUUID(),
    source: config.sourceId,
  });
  const store = openRedisShapeStore({ url: config.redisUrl }, { clock, log });
  const api = createApi(
    { messaging: (signal) => openNatsMessaging({ url: config.natsUrl }, { clock, log }, signal), store, clock, log },
    apiOptions(config),
  );
  const storeComponent = { name: 'shape-store', start: async () => {}, stop: () => store.close() };
  await runProcess(log, [storeComponent, api]);
}

function readConfig(): ApiConfig {
  try {
    return parseApiConfig(process.env);
  } catch (err) {
    if (!(err instanceof ShapecastError)) throw err;
    console.error(err.message);
    process.exit(1);
  }
}

await main();
