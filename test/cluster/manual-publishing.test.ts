import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { startCluster, startPostgres, waitFor, type Cluster, type TestPostgres } from '@shapecast/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { StrictReader } from '../support/strict-reader.ts';

const never = new AbortController().signal;
const PUBLICATION = 'electric_publication_default';
const BY_HAND = '/* by hand */';
const MISSING =
  `Database table "public.items" is missing from the publication "${PUBLICATION}" and the ` +
  'ELECTRIC_MANUAL_TABLE_PUBLISHING setting prevents Electric from adding it';
const IDENTITY = 'Database table "public.items" does not have its replica identity set to FULL';

let postgres: TestPostgres;
let cluster: Cluster;
let db: Client;
const lines: string[] = [];

beforeAll(async () => {
  const log = { logging_collector: 'on', log_directory: 'log', log_filename: 'all.log', log_statement: 'ddl' };
  postgres = await startPostgres({ settings: log });
  db = new Client({ connectionString: postgres.url });
  await db.connect();
  await byHand('create table items (id int primary key, v text)');
  await byHand('create table other (id int primary key, v text)');
  await byHand('alter table other replica identity full');
  await byHand(`create publication ${PUBLICATION}`);
  cluster = await startCluster({
    routers: 1,
    apis: 1,
    replicators: 1,
    databaseUrl: postgres.url,
    onLog: (_, line) => lines.push(line),
    env: {
      ELECTRIC_MANUAL_TABLE_PUBLISHING: 'true',
      ELECTRIC_TWEAKS_PUBLICATION_REFRESH_PERIOD: '1s',
      ELECTRIC_LONG_POLL_TIMEOUT: '2000',
    },
  });
});
afterAll(async () => {
  await db.end();
  await cluster.stop();
  await postgres.stop();
});

const byHand = (text: string) => db.query(`${BY_HAND} ${text}`);

async function answer(table: string) {
  const response = await fetch(`${cluster.url}/v1/shape?table=${table}&offset=-1`);
  const { message } = (await response.json()) as { readonly message?: string };
  return { status: response.status, retryAfter: response.headers.get('retry-after'), message };
}

const refused = (message: string) => ({ status: 503, retryAfter: '10', message });
const verified = () => lines.filter((line) => line.includes('publication verified')).length;

test('A9 with manual publishing each message says what is missing, it works once that is done, and nothing is altered', async () => {
  expect(await answer('items')).toEqual(refused(MISSING));
  await byHand(`alter publication ${PUBLICATION} add table items, other`);
  expect(await answer('items')).toEqual(refused(IDENTITY));
  await byHand('alter table items replica identity full');
  const reader = new StrictReader(cluster.url, { table: 'items' });
  await reader.catchUp(never);
  await waitFor(() => verified() > 0);

  const other = new StrictReader(cluster.url, { table: 'other' });
  await other.catchUp(never);
  await byHand(`alter publication ${PUBLICATION} drop table items`);
  await db.query(`insert into items values (1, 'missed')`);
  await waitFor(async () => (await answer('items')).status === 503, { describe: () => lines.slice(-5) });
  expect(await answer('items')).toEqual(refused(MISSING));
  await waitFor(() => lines.some((line) => line.includes('is missing from the publication')));
  const before = verified();
  await byHand(`alter publication ${PUBLICATION} add table items`);
  await waitFor(async () => {
    await reader.catchUp(never).catch(() => undefined);
    return reader.rows.size === 1;
  });
  expect(reader.rotations).toBe(1);
  // Within one period of the verification.
  await waitFor(() => verified() > before);

  await byHand('alter table items replica identity default');
  await db.query(`update items set v = 'without its old row'`);
  await waitFor(async () => (await answer('items')).message === IDENTITY);
  await byHand('alter table items replica identity full');
  await waitFor(async () => {
    await reader.catchUp(never).catch(() => undefined);
    return [...reader.rows.values()][0]?.['v'] === 'without its old row';
  });
  await other.catchUp(never);
  expect(other.rotations).toBe(0);
  expect([...reader.violations, ...other.violations]).toEqual([]);

  const text = await readFile(join(postgres.dataDir, 'log', 'all.log'), 'utf8');
  const ddl = text.split('\n').filter((line) => /LOG: +(statement|execute [^:]*):/.test(line));
  expect(ddl.filter((line) => line.includes(BY_HAND)).length).toBeGreaterThan(6);
  expect(ddl.filter((line) => !line.includes(BY_HAND))).toEqual([]);
});
