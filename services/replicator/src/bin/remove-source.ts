import { parseArgs } from 'node:util';
import { SourceRemoval } from '@shapecast/change-source';
import { isShapecastError } from '@shapecast/errors';
import { openNatsMessaging } from '@shapecast/messaging';
import {
  createLogger,
  databaseConnection,
  natsConnection,
  parseConfig,
  redisConfig,
  redisConnection,
  redisNames,
  redisProblems,
  systemClock,
  type Logger,
} from '@shapecast/service-kit';
import { openRedisShapeStore } from '@shapecast/shape-store';
import { z } from 'zod';
import { parseReplicatorConfig } from '../config.ts';
import { findRemains, removeSource } from '../remove-source.ts';

const USAGE = `Usage: npm run source:remove -- [--yes]

Removes the source that the environment describes (the same variables as for its replicators; all its processes have to be
stopped): drops its publication (not with ELECTRIC_MANUAL_TABLE_PUBLISHING) and its replication slot, so that Postgres keeps
no WAL for it any more, then its tx streams and its records in NATS, and with SHAPECAST_REDIS_URL its shapes in Redis. Shows what there is; does it with --yes. Can be repeated.`;

/** Exit code 0: nothing is left, or it was only looked. */
async function main(): Promise<number> {
  const { values } = parseArgs({ options: { yes: { type: 'boolean', default: false }, help: { type: 'boolean' } } });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const config = parseReplicatorConfig(process.env);
  const { databaseUrl: url, slotName, publicationName, sourceId, manualPublishing } = config;
  const log = createLogger(config.logLevel, { service: 'source-remove', source: sourceId });
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort(new Error('interrupted')));
  const deps = { clock: systemClock, log };
  const database = new SourceRemoval(deps, { url, slotName, publicationName, connection: databaseConnection(config) });
  const { streamReplicas, streamMaxAgeMs, streamMaxBytes, duplicateWindowMs } = config;
  const messaging = await openNatsMessaging(
    {
      ...natsConnection(config),
      name: 'source-remove',
      ...{ streamReplicas, streamMaxAgeMs, streamMaxBytes, duplicateWindowMs },
    },
    deps,
    stop.signal,
  );
  const store = openStore(deps);
  try {
    const all = { ...deps, database, messaging, store };
    const options = { sourceId, manualPublishing };
    const found = await findRemains(all, options, stop.signal);
    console.log(JSON.stringify({ source: sourceId, slotName, publicationName, ...found }, undefined, 2));
    if (!values.yes) {
      console.log(
        'Nothing was changed. With --yes all of this is removed, except a publication that is looked after by hand.',
      );
      return 0;
    }
    await removeSource(all, options, stop.signal);
    console.log(`Source ${sourceId} is removed.`);
    if (!store) console.log('Its shapes in Redis are still there: with SHAPECAST_REDIS_URL they are removed as well.');
    return 0;
  } finally {
    database.close();
    await store?.close();
    await messaging.close();
  }
}

/** Replicators have nothing to do with Redis, so its address need not be there. */
function openStore(deps: { readonly clock: typeof systemClock; readonly log: Logger }) {
  if (!process.env['SHAPECAST_REDIS_URL']) return undefined;
  return openRedisShapeStore(
    redisConnection(parseConfig(z.object(redisConfig), redisNames, process.env, redisProblems)),
    deps,
  );
}

try {
  process.exitCode = await main();
} catch (err) {
  if (!isShapecastError(err)) throw err;
  console.error(err.message);
  process.exitCode = 1;
}
