import { createApi } from '@shapecast/api';
import { openPgChangeSource, openPgSourceDatabase, permitLimits } from '@shapecast/change-source';
import { startLocalPostgres, type LocalPostgres } from '@shapecast/local-postgres';
import { eventsSubject, openMemoryMessaging, SharedPermits } from '@shapecast/messaging';
import { createReplicator } from '@shapecast/replicator';
import { createRouter } from '@shapecast/router';
import {
  configOrExit,
  openProcessLog,
  runProcess,
  systemClock,
  whenNpmGone,
  type Component,
} from '@shapecast/service-kit';
import { openMemoryShapeStore } from '@shapecast/shape-store';
import { parseEmbeddedConfig, type EmbeddedConfig } from './config.ts';
import { DEMO_TABLE, seedDemo } from './demo.ts';

/** Connections to Postgres beside the replication connection, the default of the services. */
const POOL_SIZE = 20;

/** Composition root of embedded mode: replicator, router and API in one process over the memory adapters. */
async function main(): Promise<void> {
  const config = configOrExit(parseEmbeddedConfig, process.env);
  whenNpmGone(process.env, () => process.kill(process.pid, 'SIGTERM'));
  const clock = systemClock;
  const { log, events } = openProcessLog(
    config,
    { service: 'embedded', source: config.sourceId },
    { env: process.env, clock },
  );
  const postgres = config.sourceUrl === undefined ? await startOwnPostgres() : undefined;
  const url = config.sourceUrl ?? (postgres as LocalPostgres).url;

  const messaging = openMemoryMessaging(clock);
  events.connect((payload) => messaging.hints.publish(eventsSubject(config.sourceId), payload));
  const store = openMemoryShapeStore(clock);
  const names = {
    slotName: `electric_slot_${config.streamId}`,
    publicationName: `electric_publication_${config.streamId}`,
  };
  // Replicator and router share the connections as they would in a cluster.
  const permits = new SharedPermits(
    { registries: messaging.registries, clock, log },
    { source: config.sourceId, holder: 'embedded', limits: permitLimits(POOL_SIZE) },
  );
  const pooled = { clock, log, permits };
  const source = openPgChangeSource({ url, ...names }, pooled);
  const database = openPgSourceDatabase({ url, publicationName: names.publicationName, poolSize: POOL_SIZE }, pooled);
  const replicator = createReplicator(
    { source, database, messaging, clock, log },
    { sourceId: config.sourceId, holder: 'embedded', slotName: names.slotName, confirmDelayMs: 0 },
  );
  const router = createRouter(
    { messaging, store, database, clock, log },
    { source: config.sourceId, routerId: 'embedded' },
  );
  const api = createApi(
    { messaging, store, clock, log },
    {
      source: config.sourceId,
      host: config.host,
      port: config.port,
      secrets: config.secrets,
      allowDelete: config.allowDelete,
    },
  );
  const edges: Component = {
    name: 'edges',
    start: async () => {},
    async stop() {
      await database.close();
      await permits.close();
      await store.close();
      await messaging.close();
      await postgres?.stop();
    },
  };
  await runProcess(log, [edges, replicator, router, api]);
  await untilActive(`http://${config.host}:${api.port}`);
  announce(config, api.port, postgres);
}

async function startOwnPostgres(): Promise<LocalPostgres> {
  console.log('Starting a Postgres of our own (set DATABASE_URL to use yours) ...');
  const postgres = await startLocalPostgres();
  await seedDemo(postgres.url);
  return postgres;
}

/** Polls for as long as it takes: while something is missing, the log says what. */
async function untilActive(url: string): Promise<void> {
  const forever = new AbortController().signal;
  for (;;) {
    const response = await fetch(`${url}/v1/health`);
    await response.body?.cancel();
    if (response.status === 200) return;
    await systemClock.sleep(50, forever);
  }
}

function announce(config: EmbeddedConfig, port: number, postgres: LocalPostgres | undefined): void {
  const base = `http://localhost:${port}`;
  const table = postgres === undefined ? '<your table>' : DEMO_TABLE;
  const secret = config.secrets.length === 0 ? '' : `&secret=<ELECTRIC_SECRET>`;
  const lines = [
    '',
    `Shapecast is ready at ${base} (embedded: replicator, router and API in one process, logs in memory).`,
    postgres === undefined ? 'Postgres: yours, from DATABASE_URL.' : `Postgres ${postgres.version}: ${postgres.url}`,
    '',
    'Read a shape:',
    `  curl '${base}/v1/shape?table=${table}&offset=-1${secret}'`,
    '',
  ];
  if (postgres !== undefined) {
    lines.push(
      'Change a row, with any Postgres client:',
      `  psql ${postgres.url} -c "update ${DEMO_TABLE} set done = not done where id = 2"`,
      '',
    );
  }
  lines.push('Ctrl-C stops everything.', '');
  console.log(lines.join('\n'));
}

await main();
