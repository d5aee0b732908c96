import { FIRST_FORMATS } from '@shapecast/log';
import { openNatsMessaging, type FormatRecord, type Messaging } from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { redisCommand, startCluster, waitFor, type Cluster } from '@shapecast/testkit';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { StrictReader } from '../support/strict-reader.ts';

const entry = new URL('../support/entries/newer-version.ts', import.meta.url).pathname;
const SOURCE = 'single_stack';

let cluster: Cluster;
let database: pg.Client;
let messaging: Messaging;
let reader: StrictReader;
let reading: Promise<void>;
const stop = new AbortController();
let written = 0;
/** What the older replicator wrote of it. */
const refusals: string[] = [];

/** The first of each role is of this version, the second of the next one. */
beforeAll(async () => {
  cluster = await startCluster({
    entries: { replicator: entry, router: entry, api: entry },
    env: { OTEL_NEWER_VERSION: 'replicator-2,router-2,api-2', ELECTRIC_LONG_POLL_TIMEOUT: '3s' },
    onLog: (name, line) => void (name === 'replicator-1' && line.includes('too old') && refusals.push(line)),
  });
  database = new pg.Client({ connectionString: cluster.databaseUrl });
  await database.connect();
  await database.query(`create table items (id int primary key, note text)`);
  const deps = { clock: systemClock, log: silentLogger };
  messaging = await openNatsMessaging({ url: cluster.natsUrl }, deps, stop.signal);
  reader = new StrictReader(cluster.url, { table: 'items' });
  await reader.catchUp(stop.signal);
  reading = reader.follow(stop.signal);
});
afterAll(async () => {
  stop.abort();
  await reading;
  await messaging.close();
  await database.end();
  await cluster.stop();
});

const urlOf = (name: string) => cluster.process(name).url;
const healthUrl = (name: string) => (name.startsWith('api') ? `${urlOf(name)}/v1/health` : `${urlOf(name)}/health`);

async function report(name: string) {
  return (await (await fetch(healthUrl(name))).json()) as {
    readonly ready?: boolean;
    readonly status: string;
    readonly owned?: number;
    readonly lastError?: string;
  };
}

async function goesOn(): Promise<void> {
  for (let n = 0; n < 20; n += 1) {
    written += 1;
    await database.query(`insert into items values ($1, 'x')`, [written]);
  }
  await waitFor(() => reader.rows.size === written, { describe: () => `${reader.rows.size} rows of ${written}` });
  expect(reader.violations).toEqual([]);
  expect(reader.rotations).toBe(0);
}

/** What is stored of how the log of a shape is written. */
async function formatOf(handle: string): Promise<number> {
  for (let shard = 0; shard < 8; shard += 1) {
    const key = `shapecast:{${SOURCE}.1.${shard}}:f`;
    const fixed = await redisCommand(cluster.server('redis').port, 'HGET', key, handle);
    const lines = typeof fixed === 'string' ? fixed.split('\n') : undefined;
    if (lines) return lines.length > 3 ? Number(lines[2]) : 1;
  }
  throw new Error(`there is no shape ${handle}`);
}

async function create(api: string, where: string): Promise<string> {
  const params = new URLSearchParams({ table: 'items', where, offset: '-1' });
  const url = `${urlOf(api)}/v1/shape?${params.toString()}`;
  const response = await fetch(url);
  expect([response.status, await response.text()]).toEqual([200, expect.any(String)]);
  return response.headers.get('electric-handle') as string;
}

test('F178 beside an older version a newer one writes what both read', async () => {
  for (const api of ['api-1', 'api-2']) expect(await formatOf(await create(api, `id > ${api.at(-1)}`))).toBe(1);
  await goesOn();
});

test('F130, F179 once a newer format is written, the older version leaves everything to the newer one and says why', async () => {
  const formats = await messaging.registries.open<FormatRecord>('shapecast_formats');
  // Before the tenth minute, as an operator may.
  await formats.create(SOURCE, { v: 1, record: FIRST_FORMATS.record, log: 2 });

  const old = await waitFor(async () => {
    const now = await report('router-1');
    return now.ready === false && now.owned === 0 ? now : undefined;
  });
  expect(old.lastError).toContain('format 2 is in use for the logs of shapes');
  await waitFor(async () => (await report('router-2')).owned === 8);
  await waitFor(async () => (await report('api-1')).status === 'starting');
  const refused = await fetch(`${urlOf('api-1')}/v1/shape?table=items&offset=-1`);
  expect([refused.status, await refused.text()]).toEqual([503, expect.stringContaining('This process is too old')]);
  await goesOn();

  expect(await formatOf(await create('api-2', 'id > 100'))).toBe(2);
  expect(await formatOf(reader.handle as string)).toBe(1);
  await goesOn();
  // Nobody fights for the shards.
  expect([(await report('router-1')).owned, (await report('router-2')).owned]).toEqual([0, 8]);
});

test('F179 a replicator that is put back to an older version does not lead where newer records are written', async () => {
  const formats = await messaging.registries.open<FormatRecord>('shapecast_formats');
  await formats.put(SOURCE, { v: 1, record: 2, log: 2 });
  // The newer one leads: where it does not yet, the older one finds out when it wants to lead again.
  if ((await cluster.leader()) === 'replicator-1') await cluster.process('replicator-1').kill('SIGTERM');
  await waitFor(async () => (await report('replicator-2')).status === 'active');
  refusals.length = 0;
  await cluster.process('replicator-2').kill('SIGTERM');
  await waitFor(() => refusals.some((line) => line.includes('format 2 is in use for the transaction stream')));
  await waitFor(async () => (await report('replicator-2').catch(() => undefined))?.status === 'active');
  await goesOn();
});
